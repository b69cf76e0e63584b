//! Long texts in pieces that a moderation model takes.

/// Bytes of one piece: some two thousand tokens.
pub(super) const PIECE_BYTES: usize = 8000;
/// Bytes that a piece repeats of the one before, so that no sentence is judged in two halves alone.
const OVERLAP_BYTES: usize = 400;

/// A text in pieces. The beginning of one that grows stays in the same pieces, so that a conversation's are known from its last turn.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = Some(0);
    std::iter::from_fn(move || {
        let from = begin?;
        let end = boundary(text, from + PIECE_BYTES);
        begin = (end < text.len()).then(|| boundary(text, end - OVERLAP_BYTES));
        text.get(from..end)
    })
}

/// The last beginning of a character that is not behind `at`; the text's end where it ends before.
fn boundary(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        // Each is some thousands of characters.
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn pieces_cover_a_text_and_overlap(text in "[aé漢🦀 ]{0,9000}") {
            let all: Vec<&str> = pieces(&text).collect();
            let offset = |piece: &str| piece.as_ptr() as usize - text.as_ptr() as usize;
            let mut covered = 0;
            for (i, piece) in all.iter().enumerate() {
                prop_assert!(piece.len() <= PIECE_BYTES);
                prop_assert!(offset(piece) <= covered, "a gap");
                let shared = covered - offset(piece);
                prop_assert!(i == 0 || (OVERLAP_BYTES..OVERLAP_BYTES + 4).contains(&shared), "{shared}");
                covered = offset(piece) + piece.len();
            }
            prop_assert_eq!(covered, text.len());
        }

        #[test]
        fn a_text_that_grows_keeps_its_first_pieces(text in "[aé ]{9000,12000}") {
            let first = pieces(&text).next().map(str::to_owned);
            let grown = format!("{text}{text}");
            prop_assert_eq!(first, pieces(&grown).next().map(str::to_owned));
        }
    }
}
