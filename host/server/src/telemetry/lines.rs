//! Lines on their way to the log: gathered in memory, written by one thread a few times in a hundredth of a second at most.
//!
//! A wake for each line would cost a request more than the line does.

use std::io::{self, Write};
use std::mem;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Bytes that wait to be written; more lines are dropped, and counted, rather than holding a request up.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// How long the writer gathers before it writes.
const GATHER: Duration = Duration::from_millis(5);

/// Writes lines until it is dropped, which writes what is left.
#[derive(Debug)]
pub(crate) struct LineWriter {
    lines: Lines,
    thread: Option<JoinHandle<()>>,
}

/// Takes lines, each in one piece.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Arc<Queue>);

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    /// There is something to write, or an end.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    bytes: Vec<u8>,
    dropped: u64,
    is_ended: bool,
}

impl LineWriter {
    /// Starts the thread.
    ///
    /// # Errors
    /// The machine gives none.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let lines = Lines::default();
        let queue = lines.0.clone();
        let work = move || while queue.pass_on(&mut out) {};
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { lines, thread: Some(thread) })
    }

    pub(super) fn lines(&self) -> Lines {
        self.lines.clone()
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        self.lines.0.lock().is_ended = true;
        self.lines.0.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // There is nowhere left to report a panic of the log's own thread.
            thread.join().ok();
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for lines, gathers more for a moment, and writes them; whether there may be more.
    fn pass_on(&self, out: &mut impl Write) -> bool {
        let idle = |waiting: &mut Waiting| waiting.bytes.is_empty() && !waiting.is_ended;
        let waiting = self.changed.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
        let is_ending = waiting.is_ended;
        drop(waiting);
        if !is_ending {
            std::thread::sleep(GATHER);
        }
        let mut waiting = self.lock();
        let (bytes, dropped) = (mem::take(&mut waiting.bytes), mem::take(&mut waiting.dropped));
        let is_ended = waiting.is_ended;
        drop(waiting);
        // A log that cannot be written has no better place to say so.
        out.write_all(&bytes).and_then(|()| out.flush()).ok();
        if dropped > 0 {
            tracing::warn!(dropped, "lines of the log were dropped: it is written more slowly than it grows");
        }
        // At the end, what was just said of dropped lines is written too.
        !is_ended || dropped > 0
    }
}

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut waiting = self.0.lock();
        if waiting.bytes.len() + line.len() > WAITING_BYTES_MAX {
            waiting.dropped += 1;
            return Ok(line.len());
        }
        let was_empty = waiting.bytes.is_empty();
        waiting.bytes.extend_from_slice(line);
        drop(waiting);
        if was_empty {
            self.0.changed.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, for all to see.
    #[derive(Clone, Default)]
    struct Out(Arc<Mutex<Vec<u8>>>);

    impl Write for Out {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn all_lines_are_written_whole_and_in_order_by_the_end() {
        let out = Out::default();
        let writer = LineWriter::start(out.clone()).expect("a thread");
        for number in 0..1_000 {
            writer.lines().write_all(format!("{number}\n").as_bytes()).expect("taken");
        }
        drop(writer);
        let expected: String = (0..1_000).map(|number| format!("{number}\n")).collect();
        assert_eq!(String::from_utf8(out.0.lock().expect("not poisoned").clone()).expect("text"), expected);
    }

    #[test]
    fn what_is_too_much_is_dropped_and_counted_but_never_waited_for() {
        let lines = Lines::default();
        let line = vec![b'x'; WAITING_BYTES_MAX / 2];
        for _ in 0..3 {
            lines.clone().write_all(&line).expect("taken");
        }
        let waiting = lines.0.lock();
        assert_eq!((waiting.bytes.len(), waiting.dropped), (WAITING_BYTES_MAX, 1));
    }

    #[test]
    fn what_was_dropped_is_told_even_at_the_end() {
        let queue = Queue::default();
        *queue.lock() = Waiting { dropped: 1, is_ended: true, ..Waiting::default() };
        assert!(queue.pass_on(&mut Out::default()), "the line about it is still to be written");
        assert!(!queue.pass_on(&mut Out::default()));
    }
}
