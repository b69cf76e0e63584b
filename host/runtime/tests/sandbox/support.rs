//! What tests, examples and benchmarks of the sandbox share: a sandbox of a named profile, instances of the hostile plugin, and
//! ways to call them.

#![allow(dead_code, reason = "each of the programs that include this module uses a part of it")]

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobStore, MemoryBlobs};
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, ChatRole, Message, Part};
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::provider::{CallContext, EventStream, Provider as _};
use atelier_domain::time::{Clock, SystemClock};
use atelier_runtime::egress::EgressTimeouts;
use atelier_runtime::{
    Compiler, InstanceSettings, NoObserver, Observer, Package, Profile, Sandbox, SandboxConfig,
    SandboxedProvider,
};
use futures::StreamExt as _;

/// The secret of all instances; the hostile plugin knows how it begins.
pub const SECRET: &str = "sk-live-q7Zt/2+vYx0Lr8WbNc4Md6";

/// Small enough that each attack ends quickly, large enough that good calls never notice.
pub fn profile() -> Profile {
    Profile {
        memory_bytes: 32 << 20,
        table_elements: 20_000,
        stack_bytes: 256 << 10,
        cpu: Duration::from_millis(400),
        // Met by what is to meet it alone, however busy the machine is.
        wall: Duration::from_secs(120),
        response_bytes: 4 << 20,
        blob_bytes: 32 << 20,
        log_bytes: 64 << 10,
        open_requests: 4,
        requests: 20,
        handles: 64,
        host_call_bytes: 1 << 20,
        host_calls: 50_000_000,
        concurrent_calls: 16,
        slow_lane_calls: 16,
        slow_lane_threads: 1,
        cache_bytes: 4 << 20,
    }
}

/// The hostile plugin's file.
///
/// # Panics
/// It has not been built.
pub fn hostile_file() -> PathBuf {
    built("hostile")
}

/// The file of a plugin in its first version.
///
/// # Panics
/// It has not been built.
pub fn built(plugin: &str) -> PathBuf {
    let folder = std::env::var_os("ATELIER_PLUGINS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/plugins")),
        PathBuf::from,
    );
    let file = folder.join(format!("{plugin}-0.1.0.wasm"));
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins --only {plugin}`", file.display());
    file
}

/// What the hostile plugin's file says of itself, read once.
fn hostile_package() -> &'static Package {
    static PACKAGE: OnceLock<Package> = OnceLock::new();
    PACKAGE.get_or_init(|| {
        let bytes = std::fs::read(hostile_file()).expect("the plugin's file");
        Package::read(&bytes).expect("a plugin")
    })
}

/// A sandbox with its own folder of compiled components.
pub struct Host {
    pub sandbox: Arc<Sandbox>,
    pub blobs: Arc<MemoryBlobs>,
    pub artefacts: tempfile::TempDir,
}

impl Host {
    pub fn new(profile: Profile) -> Self {
        Self::with(profile, Compiler::InProcess, Arc::new(SystemClock::default()))
    }

    pub fn with(profile: Profile, compiler: Compiler, clock: Arc<dyn Clock>) -> Self {
        Self::built(profile, compiler, clock, Arc::new(NoObserver))
    }

    /// One whose calls somebody observes.
    pub fn observed(profile: Profile, observer: Arc<dyn Observer>) -> Self {
        Self::built(profile, Compiler::InProcess, Arc::new(SystemClock::default()), observer)
    }

    fn built(
        profile: Profile,
        compiler: Compiler,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let artefacts = tempfile::tempdir().expect("a folder for temporary files");
        let blobs = Arc::new(MemoryBlobs::default());
        let config = SandboxConfig {
            profile,
            artefacts: artefacts.path().join("compiled"),
            compiler,
            timeouts: EgressTimeouts {
                connect: Duration::from_secs(5),
                first_byte: Duration::from_secs(20),
                idle: Duration::from_secs(20),
            },
            host_token: "test".to_owned(),
            blobs: Arc::clone(&blobs) as Arc<dyn BlobStore>,
            clock,
            observer,
            random_seed: None,
        };
        let sandbox = Arc::new(Sandbox::new(config).expect("this machine runs the sandbox"));
        Self { sandbox, blobs, artefacts }
    }

    /// An instance of the hostile plugin that may reach `address` although it is private.
    pub fn instance(&self, address: &str) -> Arc<SandboxedProvider> {
        self.instance_with(address, |_| {})
    }

    /// The same, configured further.
    pub fn instance_with(
        &self,
        address: &str,
        change: impl FnOnce(&mut InstanceConfig),
    ) -> Arc<SandboxedProvider> {
        self.instance_of(address, |settings| change(&mut settings.config))
    }

    /// The same, with another manifest.
    pub fn instance_of(
        &self,
        address: &str,
        change: impl FnOnce(&mut InstanceSettings),
    ) -> Arc<SandboxedProvider> {
        let package = hostile_package();
        let mut settings = InstanceSettings {
            config: config(address),
            manifest: package.manifest.clone(),
            file: hostile_file(),
            digest: package.digest.clone(),
        };
        change(&mut settings);
        SandboxedProvider::new(Arc::clone(&self.sandbox), settings).expect("a valid configuration")
    }
}

/// The configuration of an instance at `address` (`host:port`).
pub fn config(address: &str) -> InstanceConfig {
    InstanceConfig {
        name: "hostile".parse().expect("a name"),
        plugin: "dev/hostile".to_owned(),
        base_url: format!("http://{address}"),
        hosts: Vec::new(),
        private_hosts: vec![address.to_owned()],
        settings: serde_json::Map::new(),
        secrets: [("api-key".to_owned(), SecretValue::new(SECRET))].into(),
    }
}

/// A context with `budget` left.
pub fn context(budget: Duration) -> CallContext {
    CallContext {
        call: atelier_domain::id::CallId::new(),
        request_id: Arc::from("test-request"),
        attempt: 1,
        idempotency_key: "test-key".to_owned(),
        budget,
        scope: Arc::from("tenant"),
        callback_url: None,
        depth: 0,
        journal: None,
        previews: None,
        hidden: None,
        trace: None,
    }
}

/// A question to the model `model`, with a text and files.
pub fn question(model: &str, argument: &str, files: Vec<Blob>) -> ChatRequest {
    let media = |blob: Blob| {
        let content_type = Some(blob.content_type.clone());
        Part::File(Media::new(MediaSource::Blob(blob), content_type))
    };
    let parts =
        std::iter::once(Part::Text(argument.to_owned())).chain(files.into_iter().map(media)).collect();
    ChatRequest::new(model, vec![Message { role: ChatRole::User, parts, name: None }])
}

/// Starts a chat.
pub fn start(provider: &Arc<SandboxedProvider>, model: &str, argument: &str) -> EventStream<ChatEvent> {
    Arc::clone(provider).chat(context(Duration::from_secs(60)), question(model, argument, Vec::new()))
}

/// How a chat went.
#[derive(Debug, Default)]
pub struct Outcome {
    pub events: Vec<ChatEvent>,
    pub error: Option<ProviderError>,
}

impl Outcome {
    pub fn text(&self) -> String {
        let text = |event: &ChatEvent| match event {
            ChatEvent::Text(text) => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    pub fn finished(&self) -> bool {
        self.events.iter().any(|event| matches!(event, ChatEvent::Finished(_)))
    }

    #[track_caller]
    pub fn expect_error(self) -> ProviderError {
        match self.error {
            Some(error) => error,
            None => panic!("the call went well: {}", self.text()),
        }
    }

    #[track_caller]
    pub fn expect_text(self) -> String {
        if let Some(error) = self.error {
            panic!("the call failed: {error}");
        }
        assert!(self.finished(), "the answer has no end");
        self.text()
    }
}

/// Reads a stream to its end.
pub async fn collect(mut stream: EventStream<ChatEvent>) -> Outcome {
    let mut outcome = Outcome::default();
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(events) => outcome.events.extend(events),
            Err(error) => outcome.error = Some(error),
        }
    }
    outcome
}

/// A whole chat.
pub async fn chat(provider: &Arc<SandboxedProvider>, model: &str, argument: &str) -> Outcome {
    collect(start(provider, model, argument)).await
}

/// Asserts that a good call works.
pub async fn assert_good(provider: &Arc<SandboxedProvider>) {
    assert_eq!(chat(provider, "good", "").await.expect_text(), "hello");
}
