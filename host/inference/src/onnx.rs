//! Networks in the format ONNX (onnx.ai), run by rten on the CPU. A file is data from outside: its framing is looked at before rten reads it
//! (`onnx/framing.rs`), and where rten panics nevertheless, that is an error.
//!
//! What rten does not bound is what a graph computes: an operator may ask for as much memory as the numbers in the file say, and where there
//! is not as much, the process ends. A model whose graph is always the same one therefore knows it by its digest ([`File::graph_sha256`]).

mod framing;
mod graph;

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rten::{Model, NodeId, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{AsView as _, Tensor};

use crate::error::ModelError;

/// Characters of what rten says.
const REASON_CHARS_MAX: usize = 300;

/// The bytes of a file, framed as the format says.
pub(crate) struct File {
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A loaded network. Running it blocks.
pub(crate) struct Network {
    path: PathBuf,
    model: Model,
    threads: Option<Arc<ThreadPool>>,
}

impl File {
    /// What was read from `path`.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] where lengths contradict each other or there are too many parts.
    pub(crate) fn new(path: &Path, bytes: Vec<u8>) -> Result<Self, ModelError> {
        let file = Self { path: path.to_owned(), bytes };
        match framing::is_model(&file.bytes) {
            true => Ok(file),
            false => Err(malformed(path, "it is no ONNX file".to_owned())),
        }
    }

    /// Bytes of the file.
    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// The SHA-256 of all but the numbers in the weights, in hexadecimal: files that have it in common compute the same with other weights.
    pub(crate) fn graph_sha256(&self) -> String {
        hex::encode(graph::sha256(&self.bytes))
    }

    /// Load the network, to be run on so many threads; none: as many as there are cores.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] with what rten says of it.
    pub(crate) fn load(self, threads: Option<usize>) -> Result<Network, ModelError> {
        let Self { path, bytes } = self;
        // From memory: a file would name others that are read along with it.
        let loaded = catch_unwind(|| Model::load(bytes).map_err(|error| one_line(&error)));
        let loaded = loaded.unwrap_or_else(|_| Err("rten panicked over it".to_owned()));
        let model = loaded.map_err(|reason| malformed(&path, reason))?;
        let threads = threads.map(|count| Arc::new(ThreadPool::with_num_threads(count)));
        Ok(Network { path, model, threads })
    }
}

impl Network {
    /// A node by its name.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] where there is none.
    pub(crate) fn node(&self, name: &str) -> Result<NodeId, ModelError> {
        self.model.node_id(name).map_err(|error| malformed(&self.path, one_line(&error)))
    }

    /// Compute one output: finite floats.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where rten fails, and where the output is something else.
    pub(crate) fn run(
        &self,
        inputs: Vec<(NodeId, ValueOrView<'_>)>,
        output: NodeId,
    ) -> Result<Tensor<f32>, ModelError> {
        let options = RunOptions::default().with_thread_pool(self.threads.clone());
        let compute = |reason: String| ModelError::Compute { reason };
        // A run changes nothing of the model that another could find half done.
        let ran = catch_unwind(AssertUnwindSafe(|| self.model.run_n(inputs, [output], Some(options))));
        let [found] = ran
            .map_err(|_| compute("rten panicked".to_owned()))?
            .map_err(|error| compute(one_line(&error)))?;
        let found: Tensor<f32> = found.try_into().map_err(|_| compute("it gives no floats".to_owned()))?;
        if found.iter().any(|number| !number.is_finite()) {
            return Err(compute("it gives numbers that are not finite".to_owned()));
        }
        Ok(found)
    }
}

fn malformed(path: &Path, reason: String) -> ModelError {
    ModelError::Malformed { path: path.to_owned(), reason }
}

fn one_line(error: &dyn Error) -> String {
    error
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(REASON_CHARS_MAX)
        .collect()
}
