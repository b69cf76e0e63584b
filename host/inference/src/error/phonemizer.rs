//! Why a text could not be turned into phonemes.

use std::time::Duration;

/// Why eSpeak NG gave no phonemes.
#[derive(Debug, thiserror::Error)]
pub enum PhonemizerError {
    /// The program did not start.
    #[error(
        "cannot run {program} ({reason}): speech needs eSpeak NG; install it (Debian and Ubuntu: `apt install espeak-ng`)"
    )]
    Missing {
        /// The program.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// It ran and failed.
    #[error("{program} failed ({status}): {detail}")]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: String,
        /// What it wrote to its standard error, on one line and cut.
        detail: String,
    },
    /// It took longer than a clause may take, and was killed.
    #[error("{program} took longer than {} ms and was stopped", limit.as_millis())]
    TimedOut {
        /// The program.
        program: String,
        /// The limit.
        limit: Duration,
    },
    /// It wrote more than a clause can have, and was killed.
    #[error("{program} wrote more than {bytes_max} bytes and was stopped")]
    TooMuch {
        /// The program.
        program: String,
        /// The limit.
        bytes_max: usize,
    },
}
