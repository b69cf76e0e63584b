//! A feed on the wire (WHATWG HTML §9.2): each event with its number as `id`, by which a reader goes on where it left.

use std::convert::Infallible;

use atelier_service::events::{FeedItem, Feeding};
use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

use super::message::EventView;
use crate::http::openapi::{Operation, words};
use crate::http::{ApiError, Reply, query, sse};

/// How soon a reader asks again after a feed has ended.
const RETRY: &[u8] = b"retry: 1000\n\n";
const ALIVE: &[u8] = b": keep-alive\n\n";
const LAST_EVENT_ID: &str = "last-event-id";
/// The parameter for a first connection, at which browsers send no such header.
pub(in crate::http) const AFTER: &str = "last_event_id";

/// Events that a reader asked for are kept no more: it is to look at its jobs themselves.
#[derive(Serialize, ToSchema)]
#[schema(as = EventsMissed)]
struct Missed {
    #[serde(rename = "type")]
    #[schema(inline, value_type = MissedWord)]
    kind: &'static str,
    /// The number of the oldest event that follows or may follow.
    oldest: u64,
}

words! {
    MissedWord: "events.missed";
}

/// The number after which a reader wants to go on: from its header, else from the query.
///
/// # Errors
/// It is no number.
pub(in crate::http) fn after(headers: &HeaderMap, asked: Option<&String>) -> Result<Option<u64>, ApiError> {
    let header = match headers.get(LAST_EVENT_ID) {
        None => None,
        Some(value) => {
            Some(value.to_str().map_err(|_| ApiError::invalid(LAST_EVENT_ID, "must be a number"))?)
        }
    };
    let (param, text) = match (header.filter(|text| !text.is_empty()), asked) {
        (Some(text), _) => (LAST_EVENT_ID, text),
        (None, Some(text)) => (AFTER, text.as_str()),
        (None, None) => return Ok(None),
    };
    query::parsed(param, text).map(Some)
}

/// Answers with a feed's events as they come. The feed ends when its reader leaves.
pub(in crate::http) fn reply(mut items: Feeding) -> Reply {
    let items = stream::poll_fn(move |context| items.poll_recv(context)).map(|item| frame(&item));
    let begin = stream::iter([Bytes::from_static(RETRY)]);
    sse::reply(Body::from_stream(begin.chain(items).map(Ok::<_, Infallible>)))
}

fn frame(item: &FeedItem) -> Bytes {
    let mut out = Vec::with_capacity(512);
    match item {
        FeedItem::Alive => return Bytes::from_static(ALIVE),
        FeedItem::Event(event) => {
            out.extend_from_slice(format!("id: {}\n", event.sequence).as_bytes());
            sse::named(&mut out, event.kind.as_str(), &EventView::from(&**event));
        }
        FeedItem::Missed { oldest } => {
            let missed = Missed { kind: "events.missed", oldest: *oldest };
            out.extend_from_slice(format!("id: {}\n", oldest.saturating_sub(1)).as_bytes());
            sse::named(&mut out, missed.kind, &missed);
        }
    }
    out.into()
}

/// What the reference says of a feed's answer.
pub(in crate::http) fn described(operation: Operation) -> Operation {
    let example = "retry: 1000\n\nid: 42\nevent: generation.succeeded\ndata: {\"type\":\"generation.succeeded\",…}\n\n\
                   id: 96\nevent: events.missed\ndata: {\"type\":\"events.missed\",\"oldest\":97}\n\n";
    operation.empty(200, "Events as they come.").or_events::<EventView<'_>>(example).schema::<Missed>()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn the_header_goes_before_the_query_and_what_is_no_number_is_refused() {
        let headers = |text: &'static str| {
            let value = HeaderValue::from_static(text);
            HeaderMap::from_iter([(http::HeaderName::from_static(LAST_EVENT_ID), value)])
        };
        let asked = "7".to_owned();
        assert_eq!(after(&HeaderMap::new(), None).expect("none"), None);
        assert_eq!(after(&HeaderMap::new(), Some(&asked)).expect("a number"), Some(7));
        assert_eq!(after(&headers("42"), Some(&asked)).expect("a number"), Some(42));
        assert_eq!(after(&headers(""), Some(&asked)).expect("a number"), Some(7));
        for text in ["-1", "x", "18446744073709551616", "1 OR 1"] {
            assert!(after(&headers(text), None).is_err(), "{text}");
        }
    }

    #[test]
    fn what_was_missed_has_an_id_from_which_a_reader_goes_on() {
        let frame = frame(&FeedItem::Missed { oldest: 97 });
        let text = String::from_utf8(frame.to_vec()).expect("text");
        assert_eq!(
            text,
            "id: 96\nevent: events.missed\ndata: {\"type\":\"events.missed\",\"oldest\":97}\n\n"
        );
    }
}
