//! A provider that does what a test says, to reach states of the engine that no well-behaved far end can bring about.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, FinishReason};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::empty_object;
use atelier_domain::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, JobKind, JobRequest, MediaOutput,
    MediaRequest, Outcome, Output, OutputSource, Step, Ticket, TrainingRequest, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{Description, ModelInfo, ModelLimits, ModelStatus, Page, Task, Voice};
use atelier_domain::provider::{BreakerState, CallContext, ChargeJournal, EventStream, Provider, Readiness};
use futures::{StreamExt as _, stream};

/// What the provider does when asked.
#[derive(Clone, Debug)]
pub enum Act {
    Done(&'static str),
    /// Done, with a model.
    Model(&'static str),
    /// Done, with a film.
    Film(&'static [u8]),
    /// Done, with content of this type.
    Made(&'static str, Vec<u8>),
    /// Done, with this usage reported.
    DoneUsing(Vec<UsageLine>),
    Pending,
    /// Pending for a minute under this id, unless it is called back.
    Waiting(&'static str),
    /// The same, told only once `released` is notified.
    WaitingLater(&'static str),
    Fail(FailureCode),
    /// Notes that a charging request leaves, which its provider knows by a key or not, and never answers.
    ChargeAndHang(Repeatable),
    /// Notes that a charging request leaves, and is done once `released` is notified.
    ChargeAndMake(Output),
    /// Once `released` is notified, notes that a charging request leaves, and fails if that cannot be noted.
    ChargeLater(&'static str),
    /// Notes that a charging request leaves, and fails with this status of its provider's.
    ChargeAndFail(FailureCode, u16),
    /// Notes that a charging request leaves, which it does not, since nobody is there.
    FindNobody,
    /// Fails, and repeats the prompt in all that it says.
    FailEchoing(FailureCode),
    /// Done, and repeats the prompt in all that it says of its result.
    DoneEchoing,
}

/// What it does in a conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    /// Notes that a charging request leaves, one that its provider knows by a key or not.
    pub charges: Option<Repeatable>,
    /// Answers only once `released` is notified.
    pub waits: bool,
    pub says: Result<String, FailureCode>,
}

pub type Repeatable = bool;

impl Talk {
    pub fn saying(text: impl Into<String>) -> Self {
        Self { charges: Some(false), waits: false, says: Ok(text.into()) }
    }
    pub fn failing(code: FailureCode) -> Self {
        Self { charges: Some(false), waits: false, says: Err(code) }
    }
}

#[derive(Debug, Default)]
pub struct Seen {
    /// The idempotency keys of submissions.
    pub submitted_as: Vec<String>,
    /// The idempotency keys of conversations.
    pub talks: Vec<String>,
    pub submissions: u32,
    pub resumptions: u32,
    pub resumed_after_restart: u32,
    pub cancellations: u32,
    pub discoveries: u32,
    /// Why jobs went on.
    pub wakes: Vec<String>,
    pub callback_urls: Vec<Option<String>>,
    pub trainings: Vec<TrainingRequest>,
    pub media: Vec<MediaRequest>,
    pub chats: Vec<ChatRequest>,
    /// Of which kind jobs went on.
    pub kinds: Vec<JobKind>,
}

#[derive(Debug)]
pub struct Scripted {
    pub acts: Mutex<VecDeque<Act>>,
    pub talks: Mutex<VecDeque<Talk>>,
    pub seen: Mutex<Seen>,
    /// Whether listing models fails.
    pub is_silent: Mutex<bool>,
    pub charged: tokio::sync::Notify,
    pub submitted: tokio::sync::Notify,
    pub released: tokio::sync::Notify,
    /// Whether its provider signs callbacks; nobody calls back unless this is set.
    pub signs_callbacks: Mutex<Option<bool>>,
    /// Whether reading a callback, which is told by `reading`, waits for `released`.
    pub holds_callbacks: AtomicBool,
    pub reading: tokio::sync::Notify,
    /// What it answers every conversation with, in place of `talks`.
    pub chat: Mutex<Option<Vec<ChatEvent>>>,
    /// What it hears in every recording, one event at a time, once it was asked; then it is silent.
    pub hears: Mutex<Option<Vec<TranscriptionEvent>>>,
    /// Whether `chat` goes on for ever.
    pub hangs: Mutex<bool>,
    /// What it says that a job uses at most.
    pub estimate: Mutex<Option<Vec<UsageLine>>>,
}

impl Scripted {
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self {
            acts: Mutex::new(acts.into_iter().collect()),
            talks: Mutex::default(),
            seen: Mutex::default(),
            is_silent: Mutex::new(false),
            charged: tokio::sync::Notify::new(),
            submitted: tokio::sync::Notify::new(),
            released: tokio::sync::Notify::new(),
            signs_callbacks: Mutex::new(None),
            holds_callbacks: AtomicBool::new(false),
            reading: tokio::sync::Notify::new(),
            chat: Mutex::new(None),
            hears: Mutex::new(None),
            hangs: Mutex::new(false),
            estimate: Mutex::new(None),
        })
    }

    /// The same with conversations.
    pub fn talking(talks: impl IntoIterator<Item = Talk>) -> Arc<Self> {
        let provider = Self::new([]);
        provider.talks.lock().expect("no panic").extend(talks);
        provider
    }

    async fn talk(&self, context: &CallContext) -> Result<Vec<ChatEvent>, ProviderError> {
        self.seen.lock().expect("no panic").talks.push(context.idempotency_key.clone());
        let talk = self.talks.lock().expect("no panic").pop_front().expect("the script goes on");
        if let (Some(repeatable), Some(journal)) = (talk.charges, &context.journal) {
            journal.charging(repeatable).await.expect("it is noted");
        }
        self.charged.notify_one();
        if let (Err(FailureCode::RateLimited), Some(repeatable), Some(journal)) =
            (&talk.says, talk.charges, &context.journal)
        {
            // As the sandbox does with a 429.
            journal.withdrawn(repeatable);
        }
        if talk.waits {
            self.released.notified().await;
        }
        let text = talk.says.map_err(failure)?;
        let started = ChatEvent::Started { id: "talk".to_owned(), model: "found".to_owned() };
        let usage = ChatEvent::Usage(vec![UsageLine::new("output-tokens", 1)]);
        Ok(vec![started, ChatEvent::Text(text), usage, ChatEvent::Finished(FinishReason::Stop)])
    }

    /// Of the media request that came last.
    fn prompt(&self) -> String {
        let seen = self.seen.lock().expect("no panic");
        seen.media.last().and_then(|request| request.prompt.clone()).expect("media with a prompt")
    }

    async fn charge<'c>(&self, context: &'c CallContext, repeatable: Repeatable) -> &'c dyn ChargeJournal {
        let journal = context.journal.as_deref().expect("a job's call has a journal");
        journal.charging(repeatable).await.expect("it is noted");
        self.charged.notify_one();
        journal
    }

    async fn act(&self, context: &CallContext) -> Result<Step, ProviderError> {
        let act = self.acts.lock().expect("no panic").pop_front().expect("the script goes on");
        match act {
            Act::Done(text) => {
                let outcome = Outcome {
                    outputs: vec![Output::Text(text.to_owned())],
                    usage: vec![UsageLine::new("images", 1)],
                };
                Ok(Step::Done(outcome))
            }
            Act::Model(id) => {
                let outputs = vec![Output::Model(id.to_owned())];
                Ok(Step::Done(Outcome { outputs, usage: Vec::new() }))
            }
            Act::Film(bytes) => {
                let film = MediaOutput {
                    source: OutputSource::Blob(Blob::in_memory("video/mp4", bytes.into())),
                    content_type: None,
                    revised_prompt: None,
                    seed: None,
                    attributes: vec![("video-id".to_owned(), "film-1".to_owned())],
                };
                Ok(Step::Done(Outcome { outputs: vec![Output::Media(film)], usage: Vec::new() }))
            }
            Act::Made(content_type, bytes) => {
                let blob = Blob::in_memory(content_type, bytes.into());
                let made = MediaOutput {
                    source: OutputSource::Blob(blob),
                    content_type: Some(content_type.to_owned()),
                    revised_prompt: None,
                    seed: None,
                    attributes: Vec::new(),
                };
                Ok(Step::Done(Outcome { outputs: vec![Output::Media(made)], usage: Vec::new() }))
            }
            Act::DoneUsing(usage) => {
                Ok(Step::Done(Outcome { outputs: vec![Output::Text("made".to_owned())], usage }))
            }
            Act::Pending => Ok(Step::Pending(Ticket {
                state: b"at the provider".to_vec(),
                state_version: 1,
                poll_after_ms: 100,
                progress: Some(0.5),
                accepts_webhook: false,
                provider_id: None,
            })),
            Act::Waiting(id) => Ok(waiting(id)),
            Act::WaitingLater(id) => {
                self.submitted.notify_one();
                self.released.notified().await;
                Ok(waiting(id))
            }
            Act::Fail(code) => Err(failure(code)),
            Act::ChargeAndHang(repeatable) => {
                self.charge(context, repeatable).await;
                std::future::pending().await
            }
            Act::ChargeAndMake(output) => {
                self.charge(context, false).await;
                self.released.notified().await;
                Ok(Step::Done(Outcome { outputs: vec![output], usage: Vec::new() }))
            }
            Act::ChargeLater(text) => {
                self.submitted.notify_one();
                self.released.notified().await;
                let journal = context.journal.as_deref().expect("a job's call has a journal");
                journal.charging(false).await.map_err(|_| failure(FailureCode::Internal))?;
                Ok(Step::Done(Outcome { outputs: vec![Output::Text(text.to_owned())], usage: Vec::new() }))
            }
            Act::ChargeAndFail(code, status) => {
                let journal = self.charge(context, false).await;
                if status == 429 {
                    // As the sandbox does.
                    journal.withdrawn(false);
                }
                let mut failure = Failure::new(code, "as the script says");
                failure.http_status = Some(status);
                Err(ProviderError::Reported { instance: "scripted".to_owned(), failure: Box::new(failure) })
            }
            Act::FailEchoing(code) => {
                let prompt = self.prompt();
                let quoted = serde_json::to_string(&prompt).expect("JSON");
                let mut failure = Failure::new(code, format!("bad prompt: {quoted}"));
                failure.param = Some(prompt.clone());
                failure.provider_detail = Some(prompt);
                Err(ProviderError::Reported { instance: "scripted".to_owned(), failure: Box::new(failure) })
            }
            Act::DoneEchoing => {
                let prompt = self.prompt();
                let media = MediaOutput {
                    source: OutputSource::Blob(Blob::in_memory("image/png", "a picture".into())),
                    content_type: Some("image/png".to_owned()),
                    revised_prompt: Some(prompt.clone()),
                    seed: Some(7),
                    attributes: vec![("prompt".to_owned(), prompt.clone())],
                };
                let mut images = UsageLine::new("images", 1);
                images.attributes = vec![("prompt".to_owned(), prompt)];
                Ok(Step::Done(Outcome { outputs: vec![Output::Media(media)], usage: vec![images] }))
            }
            Act::FindNobody => {
                self.charge(context, false).await.withdrawn(false);
                Err(failure(FailureCode::Unavailable))
            }
        }
    }
}

fn waiting(id: &str) -> Step {
    Step::Pending(Ticket {
        state: id.as_bytes().to_vec(),
        state_version: 1,
        poll_after_ms: 60_000,
        progress: None,
        accepts_webhook: true,
        provider_id: Some(id.to_owned()),
    })
}

fn failure(code: FailureCode) -> ProviderError {
    ProviderError::Reported {
        instance: "scripted".to_owned(),
        failure: Box::new(Failure::new(code, "as the script says")),
    }
}

fn unsupported<T>() -> Result<T, ProviderError> {
    Err(ProviderError::Unsupported { instance: "scripted".to_owned(), task: "this".to_owned() })
}

pub fn model(id: &str, task: Task) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        status: ModelStatus::Available,
        tasks: vec![task],
        input_modalities: Vec::new(),
        features: Vec::new(),
        limits: ModelLimits::default(),
        options_schema: None,
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        let models = vec![model("painter", Task::ImageGeneration)];
        Ok(Arc::new(Description { models, discovers: true, open_ended: false }))
    }
    async fn discover(&self, _: CallContext, _: Option<String>) -> Result<Page<ModelInfo>, ProviderError> {
        self.seen.lock().expect("no panic").discoveries += 1;
        if *self.is_silent.lock().expect("no panic") {
            return Err(failure(FailureCode::Unavailable));
        }
        let mut private = model("private", Task::ImageGeneration);
        private.owner = Some("somebody".to_owned());
        let mut soon = model("soon", Task::ImageGeneration);
        soon.status = ModelStatus::ComingSoon;
        let trainer = model("trainer", Task::Training);
        let filmer = model("filmer", Task::VideoGeneration);
        let mut cutter = model("cutter", Task::VideoGeneration);
        cutter.tasks.push(Task::VideoRemix);
        let items = vec![
            model("painter", Task::ImageGeneration),
            model("found", Task::Chat),
            model("ears", Task::Transcription),
            trainer,
            private,
            soon,
            filmer,
            cutter,
        ];
        Ok(Page { items, next: None })
    }
    async fn model(&self, _: CallContext, _: &str) -> Result<ModelInfo, ProviderError> {
        unsupported()
    }
    async fn voices(&self, _: CallContext, _: &str, _: Option<String>) -> Result<Page<Voice>, ProviderError> {
        unsupported()
    }
    async fn check(&self, _: CallContext) -> Result<(), ProviderError> {
        Ok(())
    }
    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        self.seen.lock().expect("no panic").chats.push(request);
        let always = self.chat.lock().expect("no panic").clone();
        match always {
            // One event at a time, so that a reader may leave in between.
            Some(events) => {
                let events = stream::iter(events.into_iter().map(|event| Ok(vec![event])));
                match *self.hangs.lock().expect("no panic") {
                    true => Box::pin(events.chain(stream::pending())),
                    false => Box::pin(events),
                }
            }
            None => Box::pin(stream::once(async move { self.talk(&context).await })),
        }
    }
    fn speak(self: Arc<Self>, _: CallContext, _: SpeechRequest) -> EventStream<SpeechEvent> {
        Box::pin(stream::once(async { unsupported() }))
    }
    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        _: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        let Some(events) = self.hears.lock().expect("no panic").clone() else {
            return Box::pin(stream::once(async { unsupported() }));
        };
        let asked = stream::once(async move {
            let journal = context.journal.as_deref().expect("a live call is counted");
            journal.charging(false).await.expect("it is noted");
            Ok(Vec::new())
        });
        Box::pin(
            asked
                .chain(stream::iter(events.into_iter().map(|event| Ok(vec![event]))))
                .chain(stream::pending()),
        )
    }
    async fn embed(&self, _: CallContext, _: EmbeddingRequest) -> Result<EmbeddingResponse, ProviderError> {
        unsupported()
    }
    async fn moderate(
        &self,
        _: CallContext,
        _: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        unsupported()
    }
    async fn count_tokens(&self, _: CallContext, _: ChatRequest) -> Result<u64, ProviderError> {
        unsupported()
    }
    async fn estimate(&self, _: CallContext, _: JobRequest) -> Result<Vec<UsageLine>, ProviderError> {
        match self.estimate.lock().expect("no panic").clone() {
            Some(lines) => Ok(lines),
            None => unsupported(),
        }
    }
    async fn submit(&self, context: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        {
            let mut seen = self.seen.lock().expect("no panic");
            match request {
                JobRequest::Training(training) => seen.trainings.push(training),
                JobRequest::Media(media) => seen.media.push(*media),
            }
            seen.submissions += 1;
            seen.submitted_as.push(context.idempotency_key.clone());
            seen.callback_urls.push(context.callback_url.clone());
        }
        self.act(&context).await
    }
    async fn resume(
        &self,
        context: CallContext,
        kind: JobKind,
        _: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        {
            let mut seen = self.seen.lock().expect("no panic");
            seen.resumptions += 1;
            seen.kinds.push(kind);
            seen.resumed_after_restart += u32::from(matches!(wake, Wake::Resumed));
            seen.wakes.push(match wake {
                Wake::Timer => "timer".to_owned(),
                Wake::Resumed => "resumed".to_owned(),
                Wake::Webhook(event) => event.kind,
            });
        }
        self.act(&context).await
    }
    async fn cancel(&self, _: CallContext, kind: JobKind, _: Vec<u8>) -> Result<Cancellation, ProviderError> {
        let mut seen = self.seen.lock().expect("no panic");
        seen.cancellations += 1;
        seen.kinds.push(kind);
        Ok(Cancellation::Canceled(Vec::new()))
    }
    async fn fetch(&self, _: &str, _: u64) -> Result<Blob, ProviderError> {
        unsupported()
    }
    /// A callback is `{"kind": …, "provider_id": …}`; of another kind of JSON it says that it is the caller's mistake.
    async fn parse_callback(
        &self,
        _: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError> {
        if self.holds_callbacks.load(Ordering::Relaxed) {
            self.reading.notify_one();
            self.released.notified().await;
        }
        let json: serde_json::Value =
            serde_json::from_slice(&callback.body).expect("the host has checked it");
        let kind = json["kind"].as_str().ok_or_else(|| failure(FailureCode::InvalidRequest))?.to_owned();
        let provider_id = json["provider_id"].as_str().map(str::to_owned);
        Ok(vec![CallbackEvent { kind, provider_id, json: empty_object() }])
    }
    fn takes_callbacks(&self) -> bool {
        self.signs_callbacks.lock().expect("no panic").is_some()
    }
    /// A genuine one says so.
    fn verify_callback(&self, callback: &Callback) -> Result<Delivery, CallbackRefusal> {
        let header =
            |name: &str| callback.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        match *self.signs_callbacks.lock().expect("no panic") {
            None => Err(CallbackRefusal::Unexpected),
            Some(false) => Ok(Delivery { id: String::new(), is_signed: false }),
            Some(true) if header("signature").is_some_and(|value| value == "genuine") => {
                Ok(Delivery { id: header("id").cloned().unwrap_or_default(), is_signed: true })
            }
            Some(true) => Err(CallbackRefusal::Forged),
        }
    }
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}
