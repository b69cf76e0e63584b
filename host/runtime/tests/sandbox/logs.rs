//! All log lines of the test program, captured.

use std::io;
use std::sync::{Mutex, Once};

use tracing_subscriber::fmt::MakeWriter;

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static INSTALLED: Once = Once::new();

struct Capture;

impl io::Write for Capture {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LINES.lock().map_err(|_| io::Error::other("a test panicked inside"))?.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Capture {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        Self
    }
}

/// Captures from now on whatever any thread logs, at every level.
pub fn capture() {
    INSTALLED.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_ansi(false)
            .with_writer(Capture)
            .init();
    });
}

/// What was logged so far, by all tests of this program.
pub fn captured() -> String {
    String::from_utf8_lossy(&LINES.lock().expect("no test panics inside")).into_owned()
}
