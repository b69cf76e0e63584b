//! The contract is not Rust's alone: providers in Python and JavaScript, on the real runtime, against an upstream that speaks the
//! real protocols.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use atelier_domain::blob::{BlobStore, MemoryBlobs};
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::generation::media::{
    JobKind, JobRequest, MediaRequest, OutputSource, Step, Ticket, Wake,
};
use atelier_domain::generation::media::{Outcome as Made, Output};
use atelier_domain::model::Task;
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::provider::Provider as _;
use atelier_domain::time::SystemClock;
use atelier_runtime::egress::EgressTimeouts;
use atelier_runtime::{
    CallReport, Compiler, InstanceSettings, Observer, Package, Profile, Sandbox, SandboxConfig,
    SandboxedProvider,
};
use mock_upstream::{Config, MockUpstream};
use support::{Outcome, collect, context, question};

#[path = "sandbox/support.rs"]
mod support;

/// A plugin in another language, and where the upstream speaks its protocol.
#[derive(Clone, Copy)]
struct Language {
    file: &'static str,
    prefix: &'static str,
    chat: &'static str,
    video: &'static str,
}

const PYTHON: Language = Language {
    file: "gemini-python-0.1.0.wasm",
    prefix: "/gemini/v1beta",
    chat: "gemini-2.5-flash",
    video: "veo-3.0-generate-001",
};
const JAVASCRIPT: Language =
    Language { file: "compatible-js-0.1.0.wasm", prefix: "/v1", chat: "mock-chat", video: "sora-2" };

/// What the configuration's template gives every plugin.
fn profile() -> Profile {
    Profile {
        memory_bytes: 64 << 20,
        table_elements: 100_000,
        stack_bytes: 512 << 10,
        cpu: Duration::from_secs(10),
        response_bytes: 64 << 20,
        host_call_bytes: 32 << 20,
        ..support::profile()
    }
}

/// The most memory that a call had at its end.
#[derive(Debug, Default)]
struct Peak(Mutex<usize>);

impl Observer for Peak {
    fn call_ended(&self, report: &CallReport<'_>) {
        let mut peak = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *peak = report.used.memory_bytes.max(*peak);
    }
}

struct Bench {
    language: Language,
    upstream: MockUpstream,
    provider: Arc<SandboxedProvider>,
    peak: Arc<Peak>,
}

impl Bench {
    async fn start(language: Language) -> Self {
        Self::with_key(language, "k-good").await
    }

    async fn with_key(language: Language, key: &str) -> Self {
        let upstream = MockUpstream::start(Config::default()).await.expect("port 0 is free");
        let peak = Arc::new(Peak::default());
        let config = SandboxConfig {
            profile: profile(),
            artefacts: artefacts(),
            compiler: Compiler::InProcess,
            timeouts: EgressTimeouts {
                connect: Duration::from_secs(5),
                first_byte: Duration::from_secs(20),
                idle: Duration::from_secs(20),
            },
            host_token: "test".to_owned(),
            blobs: Arc::new(MemoryBlobs::default()) as Arc<dyn BlobStore>,
            clock: Arc::new(SystemClock::default()),
            observer: Arc::clone(&peak) as Arc<dyn Observer>,
            random_seed: None,
        };
        let sandbox = Arc::new(Sandbox::new(config).expect("this machine runs the sandbox"));
        let file = support::hostile_file().with_file_name(language.file);
        let bytes = read(&file);
        compile_once(&sandbox, &bytes, language.file);
        let package = Package::read(&bytes).expect("a plugin that imports nothing it may not");
        let address = upstream.address().to_string();
        let config = InstanceConfig {
            name: "other".parse().expect("a name"),
            plugin: package.manifest.id.clone(),
            base_url: format!("{}{}", upstream.url(), language.prefix),
            hosts: Vec::new(),
            private_hosts: vec![address],
            settings: serde_json::Map::new(),
            secrets: [("api-key".to_owned(), SecretValue::new(key))].into(),
        };
        let settings = InstanceSettings { config, manifest: package.manifest, file, digest: package.digest };
        let provider = SandboxedProvider::new(sandbox, settings).expect("a valid configuration");
        Self { language, upstream, provider, peak }
    }

    async fn chat(&self, fault: &str, text: &str) -> Outcome {
        let mut request = question(&format!("{}{fault}", self.language.chat), text, Vec::new());
        request.stream = true;
        collect(Arc::clone(&self.provider).chat(context(Duration::from_secs(60)), request)).await
    }

    async fn submit(&self, fault: &str) -> Result<Step, ProviderError> {
        let request = video(&format!("{}{fault}", self.language.video));
        self.provider.submit(context(Duration::from_secs(60)), JobRequest::Media(Box::new(request))).await
    }

    async fn resume(&self, ticket: Ticket, wake: Wake) -> Result<Step, ProviderError> {
        self.provider.resume(context(Duration::from_secs(60)), JobKind::Media, ticket.state, wake).await
    }
}

fn read(file: &Path) -> Vec<u8> {
    std::fs::read(file).unwrap_or_else(|error| {
        panic!(
            "{}: {error}: run `cargo xtask plugins --only gemini-python --only compatible-js`",
            file.display()
        )
    })
}

/// These components take long to compile: one test of one process does it, and all others, also of later runs, find the artefact.
fn compile_once(sandbox: &Sandbox, bytes: &[u8], name: &str) {
    let lock = std::fs::File::create(artefacts().join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let started = Instant::now();
    sandbox.load(bytes).expect("it compiles and links");
    println!("{name}: {} bytes loaded in {:?}", bytes.len(), started.elapsed());
}

fn artefacts() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("languages")
}

fn video(model: &str) -> MediaRequest {
    MediaRequest {
        prompt: Some("a cat on a roof".to_owned()),
        size: Some("1280x720".to_owned()),
        duration_ms: Some(8_000),
        ..MediaRequest::new(model.to_owned(), Task::VideoGeneration)
    }
}

#[track_caller]
fn reported(error: ProviderError) -> Failure {
    match error {
        ProviderError::Reported { failure, .. } => *failure,
        error => panic!("{error}"),
    }
}

#[track_caller]
fn pending(step: Step) -> Ticket {
    match step {
        Step::Pending(ticket) => ticket,
        Step::Done(outcome) => panic!("it is done: {outcome:?}"),
    }
}

#[track_caller]
fn done(step: Step) -> Made {
    match step {
        Step::Done(outcome) => outcome,
        Step::Pending(ticket) => panic!("it goes on: {ticket:?}"),
    }
}

async fn streams_a_chat(language: Language) {
    let bench = Bench::start(language).await;
    let started = Instant::now();
    let outcome = bench.chat("", "one two three").await;
    let took = started.elapsed();
    assert!(outcome.error.is_none(), "{:?}", outcome.error);
    assert_eq!(outcome.text(), "Hello from the mock: one two three");
    let texts = outcome.events.iter().filter(|event| matches!(event, ChatEvent::Text(_))).count();
    assert!(texts > 3, "{:?}", outcome.events);
    assert!(matches!(&outcome.events[0], ChatEvent::Started { model, .. } if model == language.chat));
    let end = &outcome.events[outcome.events.len() - 2..];
    assert!(matches!(end, [ChatEvent::Finished(_), ChatEvent::Usage(lines)] if lines.len() == 2), "{end:?}");
    let peak = *bench.peak.0.lock().unwrap_or_else(PoisonError::into_inner);
    println!("{}: a chat took {took:?} and {} KiB", language.file, peak >> 10);
    assert!(peak < 48 << 20, "a chat takes {peak} bytes: too near the limit");
}

async fn never_finishes_a_cut_stream(language: Language) {
    let bench = Bench::start(language).await;
    for (fault, code) in [("+cut", FailureCode::Unavailable), ("+malformed", FailureCode::BadResponse)] {
        let outcome = bench.chat(fault, "one two three four").await;
        assert!(!outcome.finished(), "{fault}: {:?}", outcome.events);
        assert!(outcome.text().starts_with("Hello"), "{fault}: what came before is delivered");
        assert_eq!(reported(outcome.expect_error()).code, code, "{fault}");
    }
    let outcome = bench.chat("+stream-error", "one two three four").await;
    assert!(!outcome.finished());
    let failure = reported(outcome.expect_error());
    assert!(matches!(failure.code, FailureCode::Overloaded | FailureCode::Unavailable), "{failure:?}");
}

async fn takes_a_job_from_submission_to_its_file(language: Language) {
    let bench = Bench::start(language).await;
    let first = pending(bench.submit("").await.expect("it begins"));
    assert!(first.provider_id.is_some());
    let second = pending(bench.resume(first, Wake::Timer).await.expect("it goes on"));
    let outcome = done(bench.resume(second, Wake::Resumed).await.expect("it ends"));
    let [Output::Media(media)] = outcome.outputs.as_slice() else { panic!("{:?}", outcome.outputs) };
    let blob = match &media.source {
        OutputSource::Blob(blob) => blob.clone(),
        // Only the host has the key that the download wants.
        OutputSource::Guarded(url) => bench.provider.fetch(url, 1 << 20).await.expect("the file"),
        OutputSource::Remote(url) => panic!("the download at {url} wants a key"),
    };
    assert_eq!((blob.content_type.as_str(), media.content_type.as_deref()), ("video/mp4", Some("video/mp4")));
    assert!(blob.size > 100);
    let [line] = outcome.usage.as_slice() else { panic!("{:?}", outcome.usage) };
    assert_eq!((line.meter.as_str(), line.quantity), ("video-ms", 8_000));
    assert_eq!(bench.upstream.charges().requests, 1);
}

async fn tells_how_a_job_failed(language: Language) {
    let bench = Bench::start(language).await;
    let mut step = bench.submit("+fail").await;
    for _ in 0..2 {
        step = bench.resume(pending(step.expect("not yet")), Wake::Timer).await;
    }
    let failure = reported(step.expect_err("it failed"));
    // Asking again would bring the same: the job has ended.
    assert_eq!(failure.code, FailureCode::Internal, "{failure:?}");
    assert!(failure.message.contains("could not be made"), "{failure:?}");
}

async fn has_words_for_refusals(language: Language) {
    let bench = Bench::with_key(language, "sk-bad-secret").await;
    let failure = reported(bench.chat("", "hi").await.expect_error());
    assert_eq!(failure.code, FailureCode::Unauthenticated);
    assert!(!failure.message.contains("sk-bad"), "{failure:?}");
    let checked = bench.provider.check(context(Duration::from_secs(60))).await;
    assert_eq!(reported(checked.expect_err("the key is bad")).code, FailureCode::Unauthenticated);

    let bench = Bench::start(language).await;
    bench.provider.check(context(Duration::from_secs(60))).await.expect("the key is good");
    let failure = reported(bench.chat("+429", "hi").await.expect_error());
    assert_eq!(failure.code, FailureCode::RateLimited);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(1)));
    let mut request = question("missing-model", "hi", Vec::new());
    request.stream = true;
    let lost = Arc::clone(&bench.provider).chat(context(Duration::from_secs(60)), request);
    assert_eq!(reported(collect(lost).await.expect_error()).code, FailureCode::NotFound);
}

async fn lists_its_models(language: Language) {
    let bench = Bench::start(language).await;
    let description = bench.provider.describe().await.expect("it describes itself");
    assert!(description.discovers);
    let page = bench.provider.discover(context(Duration::from_secs(60)), None).await.expect("a page");
    let ids: Vec<&str> = page.items.iter().map(|model| model.id.as_str()).collect();
    assert!(ids.contains(&language.chat) && ids.contains(&language.video), "{ids:?}");
}

/// The same promises for each language.
macro_rules! languages {
    ($($name:ident: $language:ident { $($test:ident => $check:ident,)* })*) => {$(
        mod $name {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$check(super::$language).await;
                }
            )*
        }
    )*};
}

languages! {
    python: PYTHON {
        streams_a_chat_event_by_event => streams_a_chat,
        never_finishes_a_stream_that_breaks => never_finishes_a_cut_stream,
        takes_a_job_from_submission_to_its_file => takes_a_job_from_submission_to_its_file,
        tells_how_a_job_failed => tells_how_a_job_failed,
        has_words_for_refusals => has_words_for_refusals,
        lists_its_models => lists_its_models,
    }
    javascript: JAVASCRIPT {
        streams_a_chat_event_by_event => streams_a_chat,
        never_finishes_a_stream_that_breaks => never_finishes_a_cut_stream,
        takes_a_job_from_submission_to_its_file => takes_a_job_from_submission_to_its_file,
        tells_how_a_job_failed => tells_how_a_job_failed,
        has_words_for_refusals => has_words_for_refusals,
        lists_its_models => lists_its_models,
    }
}
