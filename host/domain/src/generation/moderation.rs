//! Moderation.

use super::usage::UsageLine;
use super::{Json, Media, Other};

#[derive(Clone, Debug)]
pub enum ModerationInput {
    Text(String),
    Image(Media),
    Other(Other),
}

#[derive(Clone, Debug)]
pub struct ModerationRequest {
    pub model: String,
    pub inputs: Vec<ModerationInput>,
    pub options: Json,
}

#[derive(Clone, Debug)]
pub struct ModerationCategory {
    pub name: String,
    pub flagged: bool,
    /// 0 to 1.
    pub score: f64,
    /// `text`, `image`
    pub applied_to: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Verdict {
    pub flagged: bool,
    pub categories: Vec<ModerationCategory>,
    /// The provider's other fields, an object.
    pub extra: Option<Json>,
}

#[derive(Clone, Debug)]
pub struct ModerationResponse {
    pub id: String,
    pub model: String,
    pub verdicts: Vec<Verdict>,
    pub usage: Vec<UsageLine>,
}
