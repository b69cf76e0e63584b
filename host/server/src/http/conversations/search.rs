//! `GET /api/v1/conversations/search?q=…&limit=N`.

use atelier_domain::conversation::search::{Hit, Query, TERMS_MAX, snippet};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{ConversationView, MessageView, sample, sample_answer};
use crate::http::openapi::{Operation, Tag, number, text};
use crate::http::query::{page_size, query};
use crate::http::{ApiError, Call, Reply, answer};

const HITS_USUAL: usize = 20;
const HITS_MAX: usize = 50;
const QUERY_CHARACTERS_MAX: usize = 200;
const SNIPPET_CHARACTERS: usize = 200;

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationSearch)]
struct FoundView<'a> {
    /// The best first: rare words count more than common ones, new texts more than old ones.
    data: Vec<HitView<'a>>,
    /// A word is in so many texts that only the newest of them were looked at.
    partial: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationHit)]
struct HitView<'a> {
    conversation: ConversationView<'a>,
    /// `null` where the title was found.
    #[schema(required)]
    message: Option<MessageView<'a>>,
    /// The found text around the first of the words, in pieces.
    snippet: Vec<PieceView>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ConversationSnippetPiece)]
struct PieceView {
    text: String,
    /// It is one of the words that were looked for.
    r#match: bool,
}

/// Finds what was said in the caller's conversations.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let parameters = query(&call.parts.uri, &["q", "limit"])?;
    let text = parameters.get("q").ok_or_else(|| ApiError::MissingParameter { param: "q".to_owned() })?;
    if text.chars().count() > QUERY_CHARACTERS_MAX {
        return Err(ApiError::invalid("q", format!("must have at most {QUERY_CHARACTERS_MAX} characters")));
    }
    let wanted = Query::parse(text)
        .ok_or_else(|| ApiError::invalid("q", format!("must have 1 to {TERMS_MAX} different words")))?;
    let limit = page_size(&parameters, HITS_USUAL, HITS_MAX)?;
    let found = call.app.conversations.search(call.caller()?, wanted.clone(), limit).await?;
    let data = found.hits.iter().map(|hit| view(hit, &wanted)).collect();
    answer::json(&FoundView { data, partial: found.is_partial })
}

fn view<'a>(hit: &'a Hit, wanted: &Query) -> HitView<'a> {
    let text = match &hit.message {
        Some(message) => message.text(),
        None => hit.conversation.title.as_ref().map(|title| title.text.clone()).unwrap_or_default(),
    };
    let pieces = snippet(&text, wanted, SNIPPET_CHARACTERS);
    HitView {
        conversation: (&hit.conversation).into(),
        message: hit.message.as_ref().map(MessageView::from),
        snippet: pieces
            .into_iter()
            .map(|piece| PieceView { text: piece.text, r#match: piece.is_match })
            .collect(),
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let found = json!({"data": [{"conversation": sample(), "message": sample_answer(),
        "snippet": [{"text": "Paris", "match": true}, {"text": ".", "match": false}]}], "partial": false});
    Operation::new("searchConversations", Tag::Conversations, "Search your conversations")
        .about(
            "Finds messages, on all branches, and titles that have all of the words, whatever their case and accents. The last word may be \
             unfinished, unless something follows it.",
        )
        .query("q", text(QUERY_CHARACTERS_MAX), "The words, eight at most. It must be sent.")
        .query("limit", number(1, HITS_MAX, Some(HITS_USUAL)), "How many at most.")
        .answers::<FoundView<'_>>(200, "What was found.", found)
}
