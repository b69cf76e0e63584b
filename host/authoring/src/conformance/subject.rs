//! What a plugin is asked for, and what came back, in one shape for all interfaces.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::generation::embedding::EmbeddingResponse;
use atelier_domain::generation::media::{JobKind, JobRequest, Step};
use atelier_domain::generation::moderation::ModerationResponse;
use atelier_domain::generation::speech::SpeechEvent;
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::model::{ModelInfo, Page, Voice};
use atelier_domain::provider::{EventStream, Provider as _};
use futures::StreamExt as _;

use crate::bench::Rig;
use crate::cases::{ChatCase, EmbeddingCase, MediaCase, ModerationCase, SpeechCase, TrainingCase};

/// One thing to ask for.
#[derive(Clone, Debug)]
pub enum Subject {
    Check,
    Discover,
    Model(String),
    Voices(String),
    /// Streamed, or at once.
    Chat(ChatCase, bool),
    Speech(SpeechCase),
    Transcription(Box<TranscriptionRequest>),
    Embedding(EmbeddingCase),
    Moderation(ModerationCase),
    /// A media job's submission.
    Media(MediaCase),
    /// A training's submission.
    Training(TrainingCase),
}

/// What came back.
#[derive(Debug)]
pub enum Answer {
    Done,
    Models(Page<ModelInfo>),
    Model(Box<ModelInfo>),
    Voices(Page<Voice>),
    Chat(Vec<ChatEvent>),
    Speech(Vec<SpeechEvent>),
    Transcription(Vec<TranscriptionEvent>),
    Embedding(EmbeddingResponse),
    Moderation(ModerationResponse),
    Step(Step),
}

impl Subject {
    /// Which interface its jobs belong to.
    pub fn job_kind(&self) -> JobKind {
        if matches!(self, Self::Training(_)) { JobKind::Training } else { JobKind::Media }
    }

    /// Asks. What a stream brought before it failed is dropped: [`Self::events`] keeps it.
    ///
    /// # Errors
    /// As the plugin or the host says.
    pub async fn call(&self, rig: &Rig) -> Result<Answer, ProviderError> {
        let (provider, context) = (&rig.provider, rig.context());
        Ok(match self {
            Self::Check => {
                provider.check(context).await?;
                Answer::Done
            }
            Self::Discover => Answer::Models(provider.discover(context, None).await?),
            Self::Model(id) => Answer::Model(Box::new(provider.model(context, id).await?)),
            Self::Voices(model) => Answer::Voices(provider.voices(context, model, None).await?),
            Self::Chat(case, stream) => Answer::Chat(
                collected(Arc::clone(provider).chat(context, case.request(*stream))).await.whole()?,
            ),
            Self::Speech(case) => {
                Answer::Speech(collected(Arc::clone(provider).speak(context, case.request())).await.whole()?)
            }
            Self::Transcription(request) => {
                let stream = Arc::clone(provider).transcribe(context, (**request).clone());
                Answer::Transcription(collected(stream).await.whole()?)
            }
            Self::Embedding(case) => Answer::Embedding(provider.embed(context, case.request()).await?),
            Self::Moderation(case) => Answer::Moderation(provider.moderate(context, case.request()).await?),
            Self::Media(case) => {
                Answer::Step(provider.submit(context, JobRequest::Media(Box::new(case.request()))).await?)
            }
            Self::Training(case) => {
                Answer::Step(provider.submit(context, JobRequest::Training(case.request())).await?)
            }
        })
    }

    /// Whether a stream that breaks off had ended all the same: the one thing that must never be.
    pub async fn ends_all_the_same(&self, rig: &Rig) -> bool {
        let (provider, context) = (Arc::clone(&rig.provider), rig.context());
        match self {
            Self::Chat(case, stream) => {
                let heard = collected(provider.chat(context, case.request(*stream))).await;
                heard.events.iter().any(|event| matches!(event, ChatEvent::Finished(_)))
            }
            Self::Speech(case) => {
                let heard = collected(provider.speak(context, case.request())).await;
                heard.events.iter().any(|event| matches!(event, SpeechEvent::Finished(_)))
            }
            Self::Transcription(request) => {
                let heard = collected(provider.transcribe(context, (**request).clone())).await;
                heard.events.iter().any(|event| matches!(event, TranscriptionEvent::Finished(_)))
            }
            _ => false,
        }
    }
}

/// A stream as far as it went.
#[derive(Debug)]
pub struct Heard<T> {
    pub events: Vec<T>,
    pub error: Option<ProviderError>,
}

impl<T> Heard<T> {
    fn whole(self) -> Result<Vec<T>, ProviderError> {
        match self.error {
            None => Ok(self.events),
            Some(error) => Err(error),
        }
    }
}

/// Reads a stream to its end.
pub async fn collected<T>(mut stream: EventStream<T>) -> Heard<T> {
    let mut heard = Heard { events: Vec::new(), error: None };
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(events) => heard.events.extend(events),
            Err(error) => heard.error = Some(error),
        }
    }
    heard
}

impl Answer {
    /// The content alone, in a form that does not depend on how it was cut into pieces.
    pub fn content(&self) -> String {
        match self {
            Self::Done => "done".to_owned(),
            Self::Models(page) => page.items.iter().map(|model| format!("{} ", model.id)).collect(),
            Self::Model(model) => model.id.clone(),
            Self::Voices(page) => page.items.iter().map(|voice| format!("{} ", voice.id)).collect(),
            Self::Chat(events) => events.iter().fold(String::new(), |mut text, event| {
                match event {
                    ChatEvent::Text(piece) => text.push_str(piece),
                    ChatEvent::ToolCallStart { id, name, .. } => text.push_str(&format!("[{id} {name}]")),
                    ChatEvent::ToolCallDelta { arguments, .. } => text.push_str(arguments),
                    ChatEvent::Finished(reason) => text.push_str(&format!("[{reason:?}]")),
                    ChatEvent::Usage(lines) => text.push_str(&format!("{lines:?}")),
                    _ => {}
                }
                text
            }),
            Self::Speech(events) => {
                let mut hasher = blake3::Hasher::new();
                for event in events {
                    if let SpeechEvent::Audio(bytes) = event {
                        hasher.update(bytes);
                    }
                }
                hasher.finalize().to_hex().to_string()
            }
            Self::Transcription(events) => match events.last() {
                Some(TranscriptionEvent::Finished(transcript)) => transcript.text.clone(),
                _ => String::new(),
            },
            Self::Embedding(response) => format!("{:?}", response.vectors),
            Self::Moderation(response) => format!("{:?}", response.verdicts),
            Self::Step(Step::Pending(ticket)) => {
                format!("{:?} {}", ticket.provider_id, blake3::hash(&ticket.state).to_hex())
            }
            Self::Step(Step::Done(outcome)) => {
                format!("{} outputs, {:?}", outcome.outputs.len(), outcome.usage)
            }
        }
    }
}
