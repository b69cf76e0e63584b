use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use proptest::prelude::*;

use super::fuzzing::{Fields, read};
use super::*;

const BOUNDARY: &str = "BOUNDARY";
const IDLE_MAX: Duration = Duration::from_secs(60);

fn form(body: Vec<Bytes>) -> Form {
    let pieces = stream::iter(body).then(|piece| async {
        // As from a connection: each piece comes in a moment of its own.
        tokio::task::yield_now().await;
        Ok(piece)
    });
    Form::over(pieces, BOUNDARY.to_owned(), 64 << 20, IDLE_MAX)
}

fn run<T>(reading: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(reading)
}

fn part(head: &str, content: &[u8]) -> Vec<u8> {
    [format!("--{BOUNDARY}\r\ncontent-disposition: form-data; {head}\r\n\r\n").as_bytes(), content, b"\r\n"]
        .concat()
}

fn end() -> Vec<u8> {
    format!("--{BOUNDARY}--\r\n").into_bytes()
}

/// Pieces of so many bytes without end, counted as they are read.
fn endless(begin: &str, piece: Bytes) -> (Form, Arc<AtomicUsize>) {
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    let first = stream::iter([Ok(Bytes::from(begin.to_owned()))]);
    let pieces = first.chain(stream::repeat(piece).then(move |piece| {
        count.fetch_add(piece.len(), Ordering::Relaxed);
        async {
            tokio::task::yield_now().await;
            Ok(piece)
        }
    }));
    (Form::over(pieces, BOUNDARY.to_owned(), 64 << 20, IDLE_MAX), read)
}

#[test]
fn what_is_in_no_field_is_bounded_wherever_it_is() {
    let head = format!("--{BOUNDARY}\r\nx-long: ");
    let second =
        format!("{}--{BOUNDARY}\r\nx-long: ", String::from_utf8(part("name=\"a\"", b"1")).expect("text"));
    let padding = format!("--{BOUNDARY}");
    for (what, begin) in [("preamble", ""), ("head", &head), ("a later head", &second), ("padding", &padding)]
    {
        for size in [1, 100, 70_000] {
            let (form, taken) = endless(begin, Bytes::from(vec![b' '; size]));
            let outcome = run(read(form));
            assert!(matches!(outcome, Err(ApiError::FormOverhead { max: 65_536 })), "{what}: {outcome:?}");
            let taken = taken.load(Ordering::Relaxed);
            assert!(taken <= 3 * OVERHEAD_BYTES_MAX, "{what}: {taken} bytes were read");
        }
    }
}

#[test]
fn as_much_as_is_allowed_is_in_no_field() {
    let before = vec![b'x'; OVERHEAD_BYTES_MAX - 200];
    let content = Bytes::from(vec![b'y'; 5 << 20]);
    let body = [before, part("name=\"file\"; filename=\"f\"", &content), end()].concat();
    for size in [1000, 64 * 1024, body.len()] {
        let pieces = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let fields = run(read(form(pieces))).expect("a form");
        assert_eq!(fields, [("file".to_owned(), Some("f".to_owned()), content.clone())]);
    }
}

#[test]
fn a_form_has_so_many_fields() {
    let fields = |count: usize| {
        let parts: Vec<u8> = (0..count).flat_map(|n| part(&format!("name=\"f{n}\""), b"")).collect();
        run(read(form(vec![Bytes::from([parts, end()].concat())])))
    };
    assert_eq!(fields(FIELDS_MAX).expect("a form").len(), FIELDS_MAX);
    let refused = fields(FIELDS_MAX + 1);
    assert!(
        matches!(&refused, Err(ApiError::Invalid { message, .. }) if message == "at most 64 fields"),
        "{refused:?}"
    );
}

#[test]
fn a_long_file_name_is_cut_between_characters_and_keeps_its_ending() {
    assert_eq!(shortened("a.mp3"), "a.mp3");
    for name in [format!("{}.mp3", "a".repeat(600)), format!("{}.mp3", "声".repeat(255)), "🎵".repeat(255)]
    {
        let short = shortened(&name);
        assert!(short.len() <= 512 && short.chars().count() <= 255, "{} bytes", short.len());
        assert_eq!(short.ends_with(".mp3"), name.ends_with(".mp3"));
        assert!(short.len() >= 255, "no shorter than need be");
    }
    assert_eq!(
        shortened(&format!("a.{}", "b".repeat(300))).len(),
        255,
        "what is too long for an ending is none"
    );
}

proptest! {
    #[test]
    fn however_a_form_is_cut_its_fields_are_the_same(
        parts in prop::collection::vec((("[a-z]{1,8}"), prop::option::of("[a-zé]{1,8}"), prop::collection::vec(any::<u8>(), 0..200)), 0..6),
        preamble in "[ -,a-z\r\n]{0,40}",
        cuts in prop::collection::vec(1usize..40, 1..200),
    ) {
        let mut body = preamble.into_bytes();
        let mut wanted: Fields = Vec::new();
        for (name, file, content) in parts {
            // A boundary in a field would end it.
            let content: Vec<u8> = content.into_iter().filter(|byte| *byte != b'-').collect();
            let file_name = file.as_ref().map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
            body.extend(part(&format!("name=\"{name}\"{file_name}"), &content));
            wanted.push((name, file, content.into()));
        }
        body.extend(end());
        let (mut rest, mut pieces) = (Bytes::from(body), Vec::new());
        for cut in cuts.into_iter().cycle() {
            if rest.is_empty() {
                break;
            }
            pieces.push(rest.split_to(cut.min(rest.len())));
        }
        prop_assert_eq!(run(read(form(pieces))).expect("a form"), wanted);
    }

    #[test]
    fn arbitrary_bytes_are_a_form_or_none_and_never_more(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
        // However it ends, it ends.
        let _ = run(read(form(pieces.into_iter().map(Bytes::from).collect())));
    }
}
