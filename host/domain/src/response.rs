//! Answers that are kept, so that later requests can go on from them (OpenAI API, responses).

use serde::{Deserialize, Serialize};

use crate::id::{ResponseId, UserId};
use crate::time::Timestamp;

/// An answer with what it was an answer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredResponse {
    pub id: ResponseId,
    pub owner: UserId,
    /// The answer that it goes on from, which may be gone by now.
    pub previous: Option<ResponseId>,
    pub created: Timestamp,
    /// When it goes by itself.
    pub expires: Timestamp,
    /// The items that were sent with the request, each a JSON object as text.
    pub input: Vec<String>,
    /// The items of the answer, the same.
    pub output: Vec<String>,
    /// The whole answer as it was given: a JSON object as text.
    pub answer: String,
}

impl StoredResponse {
    /// What counts against its owner's quota.
    pub fn bytes(&self) -> u64 {
        let items = self.input.iter().chain(&self.output).map(String::len).sum::<usize>();
        (items + self.answer.len()) as u64
    }
}
