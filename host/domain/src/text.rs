//! What text a caller may send as a prompt.

/// Why a prompt is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPrompt {
    #[error("it is empty")]
    Empty,
    #[error("it has more than {max} characters")]
    TooLong { max: usize },
    #[error("it contains the control character U+{0:04X}; only line breaks and tabs are allowed")]
    ControlCharacter(u32),
    #[error("it contains a word of more than 100 characters, which this model does not allow")]
    WordTooLong,
}

/// The most characters of one text part.
pub const PROMPT_CHARACTERS_MAX: usize = 2_000_000;
/// The most characters of one word of a media prompt.
pub const WORD_CHARACTERS_MAX: usize = 100;

/// Checks a chat text, which is passed on as it is. Lone surrogates cannot occur: the text is valid UTF-8.
///
/// # Errors
/// The rule it breaks.
pub fn check_chat_text(text: &str) -> Result<(), InvalidPrompt> {
    if text.len() > PROMPT_CHARACTERS_MAX && text.chars().count() > PROMPT_CHARACTERS_MAX {
        return Err(InvalidPrompt::TooLong { max: PROMPT_CHARACTERS_MAX });
    }
    // A control character is one byte below 0x20, or 0x7F, or two bytes C2 80..9F. The first two are found in bulk.
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(());
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
        Some(c) => Err(InvalidPrompt::ControlCharacter(u32::from(c))),
        None => Ok(()),
    }
}

/// Checks and trims a prompt for images, video or sound.
///
/// # Errors
/// The rule it breaks.
pub fn check_media_prompt(text: &str, long_words: bool) -> Result<&str, InvalidPrompt> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InvalidPrompt::Empty);
    }
    check_chat_text(text)?;
    if !long_words && text.split_whitespace().any(|word| word.chars().count() > WORD_CHARACTERS_MAX) {
        return Err(InvalidPrompt::WordTooLong);
    }
    Ok(text)
}

/// Known texts that are nearest to a mistyped one, best first: at most three, none too far away.
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let typed: Vec<char> = typed.chars().take(128).collect();
    let mut found: Vec<(usize, &str)> = known
        .into_iter()
        .map(|candidate| {
            let tail = candidate.split_once('/').map_or(candidate, |(_, model)| model);
            (edit_distance(&typed, candidate).min(edit_distance(&typed, tail)), candidate)
        })
        .filter(|(distance, candidate)| *distance <= 2 + candidate.len() / 4)
        .collect();
    found.sort();
    found.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// Levenshtein's distance.
fn edit_distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, cb) in b.chars().take(128).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, ca) in a.iter().enumerate() {
            let substituted = diagonal + usize::from(*ca != cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[a.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_other_than_breaks_and_tabs_are_refused() {
        assert_eq!(check_chat_text("a\u{0}b"), Err(InvalidPrompt::ControlCharacter(0)));
        assert_eq!(check_chat_text("a\u{85}b"), Err(InvalidPrompt::ControlCharacter(0x85)));
        assert_eq!(check_chat_text("line\r\n\ttab é 漢字 🎉"), Ok(()));
    }

    #[test]
    fn a_media_prompt_is_trimmed_and_its_words_are_bounded() {
        assert_eq!(check_media_prompt("  a cat \n", false), Ok("a cat"));
        assert_eq!(check_media_prompt(" \t", false), Err(InvalidPrompt::Empty));
        assert_eq!(check_media_prompt(&"x".repeat(101), false), Err(InvalidPrompt::WordTooLong));
        assert!(check_media_prompt(&"x".repeat(101), true).is_ok());
    }

    #[test]
    fn a_mistyped_model_finds_its_neighbours() {
        let known = ["openai/gpt-4o", "openai/gpt-4o-mini", "local/smollm2-135m-instruct"];
        assert_eq!(nearest("openai/gpt4o", known)[0], "openai/gpt-4o");
        assert_eq!(nearest("gpt-4o-mni", known)[0], "openai/gpt-4o-mini");
        assert!(nearest("completely-different-thing-altogether", known).is_empty());
    }
}
