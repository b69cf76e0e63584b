//! A text as sentences of clauses, each with the mark that ends it.
//!
//! eSpeak NG keeps no punctuation in its phonemes, and voices are trained with it: it is what pauses and melody come from. So a
//! text is cut here, each clause is turned into phonemes by itself, and its mark is put behind them, as Piper does with the marks that
//! eSpeak's library tells it.

/// Clauses of one sentence; the next begins a sentence of its own.
const CLAUSES_MAX: usize = 16;
/// Bytes of one clause; a longer one ends at a space with a comma.
const CLAUSE_BYTES_MAX: usize = 400;
/// After these a full stop ends nothing.
const ABBREVIATIONS: [&str; 14] =
    ["mr", "mrs", "ms", "dr", "prof", "st", "sr", "jr", "vs", "etc", "no", "fig", "vol", "approx"];

/// A part of a sentence that is spoken in one breath.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// What is said, without the mark; not empty.
    pub text: String,
    /// One of `. ! ? , ; :`.
    pub mark: char,
}

/// Cut a text. A text that ends without a mark ends as with a full stop; an empty line ends a sentence too.
pub fn sentences(text: &str) -> Vec<Vec<Clause>> {
    let mut cut = Cut::default();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let char = chars[at];
        let blank_line = char == '\n' && rest_of_line_is_blank(&chars[at + 1..]);
        match mark(char) {
            _ if blank_line => cut.end('.'),
            Some(_) => {
                let run = chars[at..].iter().take_while(|char| mark(**char).is_some()).count();
                let strongest = strongest(&chars[at..at + run]);
                if cut.ends_here(strongest, char, &chars[at + run..]) {
                    cut.end(strongest);
                } else {
                    chars[at..at + run].iter().for_each(|char| cut.push(*char));
                }
                at += run;
                continue;
            }
            None => cut.push(char),
        }
        at += 1;
    }
    cut.end('.');
    cut.sentences.into_iter().chain([cut.clauses]).filter(|sentence| !sentence.is_empty()).collect()
}

#[derive(Default)]
struct Cut {
    sentences: Vec<Vec<Clause>>,
    clauses: Vec<Clause>,
    text: String,
}

impl Cut {
    fn push(&mut self, char: char) {
        // `[[` would begin eSpeak's own phonemes; a control character is nothing to say.
        let char = if char.is_control() || matches!(char, '[' | ']') { ' ' } else { char };
        if char.is_whitespace() {
            if self.text.len() > CLAUSE_BYTES_MAX / 2 {
                return self.end(',');
            }
            if !self.text.is_empty() && !self.text.ends_with(' ') {
                self.text.push(' ');
            }
            return;
        }
        self.text.push(char);
        if self.text.len() >= CLAUSE_BYTES_MAX {
            self.end(',');
        }
    }

    /// End the clause, and the sentence where the mark says so or it has become too long.
    fn end(&mut self, mark: char) {
        let text = std::mem::take(&mut self.text);
        let text = text.trim();
        let is_spoken = |char: char| !char.is_ascii_punctuation() || "$%&+=@#*/".contains(char);
        if text.chars().any(|char| !char.is_whitespace() && is_spoken(char)) {
            self.clauses.push(Clause { text: text.to_owned(), mark });
        }
        let is_end = matches!(mark, '.' | '!' | '?') && !self.clauses.is_empty();
        if is_end || self.clauses.len() >= CLAUSES_MAX {
            self.sentences.push(std::mem::take(&mut self.clauses));
        }
    }

    /// Whether a run of marks ends a clause, from what stands around it: `3.5`, `Mr. Smith` and `10:30` go on.
    fn ends_here(&self, strongest: char, first: char, after: &[char]) -> bool {
        if !first.is_ascii() {
            return true;
        }
        let closing = |char: &&char| matches!(char, '"' | '\'' | ')' | '”' | '’' | '»' | ']');
        let after = &after[after.iter().take_while(closing).count()..];
        let Some(next) = after.first() else { return true };
        if !next.is_whitespace() {
            return false;
        }
        let Some(begin) = after.iter().find(|char| !char.is_whitespace()) else { return true };
        if strongest != '.' {
            return true;
        }
        let word = self.text.rsplit(|char: char| !char.is_alphanumeric()).next().unwrap_or_default();
        let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
        !begin.is_lowercase() && !is_initial && !ABBREVIATIONS.contains(&word.to_lowercase().as_str())
    }
}

/// The mark of a voice's alphabet that a character stands for.
fn mark(char: char) -> Option<char> {
    Some(match char {
        '.' | '…' | '。' => '.',
        '!' | '！' => '!',
        '?' | '？' | '؟' => '?',
        ',' | '、' | '，' | '،' | '—' => ',',
        ';' | '；' | '؛' => ';',
        ':' | '：' => ':',
        _ => return None,
    })
}

/// What a run such as `?!` sounds like.
fn strongest(run: &[char]) -> char {
    let marks = || run.iter().filter_map(|char| mark(*char));
    ['?', '!', '.', ':', ';'].into_iter().find(|strong| marks().any(|mark| mark == *strong)).unwrap_or(',')
}

fn rest_of_line_is_blank(after: &[char]) -> bool {
    after.iter().find(|char| **char == '\n' || !char.is_whitespace()) == Some(&'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &[&[&str]]) {
        let found: Vec<Vec<String>> = sentences(text)
            .into_iter()
            .map(|clauses| clauses.into_iter().map(|Clause { text, mark }| format!("{text}{mark}")).collect())
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_text_is_cut_at_marks_and_each_clause_keeps_its_own() {
        check("Hello, world. How are you?", &[&["Hello,", "world."], &["How are you?"]]);
        check("no mark", &[&["no mark."]]);
        check("What?! Yes…", &[&["What?"], &["Yes."]]);
        check("A title\n\nA text: so; there!", &[&["A title."], &["A text:", "so;", "there!"]]);
        check("你好。再见！", &[&["你好."], &["再见!"]]);
        check("one line\nand on", &[&["one line and on."]]);
        check("He said \"stop.\" Then left.", &[&["He said \"stop."], &["\" Then left."]]);
    }

    #[test]
    fn numbers_abbreviations_and_initials_are_not_cut() {
        check("Mr. Smith paid 3.50 at 10:30.", &[&["Mr. Smith paid 3.50 at 10:30."]]);
        check("J. S. Bach, e.g. here", &[&["J. S. Bach,", "e.g. here."]]);
        check("It is I. Truly.", &[&["It is I."], &["Truly."]]);
    }

    #[test]
    fn marks_alone_and_escapes_are_nothing_to_say() {
        check("... !? - \"\" \n\n \u{0}\u{7}", &[]);
        check("[[h@l]] x", &[&["h@l x."]]);
        check("$", &[&["$."]]);
    }

    #[test]
    fn clauses_and_sentences_have_bounds() {
        let words = sentences(&"word ".repeat(1000));
        assert!(words.iter().all(|clauses| clauses.len() <= CLAUSES_MAX));
        assert!(words.iter().flatten().all(|clause| clause.text.len() <= CLAUSE_BYTES_MAX));
        assert!(words.len() > 1);
        let one: usize = sentences(&"é".repeat(5000)).iter().flatten().map(|clause| clause.text.len()).sum();
        assert_eq!(one, 10_000);
    }

    proptest! {
        #[test]
        fn any_text_is_cut_within_bounds_and_loses_no_letter(text in "[\\PC\n.,!? ]{0,600}") {
            let found = sentences(&text);
            for clause in found.iter().flatten() {
                prop_assert!(!clause.text.is_empty() && clause.text.len() <= CLAUSE_BYTES_MAX + 4);
                prop_assert!(".!?,;:".contains(clause.mark));
            }
            prop_assert!(found.iter().all(|clauses| (1..=CLAUSES_MAX).contains(&clauses.len())));
            let letters = |text: &str| text.chars().filter(|char| char.is_alphanumeric()).count();
            prop_assert_eq!(found.iter().flatten().map(|clause| letters(&clause.text)).sum::<usize>(), letters(&text));
        }
    }
}
