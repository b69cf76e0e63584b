//! Panics, as lines of the log: where, and in which thread, whether or not somebody catches them.

use std::panic::{PanicHookInfo, set_hook, take_hook};

/// What such lines are told under.
pub(super) const TARGET: &str = "panic";

/// From now on a panic is a line of the log. With `RUST_BACKTRACE` the usual text, with the stack, comes beside it.
///
/// What a panic says may quote what was sent (slicing a text quotes the text): only words that stand in the source are told.
pub(in crate::telemetry) fn log_panics() {
    let is_usual_wanted = std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0");
    let usual = take_hook();
    set_hook(Box::new(move |panic| {
        log(panic);
        if is_usual_wanted {
            usual(panic);
        }
    }));
}

fn log(panic: &PanicHookInfo<'_>) {
    // Formatted words are a `String`.
    let words = panic.payload().downcast_ref::<&'static str>().copied();
    let place = panic.location().map(tracing::field::display);
    let thread = std::thread::current();
    tracing::error!(target: TARGET, place, thread = thread.name(), words, "a thread panicked");
}
