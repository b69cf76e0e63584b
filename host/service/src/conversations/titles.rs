//! Titles that a model makes, after an answer and never before it.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::conversation::{Exchanged, Title, TitleOrigin};
use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::model::Task;

use super::Inner;
use super::draft::Draft;
use crate::ServiceError;
use crate::caller::Caller;
use crate::generation::answer::ChatAnswer;
use crate::limits::{Class, Subject};

const TAKES_MAX: Duration = Duration::from_secs(60);
const TOKENS_MAX: u32 = 32;
/// Characters of question and answer that the model is shown, each.
const SHOWN_CHARACTERS_MAX: usize = 2_000;
const CHARACTERS_MAX: usize = 80;
const ASKED: &str = "Give the conversation below a title of six words at most, in its own language. Answer with the title alone.";

/// Has a title made for the first exchange of a conversation, if the operator named a model for that. The call is the caller's: it counts
/// against their limit for titles, and is paid as any other. Where anything is in the way, the first words stay.
pub(super) fn begin(caller: &Caller, draft: &Draft) {
    let (inner, exchanged) = (draft.inner().clone(), &draft.exchanged);
    let origin = exchanged.conversation.title.as_ref().map(|title| title.origin);
    let is_first = exchanged.question.parent.is_none() && origin == Some(TitleOrigin::FirstWords);
    let Some(model) = inner.settings.title_model.clone().filter(|_| is_first) else { return };
    let Ok(place) = inner.titling.clone().try_acquire_owned() else { return };
    let (user, now) = (Subject::User(caller.user()), inner.ports.clock.monotonic_ms());
    if inner.ports.limiter.take(user, Class::Titles, now).retry_after.is_some() {
        return;
    }
    // Another call than the one that may have come with a key.
    let (caller, exchanged) = (Caller { keyed: None, ..caller.clone() }, exchanged.clone());
    tokio::spawn(async move {
        let conversation = exchanged.conversation.id;
        match tokio::time::timeout(TAKES_MAX, make(&inner, &caller, &model, exchanged)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%conversation, %error, "a title could not be made"),
            Err(_) => tracing::warn!(%conversation, "a title took too long to be made"),
        }
        drop(place);
    });
}

async fn make(
    inner: &Arc<Inner>,
    caller: &Caller,
    model: &str,
    exchanged: Exchanged,
) -> Result<(), ServiceError> {
    let generations = &inner.ports.generations;
    let resolved = generations.resolve(caller, model, Task::Chat).await?;
    let shown = |text: String| text.chars().take(SHOWN_CHARACTERS_MAX).collect::<String>();
    let talk = format!(
        "User: {}\n\nAssistant: {}",
        shown(exchanged.question.text()),
        shown(exchanged.answer.text())
    );
    let said = |role, text: String| Message { role, parts: vec![Part::Text(text)], name: None };
    let messages = vec![said(ChatRole::System, ASKED.to_owned()), said(ChatRole::User, talk)];
    let mut request = ChatRequest::new(String::new(), messages);
    request.max_output_tokens = Some(TOKENS_MAX);
    let answer = ChatAnswer::read(generations.chat(caller, resolved, request)?).await?;
    let Some(title) = title(&answer.text) else { return Ok(()) };
    let (store, owner, id) = (inner.ports.store.clone(), caller.user(), exchanged.conversation.id);
    let changing = inner.ports.pool.run(move || {
        store.change_conversation(owner, id, &|conversation| {
            // Its owner may have named it meanwhile.
            if conversation.title.as_ref().is_none_or(|now| now.origin < title.origin) {
                conversation.title = Some(title.clone());
            }
        })
    });
    changing.await.map(drop)
}

/// What a model made, without what it wrote around it.
fn title(text: &str) -> Option<Title> {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty())?;
    let bare = line.trim_matches(|c: char| {
        c.is_whitespace() || matches!(c, '"' | '“' | '”' | '«' | '»' | '*' | '#' | '`')
    });
    let text: String = bare.chars().filter(|c| !c.is_control()).take(CHARACTERS_MAX).collect();
    (!text.is_empty()).then_some(Title { text, origin: TitleOrigin::Model })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_bounded_line_without_quotes() {
        let made = |text: &str| title(text).map(|title| title.text);
        assert_eq!(made("\n \"Lighthouses of Norway\"\nand more"), Some("Lighthouses of Norway".to_owned()));
        assert_eq!(made("**Owls**"), Some("Owls".to_owned()));
        assert_eq!(made(" \n\"\"\n"), None);
        assert_eq!(made(&"x".repeat(500)).map(|text| text.len()), Some(80));
    }
}
