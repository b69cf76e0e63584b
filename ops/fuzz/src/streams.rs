//! Streams of providers: server-sent events and lines of JSON.

use atelier_plugin_sdk::{ndjson as lines, sse as events};

use crate::memory::measured;

/// Sizes of pieces that a stream comes in.
const PIECES: [usize; 5] = [1, 2, 3, 7, 61];
/// The largest event or line, in bytes: one that nearly every stream meets, and one that hardly any does.
const BOUNDS: [usize; 2] = [24, 1 << 20];
/// How often a stream comes again when memory is measured.
const REPETITIONS: usize = 64;

/// What was read of a stream, and whether it was refused then.
#[derive(Debug, PartialEq, Eq)]
struct Read<T> {
    items: Vec<T>,
    is_refused: bool,
}

impl<T> Default for Read<T> {
    fn default() -> Self {
        Self { items: Vec::new(), is_refused: false }
    }
}

/// Name, data and last id.
type Event = (String, String, String);

/// The events of a stream are those of the specification, however it is cut, and reading it takes no more memory than its bound allows.
pub fn sse(stream: &[u8]) {
    let expected = expected_events(stream);
    for bound in BOUNDS {
        let whole = read_events(stream, stream.len().max(1), bound);
        for size in PIECES {
            assert_eq!(read_events(stream, size, bound), whole, "in pieces of {size}, bound {bound}");
        }
        if whole.0.is_refused {
            assert!(expected.starts_with(&whole.0.items), "what came before a refusal");
        } else {
            assert_eq!(whole.0.items, expected, "bound {bound}");
        }
    }
    let (bound, piece) = (BOUNDS[0], PIECES[4]);
    let ((), held) = measured(|| {
        let mut decoder = events::Decoder::new(bound);
        for piece in std::iter::repeat_n(stream, REPETITIONS).flat_map(|stream| stream.chunks(piece)) {
            decoder.feed(piece);
            if !matches!(exhausted(|| decoder.advance()), Ok(false)) {
                break;
            }
        }
    });
    assert!(held <= 40 * (bound + piece) as u64, "{held} bytes for events of {bound}");
}

/// Goes on until there is no more, or a refusal.
fn exhausted<E>(mut advance: impl FnMut() -> Result<bool, E>) -> Result<bool, E> {
    loop {
        match advance() {
            Ok(true) => {}
            ended => break ended,
        }
    }
}

/// Events, and how long the stream asks to wait.
fn read_events(stream: &[u8], size: usize, bound: usize) -> (Read<Event>, Option<u64>) {
    let (mut decoder, mut read) = (events::Decoder::new(bound), Read::default());
    'stream: for piece in stream.chunks(size) {
        decoder.feed(piece);
        loop {
            match decoder.advance() {
                Ok(true) => {
                    let event = decoder.event();
                    // A byte that is no UTF-8 becomes three.
                    assert!(event.data.len() <= 3 * bound, "larger than allowed");
                    read.items.push((event.name.into(), event.data.into(), event.last_event_id.into()));
                }
                Ok(false) => break,
                Err(_) => {
                    read.is_refused = true;
                    break 'stream;
                }
            }
        }
    }
    // What else was read of a refused stream depends on where it was refused.
    let retry_ms = decoder.retry_ms().filter(|_| !read.is_refused);
    (read, retry_ms)
}

/// The steps of WHATWG HTML §9.2.6, on a whole stream.
fn expected_events(stream: &[u8]) -> Vec<Event> {
    let text = String::from_utf8_lossy(stream);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut found, mut name, mut data, mut id) = (Vec::new(), String::new(), String::new(), String::new());
    // What is behind the last line end is no line.
    let Some((lines, _)) = text.rsplit_once('\n') else { return found };
    for line in lines.split('\n') {
        if line.is_empty() {
            if data.pop().is_some() {
                let name = if name.is_empty() { "message" } else { &name };
                found.push((name.to_owned(), data.clone(), id.clone()));
            }
            name.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value.to_owned(),
            "data" => data = data + value + "\n",
            "id" if !value.contains('\0') => id = value.to_owned(),
            _ => {}
        }
    }
    found
}

/// The lines of a stream are those of the whole text, however it is cut, and reading it takes no more memory than its bound allows.
pub fn ndjson(stream: &[u8]) {
    for bound in BOUNDS {
        let expected = expected_lines(stream, bound);
        for size in PIECES.into_iter().chain([stream.len().max(1)]) {
            assert_eq!(read_lines(stream, size, bound), expected, "in pieces of {size}, bound {bound}");
        }
    }
    let (bound, piece) = (BOUNDS[0], PIECES[4]);
    let ((), held) = measured(|| {
        let mut decoder = lines::Decoder::new(bound);
        for piece in std::iter::repeat_n(stream, REPETITIONS).flat_map(|stream| stream.chunks(piece)) {
            decoder.feed(piece);
            if !matches!(exhausted(|| decoder.advance()), Ok(false)) {
                break;
            }
        }
    });
    assert!(held <= 8 * (bound + piece) as u64 + 256, "{held} bytes for lines of {bound}");
}

fn read_lines(stream: &[u8], size: usize, bound: usize) -> Read<Vec<u8>> {
    let (mut decoder, mut read) = (lines::Decoder::new(bound), Read::default());
    for piece in stream.chunks(size) {
        decoder.feed(piece);
        take_lines(&mut decoder, &mut read);
        if read.is_refused {
            return read;
        }
    }
    decoder.end();
    take_lines(&mut decoder, &mut read);
    read
}

fn take_lines(decoder: &mut lines::Decoder, read: &mut Read<Vec<u8>>) {
    loop {
        match decoder.advance() {
            Ok(true) => read.items.push(decoder.line().to_vec()),
            Ok(false) => break,
            Err(_) => {
                read.is_refused = true;
                break;
            }
        }
    }
}

fn expected_lines(stream: &[u8], bound: usize) -> Read<Vec<u8>> {
    let mut read = Read::default();
    for line in stream.split(|byte| *byte == b'\n') {
        if line.len() > bound {
            read.is_refused = true;
            break;
        }
        if !line.trim_ascii().is_empty() {
            read.items.push(line.trim_ascii().to_vec());
        }
    }
    read
}
