use proptest::prelude::*;

use super::TextStream;

/// Feed `bytes` in pieces that end at `cuts`, and join what comes out.
fn run(bytes: &[u8], cuts: &[usize], stops: &[String]) -> (Vec<String>, bool) {
    let mut stream = TextStream::new(stops.to_vec());
    let mut deltas: Vec<String> = Vec::new();
    let mut start = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    for cut in cuts {
        deltas.push(stream.push(&bytes[start..cut]));
        assert_eq!(stream.given(), deltas.concat().len());
        assert!(stream.decoded() >= stream.given());
        start = cut;
    }
    deltas.push(stream.push(&bytes[start..]));
    deltas.push(stream.finish());
    assert_eq!((stream.given(), stream.decoded()), (deltas.concat().len(), stream.given()));
    (deltas, stream.is_stopped())
}

/// The contract, said plainly: grow the text a character at a time and look for the first complete stop.
fn expected(text: &str, stops: &[String]) -> (String, bool) {
    for (index, character) in text.char_indices() {
        let so_far = &text[..index + character.len_utf8()];
        let start =
            stops.iter().filter(|stop| so_far.ends_with(*stop)).map(|stop| so_far.len() - stop.len()).min();
        if let Some(start) = start {
            return (text[..start].to_owned(), true);
        }
    }
    (text.to_owned(), false)
}

proptest! {
    #[test]
    fn deltas_joined_are_the_text_up_to_the_first_complete_stop(
        text in "[abé😀 ]{0,24}",
        stops in prop::collection::vec("[abé😀]{1,4}", 0..4),
        cuts in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let (deltas, stopped) = run(text.as_bytes(), &cuts, &stops);
        prop_assert_eq!((deltas.concat(), stopped), expected(&text, &stops));
    }

    #[test]
    fn any_bytes_in_any_pieces_decode_as_they_would_at_once(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), 0xC0..=0xFFu8, 0x80..=0xBFu8], 0..40),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let (deltas, stopped) = run(&bytes, &cuts, &[]);
        prop_assert_eq!(deltas.concat(), String::from_utf8_lossy(&bytes));
        prop_assert!(!stopped);
    }
}

#[test]
fn a_character_cut_between_tokens_is_given_whole() {
    let mut stream = TextStream::new(Vec::new());
    assert_eq!(stream.push(&[0xF0, 0x9F]), "");
    assert_eq!(stream.push(&[0x98]), "");
    assert_eq!(stream.push(&[0x80, b'!']), "😀!");
}

#[test]
fn the_beginning_of_a_stop_sequence_is_held_until_it_is_decided() {
    let mut stream = TextStream::new(vec!["END".to_owned()]);
    assert_eq!(stream.push(b"so E"), "so ");
    assert_eq!(stream.push(b"N"), "");
    assert_eq!(stream.push(b"T E"), "ENT ");
    assert_eq!(stream.push(b"ND more"), "");
    assert!(stream.is_stopped());
    assert_eq!(stream.push(b"more"), "");
    assert_eq!(stream.finish(), "");
}
