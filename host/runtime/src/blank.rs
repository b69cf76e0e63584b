//! Blanks secrets in what a call gives. The scrubber of an answer's bytes does not see one that an upstream tore across events or
//! fields, and that the guest put together again.

use std::sync::{Arc, Mutex, PoisonError};

use atelier_domain::generation::chat::{TokenLogprob, TopLogprob};
use atelier_domain::generation::embedding::EmbeddingResponse;
use atelier_domain::generation::media::{
    CallbackEvent, Cancellation, MediaOutput, Outcome, Output, OutputSource, Step,
};
use atelier_domain::generation::moderation::{ModerationCategory, ModerationResponse, Verdict};
use atelier_domain::generation::transcription::{
    TranscribedSegment, TranscribedWord, Transcript, TranscriptionEvent,
};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::generation::{Json, Other};
use atelier_domain::model::{Description, ModelInfo, Page, Price, Voice};
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::egress::{Patterns, Scrubber};

/// What has texts in which a secret could stand.
pub trait Blank {
    /// Blanks all secrets.
    fn blank(&mut self, patterns: &Patterns);
}

/// Blanks the named fields of a struct.
macro_rules! fields {
    ($type:ty: $($field:ident),+) => {
        impl Blank for $type {
            fn blank(&mut self, patterns: &Patterns) {
                $(self.$field.blank(patterns);)+
            }
        }
    };
}

impl Blank for String {
    fn blank(&mut self, patterns: &Patterns) {
        if let Some(blanked) = patterns.blank_text(self) {
            *self = blanked;
        }
    }
}

impl Blank for Json {
    fn blank(&mut self, patterns: &Patterns) {
        if let Some(blanked) = patterns.blank_text(self.get()) {
            // A secret that is a bare number leaves no JSON behind.
            *self = RawValue::from_string(blanked).unwrap_or_else(|_| RawValue::NULL.to_owned());
        }
    }
}

impl Blank for serde_json::Value {
    fn blank(&mut self, patterns: &Patterns) {
        if let Some(blanked) = patterns.blank_text(&self.to_string()) {
            *self = serde_json::from_str(&blanked).unwrap_or(Self::Null);
        }
    }
}

impl<T: Blank> Blank for Option<T> {
    fn blank(&mut self, patterns: &Patterns) {
        self.iter_mut().for_each(|value| value.blank(patterns));
    }
}

impl<T: Blank> Blank for Vec<T> {
    fn blank(&mut self, patterns: &Patterns) {
        self.iter_mut().for_each(|value| value.blank(patterns));
    }
}

impl Blank for (String, String) {
    fn blank(&mut self, patterns: &Patterns) {
        self.0.blank(patterns);
        self.1.blank(patterns);
    }
}

fields!(Other: kind, json);
fields!(UsageLine: meter, attributes);

impl Blank for TopLogprob {
    fn blank(&mut self, patterns: &Patterns) {
        self.token.blank(patterns);
        self.bytes.iter_mut().for_each(|bytes| patterns.blank(bytes));
    }
}

impl Blank for TokenLogprob {
    fn blank(&mut self, patterns: &Patterns) {
        self.token.blank(patterns);
        self.bytes.iter_mut().for_each(|bytes| patterns.blank(bytes));
        self.top.blank(patterns);
    }
}

fields!(TranscribedWord: text, speaker, extra);
fields!(TranscribedSegment: text, speaker, extra);
fields!(Transcript: text, language, words, segments, logprobs, usage, extra);

fields!(EmbeddingResponse: model, usage);
fields!(ModerationCategory: name, applied_to);
fields!(Verdict: categories, extra);
fields!(ModerationResponse: id, model, verdicts, usage);

fields!(MediaOutput: source, content_type, revised_prompt, attributes);
fields!(Outcome: outputs, usage);
fields!(CallbackEvent: kind, provider_id, json);

fields!(Price: meter, attributes);
fields!(ModelInfo: id, name, description, input_modalities, features, options_schema, prices, owner);
fields!(Voice: id, name, languages, preview_url, labels, owner);
fields!(Description: models);

impl<T: Blank> Blank for Page<T> {
    fn blank(&mut self, patterns: &Patterns) {
        self.items.blank(patterns);
        self.next.blank(patterns);
    }
}

impl Blank for OutputSource {
    fn blank(&mut self, patterns: &Patterns) {
        match self {
            // What it was made from was scrubbed on its way in.
            Self::Blob(blob) => blob.content_type.blank(patterns),
            Self::Remote(url) | Self::Guarded(url) => url.blank(patterns),
        }
    }
}

impl Blank for Output {
    fn blank(&mut self, patterns: &Patterns) {
        match self {
            Self::Media(media) => media.blank(patterns),
            Self::Text(text) | Self::Model(text) => text.blank(patterns),
            Self::Other(other) => other.blank(patterns),
        }
    }
}

impl Blank for Step {
    fn blank(&mut self, patterns: &Patterns) {
        match self {
            Self::Done(outcome) => outcome.blank(patterns),
            // Its state goes back to the plugin and to nobody else.
            Self::Pending(ticket) => ticket.provider_id.blank(patterns),
        }
    }
}

impl Blank for Cancellation {
    fn blank(&mut self, patterns: &Patterns) {
        match self {
            Self::Canceled(usage) => usage.blank(patterns),
            Self::Finished(outcome) => outcome.blank(patterns),
            Self::Unsupported => {}
        }
    }
}

/// But for `Text`, which is a stream: see [`TextScrubber`].
impl Blank for TranscriptionEvent {
    fn blank(&mut self, patterns: &Patterns) {
        match self {
            Self::Text(_) => {}
            Self::Logprobs(tokens) => tokens.blank(patterns),
            Self::Segment(segment) => segment.blank(patterns),
            Self::Finished(transcript) => transcript.blank(patterns),
            Self::Other(other) => other.blank(patterns),
        }
    }
}

/// A scrubber over the pieces of a text.
#[derive(Debug)]
pub struct TextScrubber(Scrubber);

impl TextScrubber {
    /// A scrubber at a text's start.
    pub fn new(patterns: Arc<Patterns>) -> Self {
        Self(Scrubber::new(patterns))
    }

    /// Takes the next piece, gives what can go on.
    pub fn push(&mut self, text: String) -> String {
        into_text(self.0.push(Bytes::from(text)))
    }

    /// What was held back, at the text's end.
    pub fn finish(&mut self) -> String {
        into_text(self.0.finish())
    }
}

/// A text whose pieces come from the guest and whose end the host sees.
#[derive(Clone, Debug)]
pub struct SharedText(Arc<Mutex<TextScrubber>>);

impl SharedText {
    /// A text at its start.
    pub fn new(patterns: Arc<Patterns>) -> Self {
        Self(Arc::new(Mutex::new(TextScrubber::new(patterns))))
    }

    /// Takes the next piece, gives what can go on.
    pub fn push(&self, text: String) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text)
    }

    /// What was held back, at the text's end.
    pub fn finish(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).finish()
    }
}

/// Secrets that can be put into a header are ASCII, so that what is held back begins and ends at character boundaries.
fn into_text(bytes: Bytes) -> String {
    match String::from_utf8(bytes.into()) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    }
}
