//! Progress lines on standard error, each with the time since the command began.

use std::{fmt::Display, sync::OnceLock, time::Instant};

static STARTED: OnceLock<Instant> = OnceLock::new();

/// Begin to count. Called first in `main`; a later call changes nothing.
pub fn start() {
    STARTED.get_or_init(Instant::now);
}

/// Seconds since [`start`].
pub fn elapsed_s() -> f64 {
    STARTED.get_or_init(Instant::now).elapsed().as_secs_f64()
}

/// Print one line.
pub fn say(line: impl Display) {
    eprintln!("[{:7.1}s] {line}", elapsed_s());
}
