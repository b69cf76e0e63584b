//! How it judges what it is asked to moderate.

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::moderation::{
    ModerationCategory, ModerationInput, ModerationRequest, ModerationResponse, Verdict,
};

use super::{Scripted, failure, unsupported};

/// What becomes of moderations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Judging {
    /// It has no such interface.
    #[default]
    Nothing,
    /// What has the word `bad` is violence, and what has `edgy` nearly; pictures are good.
    Words,
    /// The same, and all pictures are violence.
    WordsAndPictures,
    /// It has no categories, and flags what has the word `bad`.
    Bare,
    /// It does not answer.
    Hangs,
    Fails,
    /// It gives no verdict at all.
    Miscounts,
}

impl Scripted {
    pub(super) async fn judge(
        &self,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        let judging = *self.judging.lock().expect("no panic");
        let inputs: Vec<String> = request.inputs.iter().map(word).collect();
        self.seen.lock().expect("no panic").judged.push(inputs.clone());
        let verdicts = match judging {
            Judging::Nothing => return unsupported(),
            Judging::Fails => return Err(failure(FailureCode::Overloaded)),
            Judging::Hangs => std::future::pending().await,
            Judging::Miscounts => Vec::new(),
            Judging::Words | Judging::WordsAndPictures | Judging::Bare => {
                inputs.iter().map(|text| verdict(text, judging)).collect()
            }
        };
        Ok(ModerationResponse { id: "modr-1".to_owned(), model: request.model, verdicts, usage: Vec::new() })
    }
}

fn word(input: &ModerationInput) -> String {
    match input {
        ModerationInput::Text(text) => text.clone(),
        ModerationInput::Image(_) => "(picture)".to_owned(),
        ModerationInput::Other(_) => "(other)".to_owned(),
    }
}

fn verdict(text: &str, judging: Judging) -> Verdict {
    let is_picture = judging == Judging::WordsAndPictures && text == "(picture)";
    let flagged = text.contains("bad") || is_picture;
    let score = match (flagged, text.contains("edgy")) {
        (true, _) => 0.9,
        (false, true) => 0.4,
        (false, false) => 0.01,
    };
    let category = |name: &str, flagged, score| ModerationCategory {
        name: name.to_owned(),
        flagged,
        score,
        applied_to: Vec::new(),
    };
    let categories = match judging {
        Judging::Bare => Vec::new(),
        _ => vec![category("sexual", false, 0.0), category("violence", flagged, score)],
    };
    Verdict { flagged, categories, extra: None }
}
