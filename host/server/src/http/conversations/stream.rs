//! An answer in events, as it is made.

use atelier_domain::conversation::Exchanged;
use atelier_service::conversations::AnswerEvent;
use serde::Serialize;
use utoipa::ToSchema;

use super::view::MessageView;
use crate::http::sse::{self, Script};
use crate::http::{ApiError, Dialect};

/// What one event's `data` is; its `event` is the same word as its `type`.
#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = ConversationEvent)]
pub(super) enum Event<'a> {
    /// Question and pending answer are stored.
    Started {
        question: Box<MessageView<'a>>,
        message: Box<MessageView<'a>>,
    },
    Text {
        text: &'a str,
    },
    Thinking {
        text: &'a str,
    },
    Refusal {
        text: &'a str,
    },
    /// The answer is stored, as it is here. The last event of every whole answer.
    Finished {
        message: Box<MessageView<'a>>,
    },
}

/// Writes an answer's events.
pub(super) struct Events {
    /// Told first.
    begun: Option<Box<Exchanged>>,
}

impl Events {
    pub(super) fn new(begun: Exchanged) -> Self {
        Self { begun: Some(Box::new(begun)) }
    }
}

impl Script<AnswerEvent> for Events {
    const DIALECT: Dialect = Dialect::Problem;

    fn event(&mut self, event: AnswerEvent, out: &mut Vec<u8>) {
        if let Some(begun) = self.begun.take() {
            let question = Box::new((&begun.question).into());
            let message = Box::new((&begun.answer).into());
            sse::named(out, "started", &Event::Started { question, message });
        }
        match &event {
            AnswerEvent::Text(text) => sse::named(out, "text", &Event::Text { text }),
            AnswerEvent::Thinking(text) => sse::named(out, "thinking", &Event::Thinking { text }),
            AnswerEvent::Refusal(text) => sse::named(out, "refusal", &Event::Refusal { text }),
            AnswerEvent::Finished(exchanged) => {
                let message = Box::new((&exchanged.answer).into());
                sse::named(out, "finished", &Event::Finished { message });
            }
        }
    }

    fn end(&mut self, _: &mut Vec<u8>) {}

    fn failed(&mut self, error: &ApiError, request_id: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(b"event: error\ndata: ");
        out.extend_from_slice(&error.object(Self::DIALECT, request_id));
        out.extend_from_slice(b"\n\n");
    }
}
