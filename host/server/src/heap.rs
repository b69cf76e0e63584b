//! The heap's free memory goes back to the system also while nobody allocates.

use std::io;
use std::thread;
use std::time::Duration;

/// mimalloc keeps freed pages for a second too, in case they are wanted again.
const EVERY: Duration = Duration::from_secs(1);

/// Starts a thread that gives freed pages back until the process ends.
///
/// mimalloc does so by itself when it is asked for new pages. After a burst nobody asks, and the server would keep the memory of
/// its largest moment (`ops/benchmarks.md`).
///
/// # Errors
/// The system has no thread to give.
pub fn give_back_free_memory() -> io::Result<()> {
    thread::Builder::new().name("heap".to_owned()).spawn(|| {
        loop {
            thread::sleep(EVERY);
            // SAFETY: mimalloc may collect from any thread at any time.
            #[allow(unsafe_code, reason = "the allocator's function is foreign")]
            unsafe {
                libmimalloc_sys::mi_collect(false);
            }
        }
    })?;
    Ok(())
}
