use super::*;
use proptest::prelude::*;

/// All events of a stream that arrives in pieces of the given sizes, the last of them repeated.
fn decode(
    stream: &[u8],
    sizes: &[usize],
    event_bytes_max: usize,
) -> Result<Vec<(String, String, String)>, Failure> {
    let mut decoder = Decoder::new(event_bytes_max);
    let mut events = Vec::new();
    let mut sizes = sizes.iter().copied();
    let mut size = 1;
    let mut rest = stream;
    while !rest.is_empty() {
        size = sizes.next().unwrap_or(size).clamp(1, rest.len());
        let (piece, after) = rest.split_at(size);
        decoder.feed(piece);
        while decoder.advance()? {
            let event = decoder.event();
            events.push((event.name.to_owned(), event.data.to_owned(), event.last_event_id.to_owned()));
        }
        rest = after;
    }
    Ok(events)
}

fn message(data: &str) -> (String, String, String) {
    ("message".to_owned(), data.to_owned(), String::new())
}

#[test]
fn the_specification_s_examples_decode_as_it_says() {
    let stream = b"data: YHOO\ndata: +2\ndata: 10\n\n";
    assert_eq!(decode(stream, &[64], 100).unwrap(), [message("YHOO\n+2\n10")]);

    let stream =
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let events = decode(stream, &[64], 100).unwrap();
    assert_eq!(
        events.iter().map(|event| event.1.as_str()).collect::<Vec<_>>(),
        ["first event", "second event", " third event"]
    );
    assert_eq!(events.iter().map(|event| event.2.as_str()).collect::<Vec<_>>(), ["1", "", ""]);

    let stream = b"data\n\ndata\ndata\n\ndata:";
    assert_eq!(decode(stream, &[64], 100).unwrap(), [message(""), message("\n")]);

    let stream = b"data:test\n\ndata: test\n\n";
    assert_eq!(decode(stream, &[64], 100).unwrap(), [message("test"), message("test")]);
}

#[test]
fn every_line_end_counts_once_however_the_stream_is_cut() {
    for stream in [
        "data: a\r\ndata: b\r\n\r\n",
        "data: a\rdata: b\r\r",
        "data: a\ndata: b\n\n",
        "data: a\r\ndata: b\r\n\n",
    ] {
        for size in 1..8 {
            assert_eq!(
                decode(stream.as_bytes(), &[size], 100).unwrap(),
                [message("a\nb")],
                "{stream:?} by {size}"
            );
        }
    }
}

#[test]
fn names_last_for_one_event_and_a_byte_order_mark_is_passed() {
    let stream = "\u{feff}event: delta\ndata: 1\n\ndata: 2\n\nevent: lost\n\ndata: 3\n\n".as_bytes();
    let names: Vec<_> = decode(stream, &[1], 100).unwrap().into_iter().map(|event| event.0).collect();
    assert_eq!(names, ["delta", "message", "message"]);
}

#[test]
fn what_has_no_empty_line_after_it_is_no_event() {
    assert!(decode(b"data: half", &[64], 100).unwrap().is_empty());
    assert!(decode(b"data: half\n", &[64], 100).unwrap().is_empty());
}

#[test]
fn invalid_utf8_is_replaced_and_split_characters_are_joined() {
    assert_eq!(decode(b"data: \xff!\n\n", &[1], 100).unwrap(), [message("\u{fffd}!")]);
    assert_eq!(decode("data: 日本\n\n".as_bytes(), &[1], 100).unwrap(), [message("日本")]);
}

#[test]
fn an_event_past_the_bound_is_refused_whether_in_one_line_or_many() {
    let long = [b"data: ".as_slice(), &[b'x'; 200]].concat();
    assert_eq!(decode(&long, &[64], 100).unwrap_err().code, "bad-response");
    let many = b"data: xxxxxxxx\n".repeat(20);
    assert_eq!(decode(&many, &[64], 100).unwrap_err().code, "bad-response");
    let separate = b"data: xxxxxxxx\n\n".repeat(20);
    assert_eq!(decode(&separate, &[64], 100).unwrap().len(), 20);
}

#[test]
fn a_wish_to_wait_is_kept_and_nonsense_is_not() {
    let mut decoder = Decoder::new(100);
    decoder.feed(b"retry: 2500\nretry: soon\n\n");
    assert!(!decoder.advance().unwrap());
    assert_eq!(decoder.retry_ms(), Some(2500));
}

fn field() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ü:]{0,12}".prop_map(|value| format!("data:{value}")),
        "[a-z]{0,6}".prop_map(|value| format!("event: {value}")),
        "[a-z]{0,6}".prop_map(|value| format!("id: {value}")),
        "[a-z]{0,6}".prop_map(|value| format!(":{value}")),
        Just(String::new()),
        Just("data".to_owned()),
    ]
}

proptest! {
    #[test]
    fn cuts_do_not_change_what_a_stream_says(
        fields in prop::collection::vec((field(), prop::sample::select(vec!["\n", "\r\n"])), 0..20),
        sizes in prop::collection::vec(1usize..9, 1..40),
    ) {
        let stream: String = fields.iter().flat_map(|(field, end)| [field.as_str(), end]).collect();
        let whole = decode(stream.as_bytes(), &[stream.len()], 10_000).unwrap();
        prop_assert_eq!(decode(stream.as_bytes(), &sizes, 10_000).unwrap(), whole);
    }

    #[test]
    fn no_bytes_panic(stream in prop::collection::vec(any::<u8>(), 0..300), sizes in prop::collection::vec(1usize..50, 1..10)) {
        let _ = decode(&stream, &sizes, 100);
    }
}
