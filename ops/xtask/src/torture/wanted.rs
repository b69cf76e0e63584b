//! What is asked for, and what its answers say.

use serde_json::{Value, json};

use super::{
    book::{Kind, Request, Standing},
    client::Sent,
    prices::CHAT_TOKENS_MAX,
    setup::POOR,
};

/// What the user with few credits is granted at a time: a few of anything.
pub const GRANTED: u64 = 60_000;
/// What is given back of a job's charge at a time.
pub const REFUNDED: u64 = 7;

/// A request's path and body. A job's prompt is its key, by which it is found.
pub fn wanted(request: &Request, key: &str) -> (String, Value) {
    let job = |model: &str, task: &str| {
        ("/api/v1/generations".to_owned(), json!({"model": model, "task": task, "prompt": key}))
    };
    match request.kind {
        Kind::Called => job("calls/mock/image", "image-generation"),
        Kind::Polled => job("polls/sora-2", "video-generation"),
        Kind::Steady => job("steady/steady", "video-generation"),
        Kind::Image => (
            "/v1/images/generations".to_owned(),
            json!({"model": "polls/gpt-image-1", "prompt": key, "size": "64x64"}),
        ),
        Kind::Chat => chat(key, true),
        Kind::Plain => chat(key, false),
        Kind::Grant => {
            ("/api/v1/credits".to_owned(), json!({"user": POOR, "amount": GRANTED, "reason": key}))
        }
        Kind::Refund => (
            format!("/api/v1/generations/{}/refund", request.target.as_deref().unwrap_or_default()),
            json!({"amount": REFUNDED, "reason": key}),
        ),
    }
}

/// What a chat says.
pub fn chat_text(key: &str) -> String {
    format!("tell me in a few words what became of {key}")
}

/// A chat completion.
pub fn chat(key: &str, stream: bool) -> (String, Value) {
    let messages = json!([{"role": "user", "content": chat_text(key)}]);
    let body = json!({"model": "polls/mock-chat", "messages": messages, "stream": stream,
        "max_completion_tokens": CHAT_TOKENS_MAX});
    ("/v1/chat/completions".to_owned(), body)
}

/// What an answer says of its request.
#[derive(Debug, Default)]
pub struct Told {
    /// As it is if the request is to be sent again.
    pub standing: Option<Standing>,
    /// Of the answer.
    pub status: Option<u16>,
    pub job: Option<String>,
    pub is_replayed: bool,
    /// A chat's answer came to its end.
    pub is_whole: bool,
    /// It was refused for lack of credits.
    pub is_unpaid: bool,
    /// The provider's refusal: that of its job, which is its answer, or one before there was a job.
    pub may_be_final: bool,
    /// It is none that anybody expects.
    pub odd: Option<String>,
}

/// Reads an answer.
pub fn told(kind: Kind, is_poor: bool, sent: Sent) -> Told {
    let Sent::Answered { status, is_replayed, body } = sent else { return Told::default() };
    Told { status: Some(status), ..read(kind, is_poor, status, is_replayed, &body) }
}

fn read(kind: Kind, is_poor: bool, status: u16, is_replayed: bool, body: &[u8]) -> Told {
    let code = code(body);
    let is = |standing| Told { standing: Some(standing), is_replayed, ..Told::default() };
    let is_whole = match kind {
        Kind::Chat => body.ends_with(b"data: [DONE]\n\n"),
        _ => kind == Kind::Plain,
    };
    match (kind, status) {
        (_, 409 | 502) if code == "outcome_unknown" && !kind.is_job() => is(Standing::Unknown),
        // A stream may also end with an error in it, which is its answer.
        (Kind::Chat | Kind::Plain, 200) => Told { is_whole, ..is(Standing::Accepted) },
        // The provider broke it off; it is not asked twice.
        (Kind::Chat | Kind::Plain, 502 | 504) => is(Standing::Accepted),
        (Kind::Called | Kind::Polled | Kind::Steady, 202) => {
            let job: Value = serde_json::from_slice(body).unwrap_or_default();
            Told { job: job["id"].as_str().map(str::to_owned), ..is(Standing::Accepted) }
        }
        (Kind::Image, 200) => is(Standing::Accepted),
        // Its job failed, or was interrupted: that is its answer too.
        (Kind::Image, 502 | 504) => is(Standing::Accepted),
        (Kind::Image, 429 | 503) if code.starts_with("provider_") => {
            Told { may_be_final: true, ..Told::default() }
        }
        // The provider failed in a way that may have cost: that answer stands.
        (_, 429 | 503) if is_replayed => is(Standing::Accepted),
        (Kind::Image, 409) if code == "canceled" => is(Standing::Accepted),
        (Kind::Grant, 201) | (Kind::Refund, 200) => is(Standing::Accepted),
        // The job has not ended, was not charged, or has nothing left of its charge.
        (Kind::Refund, 409) if code == "refund_too_large" => is(Standing::Refused),
        (_, 409) if code == "idempotency_key_in_use" => Told::default(),
        // More credits are on their way.
        (_, 402) if is_poor => Told { is_unpaid: true, ..Told::default() },
        // Too many jobs, a provider that is not known yet or has enough for now: later.
        (_, 429 | 503) => Told::default(),
        _ => {
            let text: String = String::from_utf8_lossy(body).chars().take(300).collect();
            Told { odd: Some(format!("{kind:?} answered {status}: {text}")), ..Told::default() }
        }
    }
}

/// The code of an error in the shape of either API.
fn code(body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = error["code"].as_str().or_else(|| error["error"]["code"].as_str());
    code.unwrap_or_default().to_owned()
}
