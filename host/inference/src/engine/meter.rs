//! What a text engine does, counted for its operator.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::kernels::timed::KernelTimes;

/// What a text engine has done since it was made, and what it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TextLoad {
    /// Passes of the model.
    pub passes: u64,
    /// How long they took.
    pub pass_time: Duration,
    /// Requests that took part in passes, one once for each: beside `passes`, the mean size of a batch.
    pub parts: u64,
    /// Tokens of prompts that were computed.
    pub prompt_tokens: u64,
    /// Tokens of prompts that earlier requests had computed.
    pub prompt_tokens_reused: u64,
    /// Tokens of answers.
    pub answer_tokens: u64,
    /// Requests that advance.
    pub running: usize,
    /// Requests that wait for a place among them or for memory.
    pub waiting: usize,
    /// Bytes of attention cache that are set aside for those that advance, or kept for prompts that begin alike.
    pub cache_bytes: u64,
    /// Bytes of it that are kept, in use or not.
    pub prefix_bytes: u64,
    /// Bytes of attention cache that there are; 0 while the model is not loaded.
    pub cache_bytes_max: u64,
}

/// Where the thread that computes counts.
#[derive(Debug, Default)]
pub(super) struct Meter {
    load: Mutex<TextLoad>,
    pub(super) kernels: Arc<KernelTimes>,
}

impl Meter {
    pub(super) fn change(&self, change: impl FnOnce(&mut TextLoad)) {
        change(&mut self.load.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self) -> TextLoad {
        *self.load.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
