//! A provider that does what a test says, to reach states of the engine that no well-behaved far end can bring about.

#[path = "scripted/act.rs"]
mod act;
#[path = "scripted/judging.rs"]
mod judging;
#[path = "scripted/script.rs"]
mod script;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, FinishReason};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::empty_object;
use atelier_domain::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, JobKind, JobRequest, Step, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::manifest::SecretSpec;
use atelier_domain::model::{Description, ModelInfo, ModelLimits, ModelStatus, Page, Task, Voice};
use atelier_domain::plugin::SecretValue;
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use futures::{StreamExt as _, stream};

pub use judging::Judging;
pub use script::{Act, Repeatable, Seen, Talk};

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
    pub secrets: Vec<SecretSpec>,
    /// What it is under a caller's own key, if it takes any.
    pub own: Mutex<Option<Arc<Scripted>>>,
    /// What it says that a job uses at most.
    pub estimate: Mutex<Option<Vec<UsageLine>>>,
    pub judging: Mutex<Judging>,
}

fn secret() -> SecretSpec {
    let json = serde_json::json!({"name": "key", "required": true, "place": "bearer"});
    serde_json::from_value(json).expect("a secret")
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
            secrets: vec![secret()],
            own: Mutex::new(None),
            estimate: Mutex::new(None),
            judging: Mutex::default(),
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
        let text = talk.says.map_err(|code| {
            let mut why = Failure::new(code, "as the script says");
            // As providers that are busy do.
            why.retry_after = (code == FailureCode::Overloaded).then(|| Duration::from_secs(3));
            ProviderError::Reported { instance: "scripted".to_owned(), failure: Box::new(why) }
        })?;
        let started = ChatEvent::Started { id: "talk".to_owned(), model: "found".to_owned() };
        let usage = ChatEvent::Usage(vec![UsageLine::new("output-tokens", 1)]);
        Ok(vec![started, ChatEvent::Text(text), usage, ChatEvent::Finished(FinishReason::Stop)])
    }

    /// Of the media request that came last.
    fn prompt(&self) -> String {
        let seen = self.seen.lock().expect("no panic");
        seen.media.last().and_then(|request| request.prompt.clone()).expect("media with a prompt")
    }
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
        let mut judge = model("judge", Task::Moderation);
        judge.input_modalities.push("image".to_owned());
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
            judge,
            model("reader", Task::Moderation),
            model("mouth", Task::Speech),
            model("vectors", Task::Embedding),
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
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        self.judge(request).await
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
    fn secrets(&self) -> &[SecretSpec] {
        &self.secrets
    }
    /// A key that is `bad` does not fit.
    fn with_secrets(&self, own: &BTreeMap<String, SecretValue>) -> Result<Arc<dyn Provider>, String> {
        let known = self.own.lock().expect("no panic").clone().filter(|_| own["key"].reveal() != "bad");
        known.map(|own| own as Arc<dyn Provider>).ok_or_else(|| "it does not fit".to_owned())
    }
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}
