//! Prompts that are judged before they are sent, on the real store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::alias::{Alias, AliasTarget};
use atelier_domain::blob::{Blob, BlobData, BlobId};
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::generation::speech::SpeechRequest;
use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::{Media, MediaSource, empty_object};
use atelier_domain::job::{Job, JobState};
use atelier_domain::model::Task;
use atelier_domain::plugin::SecretValue;
use atelier_domain::time::{Clock, SystemClock};
use atelier_service::caller::Caller;
use atelier_service::fetcher::NoFetcher;
use atelier_service::generation::answer::ChatAnswer;
use atelier_service::generation::{CallBudget, Generations};
use atelier_service::jobs::{JobLimits, JobPorts, Jobs};
use atelier_service::ledger::{Ledger, LedgerSettings};
use atelier_service::meter::NoMeter;
use atelier_service::own_keys::OwnKeys;
use atelier_service::registry::Registry;
use atelier_service::screening::{OnFailure, Screening, ScreeningSettings};
use atelier_service::{ServiceError, StoragePool, StoragePoolLimits};
use tokio::sync::watch;

use crate::disk::plenty;
use crate::jobs::{caller, painting, stores};
use crate::live_money::answer;
use crate::scripted::{Act, Judging, Scripted};

struct Desk {
    generations: Generations,
    jobs: Jobs,
    /// Whom prompts are for.
    provider: Arc<Scripted>,
    /// Who judges them.
    judge: Arc<Scripted>,
    /// The same, in case.
    other_judge: Arc<Scripted>,
    alice: Caller,
    _folder: tempfile::TempDir,
}

fn settings() -> ScreeningSettings {
    ScreeningSettings {
        model: "judge/judge".to_owned(),
        except: ["free".to_owned()].into(),
        ignore: ["sexual".to_owned()].into(),
        scores: BTreeMap::new(),
        on_failure: OnFailure::Refuse,
        timeout: Duration::from_secs(5),
    }
}

async fn desk(settings: ScreeningSettings) -> Desk {
    let (folder, store, blobs) = stores();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let pool = StoragePool::new(StoragePoolLimits::default());
    let screening = Screening::new(settings, Arc::new(NoMeter));
    let target = |id: &str, weight| AliasTarget { model: id.parse().expect("an id"), weight };
    let judges = Alias {
        targets: vec![target("judge/judge", 1), target("other-judge/judge", 0)],
        is_for_administrators: true,
    };
    let aliases = HashMap::from([("judges".to_owned(), judges)]);
    let registry = Registry::new(aliases, clock.clone(), Arc::new(NoMeter));
    let registry = Arc::new(registry.screened_by(Some(screening)));
    let (provider, own) = (Scripted::new([]), Scripted::new([]));
    *provider.own.lock().expect("no panic") = Some(own);
    *provider.chat.lock().expect("no panic") = answer(Some([7, 3]));
    let (judge, other_judge) = (Scripted::new([]), Scripted::new([]));
    *judge.judging.lock().expect("no panic") = Judging::Words;
    *other_judge.judging.lock().expect("no panic") = Judging::Words;
    for (name, provider) in
        [("scripted", &provider), ("free", &provider), ("judge", &judge), ("other-judge", &other_judge)]
    {
        registry.put(&name.parse().expect("a name"), provider.clone()).await;
    }
    let own_keys = Arc::new(OwnKeys::new(store.clone(), pool.clone(), registry.clone(), clock.clone(), true));
    let ledger = Arc::new(Ledger::new(store.clone(), pool.clone(), clock.clone(), LedgerSettings::default()));
    let generations =
        Generations::new(registry.clone(), own_keys.clone(), ledger.clone(), CallBudget::default());
    let ports = JobPorts {
        store,
        blobs,
        pool,
        registry,
        own_keys,
        fetcher: Arc::new(NoFetcher),
        clock,
        meter: Arc::new(NoMeter),
        callbacks: None,
        ledger,
        room: plenty(),
        tracer: None,
    };
    let jobs = Jobs::new(ports, JobLimits::default());
    Desk { generations, jobs, provider, judge, other_judge, alice: caller(), _folder: folder }
}

fn saying(parts: Vec<Part>) -> ChatRequest {
    ChatRequest::new("", vec![Message { role: ChatRole::User, parts, name: None }])
}

fn picture() -> Blob {
    let bytes = bytes::Bytes::from_static(b"a picture");
    Blob {
        id: BlobId(*blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        content_type: "image/png".to_owned(),
        data: BlobData::Memory(bytes),
    }
}

fn shown() -> Media {
    Media::new(MediaSource::Blob(picture()), Some("image/png".to_owned()))
}

impl Desk {
    async fn chat(&self, model: &str, request: ChatRequest) -> Result<ChatAnswer, ServiceError> {
        let resolved = self.generations.resolve(&self.alice, model, Task::Chat).await?;
        ChatAnswer::read(self.generations.chat(&self.alice, resolved, request)?).await
    }

    async fn say(&self, text: &str) -> Result<ChatAnswer, ServiceError> {
        self.chat("scripted/found", saying(vec![Part::Text(text.to_owned())])).await
    }

    async fn paint(&self, request: MediaRequest) -> Result<Job, ServiceError> {
        self.jobs.admit(&self.alice, Task::ImageGeneration, request).await
    }

    fn judged(&self) -> Vec<Vec<String>> {
        self.judge.seen.lock().expect("no panic").judged.clone()
    }

    fn chats(&self) -> usize {
        self.provider.seen.lock().expect("no panic").chats.len()
    }

    fn judges(&self, judging: Judging) {
        *self.judge.judging.lock().expect("no panic") = judging;
    }
}

/// Where in the request what was found stands, and what it is.
fn refusal<T: std::fmt::Debug>(outcome: Result<T, ServiceError>) -> (Option<String>, Vec<String>) {
    match outcome {
        Err(ServiceError::Provider(ProviderError::PromptRefused { param, found })) => (param, found),
        other => panic!("it is not refused: {other:?}"),
    }
}

fn refused<T: std::fmt::Debug>(outcome: Result<T, ServiceError>, param: &str) {
    assert_eq!(refusal(outcome), (Some(param.to_owned()), vec!["violence".to_owned()]));
}

fn is_unjudged<T>(outcome: &Result<T, ServiceError>) -> bool {
    matches!(outcome, Err(ServiceError::Provider(ProviderError::PromptUnjudged { .. })))
}

#[tokio::test]
async fn a_good_prompt_is_judged_once_and_sent_and_a_bad_one_is_not() {
    let desk = desk(settings()).await;
    desk.say("good day").await.expect("answered");
    desk.say("good day").await.expect("answered");
    assert_eq!(desk.judged(), [["good day"]], "its verdict is remembered");
    refused(desk.say("a bad day").await, "messages[0].content");
    refused(desk.say("a bad day").await, "messages[0].content");
    assert_eq!(desk.judged().len(), 2, "and so is that of a bad one");
    assert_eq!(desk.chats(), 2, "the bad one never left");
    let error = desk.say("a bad day").await.expect_err("refused");
    assert!(!error.to_string().contains("bad day"), "no error repeats a prompt: {error}");
}

#[tokio::test]
async fn a_conversation_that_grows_is_asked_about_by_what_is_new() {
    let desk = desk(settings()).await;
    let text = |text: &str| Part::Text(text.to_owned());
    desk.chat("scripted/found", saying(vec![text("one"), text("two"), text("one")])).await.expect("answered");
    desk.chat("scripted/found", saying(vec![text("one"), text("two"), text("three")]))
        .await
        .expect("answered");
    assert_eq!(desk.judged(), [vec!["one", "two"], vec!["three"]]);
    // A long text is judged to its end, and a list of texts in questions of 32.
    let long = format!("{}bad", "word ".repeat(10_000));
    refused(desk.say(&long).await, "messages[0].content");
    let many = (0..70).map(|i| text(&format!("number {i}"))).collect();
    desk.chat("scripted/found", saying(many)).await.expect("answered");
    let sizes: Vec<usize> = desk.judged().iter().rev().take(3).rev().map(Vec::len).collect();
    assert_eq!(sizes, [32, 32, 6]);
}

#[tokio::test]
async fn every_task_with_words_is_judged() {
    let desk = desk(settings()).await;
    let Desk { generations, alice, .. } = &desk;
    let speech = |text: &str, instructions: Option<&str>| SpeechRequest {
        model: String::new(),
        text: text.to_owned(),
        voice: "v".to_owned(),
        format: None,
        speed: None,
        instructions: instructions.map(str::to_owned),
        language: None,
        options: empty_object(),
    };
    for (request, param) in [(speech("bad", None), "input"), (speech("a", Some("bad")), "instructions")] {
        let resolved = generations.resolve(alice, "scripted/mouth", Task::Speech).await.expect("a model");
        let live = generations.speak(alice, resolved, request).expect("begun");
        refused(live.begin().await, param);
    }
    let hearing = TranscriptionRequest {
        model: String::new(),
        audio: picture(),
        filename: "a.wav".to_owned(),
        language: None,
        prompt: Some("bad".to_owned()),
        temperature: None,
        translate: false,
        word_times: false,
        segment_times: false,
        speakers: false,
        logprobs: false,
        stream: false,
        options: empty_object(),
    };
    let resolved = generations.resolve(alice, "scripted/ears", Task::Transcription).await.expect("a model");
    refused(generations.transcribe(alice, resolved, hearing).expect("begun").begin().await, "prompt");
    let embedding = EmbeddingRequest {
        model: String::new(),
        inputs: vec![EmbeddingInput::Text("good".to_owned()), EmbeddingInput::Text("bad".to_owned())],
        dimensions: None,
        end_user: None,
        options: empty_object(),
    };
    let resolved = generations.resolve(alice, "scripted/vectors", Task::Embedding).await.expect("a model");
    refused(generations.embed(alice, resolved, embedding).await, "input[1]");
    let counted = generations.resolve(alice, "scripted/found", Task::Chat).await.expect("a model");
    let question = saying(vec![Part::Text("bad".to_owned())]);
    refused(generations.count_tokens(alice, counted, question).await, "messages[0].content");
    refused(desk.paint(MediaRequest { prompt: Some("bad".to_owned()), ..painting() }).await, "prompt");
    let negative = MediaRequest { negative_prompt: Some("bad".to_owned()), ..painting() };
    refused(desk.paint(negative).await, "negative_prompt");
    assert_eq!(desk.chats(), 0);
}

#[tokio::test]
async fn a_bad_job_is_not_taken_and_one_that_became_bad_is_not_submitted() {
    let desk = desk(settings()).await;
    desk.provider.acts.lock().expect("no panic").push_back(Act::Done("a cat"));
    let job = desk.paint(painting()).await.expect("taken");
    // Its pictures were good when it was taken; now they are not, and what was judged then was not kept.
    let seen = MediaInput {
        role: "image".to_owned(),
        media: Media::new(MediaSource::Url("https://x.example/a.png".to_owned()), None),
    };
    let judged_again = MediaRequest { inputs: vec![seen], ..painting() };
    let second = desk.paint(judged_again).await.expect("taken");
    desk.judges(Judging::WordsAndPictures);
    let (stop, stopped) = watch::channel(false);
    let running = desk.jobs.clone();
    let task = tokio::spawn(async move { running.run(stopped).await });
    let patience = Duration::from_secs(20);
    let first = desk.jobs.wait(&desk.alice, job.id, patience).await.expect("it is there");
    assert_eq!(first.state, JobState::Succeeded, "{first:?}");
    let second = desk.jobs.wait(&desk.alice, second.id, patience).await.expect("it is there");
    assert_eq!(second.state, JobState::Failed);
    let error = second.error.expect("why");
    assert_eq!(error.code, "content-refused");
    assert!(error.message.contains("violence"), "{error:?}");
    assert_eq!(desk.provider.seen.lock().expect("no panic").submissions, 1);
    stop.send(true).expect("it listens");
    task.await.expect("no panic");
}

#[tokio::test]
async fn pictures_are_judged_where_the_model_judges_pictures() {
    let with_picture = || saying(vec![Part::Text("look".to_owned()), Part::Image(shown())]);
    let sees = desk(settings()).await;
    sees.chat("scripted/found", with_picture()).await.expect("answered");
    sees.chat("scripted/found", with_picture()).await.expect("answered");
    let mut judged = sees.judged();
    judged.sort();
    assert_eq!(judged, [["(picture)"], ["look"]], "each picture alone, once");
    let strict = desk(settings()).await;
    strict.judges(Judging::WordsAndPictures);
    refused(strict.chat("scripted/found", with_picture()).await, "messages[0].content");
    let input = MediaInput { role: "image".to_owned(), media: shown() };
    refused(strict.paint(MediaRequest { inputs: vec![input], ..painting() }).await, "image");
    let blind = desk(ScreeningSettings { model: "judge/reader".to_owned(), ..settings() }).await;
    blind.judges(Judging::WordsAndPictures);
    blind.chat("scripted/found", with_picture()).await.expect("it reads alone");
}

#[tokio::test]
async fn a_prompt_that_cannot_be_judged_is_not_sent_unless_the_operator_says_so() {
    for judging in [Judging::Nothing, Judging::Fails, Judging::Miscounts] {
        let desk = desk(settings()).await;
        desk.judges(judging);
        let outcome = desk.say("good day").await;
        assert!(is_unjudged(&outcome), "{judging:?}: {outcome:?}");
        assert!(is_unjudged(&desk.paint(painting()).await), "{judging:?}");
        assert_eq!(desk.chats(), 0);
        desk.judges(Judging::Words);
        desk.say("good day").await.expect("a failure is not remembered");
    }
    let lenient = desk(ScreeningSettings { on_failure: OnFailure::Send, ..settings() }).await;
    lenient.judges(Judging::Fails);
    lenient.say("good day").await.expect("sent all the same");
    lenient.judges(Judging::Words);
    refused(lenient.say("a bad day").await, "messages[0].content");
    let nobody = desk(ScreeningSettings { model: "judge/gone".to_owned(), ..settings() }).await;
    assert!(is_unjudged(&nobody.say("good day").await), "no such model");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_does_not_answer_is_not_waited_for_longer_than_the_operator_says() {
    let desk = desk(ScreeningSettings { timeout: Duration::from_secs(3), ..settings() }).await;
    desk.judges(Judging::Hangs);
    let begun = tokio::time::Instant::now();
    assert!(is_unjudged(&desk.say("good day").await));
    let waited = begun.elapsed();
    assert!((Duration::from_secs(3)..Duration::from_secs(4)).contains(&waited), "{waited:?}");
}

#[tokio::test]
async fn another_model_of_an_alias_judges_where_the_first_cannot() {
    let desk = desk(ScreeningSettings { model: "judges".to_owned(), ..settings() }).await;
    desk.judges(Judging::Fails);
    desk.say("good day").await.expect("judged by the other");
    refused(desk.say("a bad day").await, "messages[0].content");
    assert_eq!(desk.other_judge.seen.lock().expect("no panic").judged.len(), 2);
}

#[tokio::test]
async fn the_operator_says_what_is_a_reason_and_which_instances_are_free() {
    let desk = desk(settings()).await;
    desk.chat("free/found", saying(vec![Part::Text("a bad day".to_owned())])).await.expect("not judged");
    assert!(desk.judged().is_empty());
    desk.say("an edgy day").await.expect("not flagged");

    let scores = BTreeMap::from([("violence".to_owned(), 0.4)]);
    let strict = self::desk(ScreeningSettings { scores, ..settings() }).await;
    refused(strict.say("an edgy day").await, "messages[0].content");
    strict.say("good day").await.expect("below it");

    let ignore = ["violence".to_owned()].into();
    let lax = self::desk(ScreeningSettings { ignore, ..settings() }).await;
    lax.say("a bad day").await.expect("no reason");

    let bare = self::desk(settings()).await;
    bare.judges(Judging::Bare);
    assert_eq!(refusal(bare.say("a bad day").await).1, ["what is not allowed"], "it has no categories");
}

#[tokio::test]
async fn whoever_brings_a_key_of_their_own_is_judged_as_well() {
    let desk = desk(settings()).await;
    let alice = Caller { own_key: Some(Arc::new(SecretValue::new("mine"))), ..desk.alice.clone() };
    let resolved = desk.generations.resolve(&alice, "scripted/found", Task::Chat).await.expect("a model");
    let question = saying(vec![Part::Text("a bad day".to_owned())]);
    let live = desk.generations.chat(&alice, resolved, question).expect("begun");
    refused(live.begin().await, "messages[0].content");
}

#[tokio::test]
async fn a_prompt_that_is_too_long_to_be_judged_is_refused() {
    let desk = desk(settings()).await;
    let parts = (0..9).map(|_| Part::Text("word ".repeat(100_000))).collect();
    let outcome = desk.chat("scripted/found", saying(parts)).await;
    let Err(ServiceError::Provider(ProviderError::Reported { failure, .. })) = &outcome else {
        panic!("it is not refused: {outcome:?}");
    };
    assert_eq!(failure.code.as_str(), "too-large");
    let many = (0..65).map(|_| Part::Image(shown())).collect();
    assert!(desk.chat("scripted/found", saying(many)).await.is_err());
    assert!(desk.judged().is_empty() && desk.chats() == 0);
}
