//! What in-house models take and do, read when it is asked for.

use std::sync::Arc;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Error, GaugeVec, Opts};

use crate::local::{Load, LocalProvider};

/// A figure of a model, and how it is read; none where a model does not have it.
struct Figure {
    name: &'static str,
    help: &'static str,
    read: fn(&Load) -> Option<f64>,
}

const FIGURES: [Figure; 14] = [
    Figure {
        name: "atelier_local_model_loaded",
        help: "1 while the model is in memory.",
        read: |load| Some(f64::from(u8::from(load.memory_bytes.is_some()))),
    },
    Figure {
        name: "atelier_local_model_memory_bytes",
        help: "Planned for its weights and working space, without the caches of requests; 0 while it is not loaded.",
        read: |load| Some(load.memory_bytes.unwrap_or(0) as f64),
    },
    Figure {
        name: "atelier_local_model_on_card",
        help: "1 while a chat model is in a card's memory, where the card computes.",
        read: |load| load.text.map(|_| f64::from(u8::from(load.on_card))),
    },
    Figure {
        name: "atelier_local_requests_running",
        help: "Requests that advance in turn.",
        read: |load| Some(load.text?.running as f64),
    },
    Figure {
        name: "atelier_local_requests_waiting",
        help: "Requests that wait for a turn or for memory.",
        read: |load| Some(load.text?.waiting as f64),
    },
    Figure {
        name: "atelier_local_cache_bytes",
        help: "Attention cache that is set aside for running requests, or kept for prompts that begin alike.",
        read: |load| Some(load.text?.cache_bytes as f64),
    },
    Figure {
        name: "atelier_local_cache_bytes_max",
        help: "Attention cache that there is; 0 while the model is not loaded.",
        read: |load| Some(load.text?.cache_bytes_max as f64),
    },
    Figure {
        name: "atelier_local_prefix_bytes",
        help: "Attention cache that is kept for prompts that begin alike, in use or not.",
        read: |load| Some(load.text?.prefix_bytes as f64),
    },
    Figure {
        name: "atelier_local_passes_total",
        help: "Passes of the model.",
        read: |load| Some(load.text?.passes as f64),
    },
    Figure {
        name: "atelier_local_pass_seconds_total",
        help: "Time of passes.",
        read: |load| Some(load.text?.pass_time.as_secs_f64()),
    },
    Figure {
        name: "atelier_local_pass_requests_total",
        help: "Requests in passes, each once for a pass: over passes, the size of a batch.",
        read: |load| Some(load.text?.parts as f64),
    },
    Figure {
        name: "atelier_local_prompt_tokens_total",
        help: "Tokens of prompts that were computed.",
        read: |load| Some(load.text?.prompt_tokens as f64),
    },
    Figure {
        name: "atelier_local_prompt_tokens_reused_total",
        help: "Tokens of prompts that earlier requests had computed.",
        read: |load| Some(load.text?.prompt_tokens_reused as f64),
    },
    Figure {
        name: "atelier_local_answer_tokens_total",
        help: "Tokens of answers.",
        read: |load| Some(load.text?.answer_tokens as f64),
    },
];

impl Figure {
    /// The figures of these models: a counter where it never falls, by its name.
    fn of(&self, loads: &[(&str, Load)]) -> Result<(Vec<Desc>, Vec<MetricFamily>), Error> {
        let options = Opts::new(self.name, self.help);
        let values = loads.iter().filter_map(|(model, load)| Some((model, (self.read)(load)?)));
        let described =
            |found: &dyn Collector| (found.desc().into_iter().cloned().collect(), found.collect());
        if self.name.ends_with("_total") {
            let counter = CounterVec::new(options, &["model"])?;
            values.for_each(|(model, value)| counter.with_label_values(&[*model]).inc_by(value));
            Ok(described(&counter))
        } else {
            let gauge = GaugeVec::new(options, &["model"])?;
            values.for_each(|(model, value)| gauge.with_label_values(&[*model]).set(value));
            Ok(described(&gauge))
        }
    }
}

/// The time of each kernel of these models.
fn kernels(loads: &[(&str, Load)]) -> Result<(Vec<Desc>, Vec<MetricFamily>), Error> {
    let help = "Time of kernels of chat models, by name; on a card they are waited for in read.";
    let options = Opts::new("atelier_local_kernel_seconds_total", help);
    let counter = CounterVec::new(options, &["model", "kernel"])?;
    for (model, load) in loads {
        for (kernel, time) in &load.kernels {
            counter.with_label_values(&[*model, *kernel]).inc_by(time.as_secs_f64());
        }
    }
    Ok((counter.desc().into_iter().cloned().collect(), counter.collect()))
}

/// In-house models.
pub(super) struct LocalModels {
    provider: Arc<LocalProvider>,
    descriptions: Vec<Desc>,
}

impl LocalModels {
    pub(super) fn new(provider: Arc<LocalProvider>) -> Result<Self, Error> {
        let mut descriptions = Vec::new();
        for figure in &FIGURES {
            descriptions.extend(figure.of(&[])?.0);
        }
        descriptions.extend(kernels(&[])?.0);
        Ok(Self { provider, descriptions })
    }
}

impl Collector for LocalModels {
    fn desc(&self) -> Vec<&Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let loads = self.provider.models().iter().map(|model| (model.id(), model.load()));
        let loads: Vec<_> = loads.collect();
        // They were all made once, so that they can be made.
        FIGURES
            .iter()
            .filter_map(|figure| figure.of(&loads).ok())
            .chain(kernels(&loads).ok())
            .flat_map(|(_, families)| families)
            .collect()
    }
}
