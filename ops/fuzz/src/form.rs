//! Multipart forms.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use atelier_server::fuzzing::{Fields, fields};
use atelier_server::http::ApiError;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::runtime::{Builder, Runtime};

use crate::memory::measured;

const PIECES: [usize; 4] = [1, 3, 17, 1000];
/// A form's bounds: one that nearly every form meets, and one that none does here.
const BOUNDS: [usize; 2] = [64, 64 << 20];
/// What may be read of a form beyond its fields, and be held.
const OVERHEAD_BYTES_MAX: usize = 64 << 10;
/// How much of a form there is when memory is measured.
const ENDLESS_BYTES: usize = 512 << 10;
/// Bodies that are longer could have too much in no field, which one reading may see and another not.
const BODY_BYTES_MAX: usize = OVERHEAD_BYTES_MAX / 2;

/// However a form comes, its fields are the same, and what is read and held of it is bounded. The first line is its content type.
pub fn multipart(bytes: &[u8]) {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else { return };
    let Ok(content_type) = std::str::from_utf8(&bytes[..end]) else { return };
    let body = &bytes[end + 1..];
    if body.len() > BODY_BYTES_MAX {
        return;
    }
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
    for bound in BOUNDS {
        let whole = read(&runtime, content_type, body, body.len().max(1), bound);
        if let Ok(fields) = &whole {
            let content: usize = fields.iter().map(|(_, _, content)| content.len()).sum();
            assert!(content <= bound.min(body.len()), "{content} bytes of a form of {bound}");
            assert!(fields.iter().all(|(_, file, _)| file.as_ref().is_none_or(|file| file.len() <= 512)));
        }
        for size in PIECES {
            match (&whole, &read(&runtime, content_type, body, size, bound)) {
                (Ok(whole), Ok(cut)) => assert_eq!(whole, cut, "in pieces of {size}"),
                (Err(_), Err(_)) => {}
                (whole, cut) => panic!("in pieces of {size}, {cut:?}; otherwise {whole:?}"),
            }
        }
    }
    if !body.is_empty() {
        without_end(&runtime, content_type, body);
    }
}

fn read(
    runtime: &Runtime,
    content_type: &str,
    body: &[u8],
    size: usize,
    bound: usize,
) -> Result<Fields, ApiError> {
    let pieces: Vec<Bytes> = body.chunks(size).map(Bytes::copy_from_slice).collect();
    runtime.block_on(fields(content_type, stream::iter(pieces), bound))
}

/// The same body again and again is left off in time.
fn without_end(runtime: &Runtime, content_type: &str, body: &[u8]) {
    let taken = Arc::new(AtomicUsize::new(0));
    let count = taken.clone();
    let (bound, piece) = (BOUNDS[0], Bytes::copy_from_slice(body));
    let pieces = stream::repeat(piece).take(ENDLESS_BYTES / body.len() + 1).inspect(move |piece| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
    });
    let (_, held) = measured(|| runtime.block_on(fields(content_type, pieces, bound)));
    let taken = taken.load(Ordering::Relaxed);
    let max = bound + 3 * OVERHEAD_BYTES_MAX + 2 * body.len();
    assert!(taken <= max, "{taken} bytes were read");
    assert!(held <= 8 * max as u64, "{held} bytes were held");
}
