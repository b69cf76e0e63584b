//! A secret that an upstream tore across events comes out of no capability, however a plugin puts it together again.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::empty_object;
use atelier_domain::generation::media::{Callback, JobKind, JobRequest, MediaRequest, Wake};
use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::model::Task;
use atelier_domain::provider::{CallContext, Provider as _};
use atelier_runtime::SandboxedProvider;
use bytes::Bytes;
use futures::StreamExt as _;

use crate::support::{Host, SECRET, context, profile, question};
use crate::upstream::{Echo, Script, Upstream};

struct Bench {
    provider: Arc<SandboxedProvider>,
    upstream: Upstream,
    _host: Host,
}

impl Bench {
    async fn start() -> Self {
        let upstream = Upstream::start([("/echo", Script::Echo(Echo::TornAcrossEvents))]).await;
        let host = Host::new(profile());
        Self { provider: host.instance(&upstream.address), upstream, _host: host }
    }

    /// Asserts that something was told, and the secret in it blanked.
    #[track_caller]
    fn assert_blanked(&self, told: &impl Debug) {
        let text = format!("{told:?}");
        assert!(!text.contains(SECRET), "{text}");
        assert!(!text.contains(&format!("{:?}", SECRET.as_bytes())[1..60]), "the bytes of a token: {text}");
        assert!(text.contains(&"*".repeat(SECRET.len())), "{text}");
    }

    fn assert_asked(&self) {
        let expected = format!("Bearer {SECRET}");
        assert_eq!(self.upstream.arrived()[0].header("authorization"), Some(expected.as_str()));
    }
}

fn soon() -> CallContext {
    context(Duration::from_secs(20))
}

fn picture() -> JobRequest {
    JobRequest::Media(Box::new(MediaRequest::new("told".to_owned(), Task::ImageGeneration)))
}

#[tokio::test]
async fn a_transcript_and_its_pieces_tell_no_secret() {
    let bench = Bench::start().await;
    let request = TranscriptionRequest {
        model: "told".to_owned(),
        audio: Blob::in_memory("audio/wav", Bytes::from_static(b"RIFF")),
        filename: "a.wav".to_owned(),
        language: None,
        prompt: None,
        temperature: None,
        translate: false,
        word_times: true,
        segment_times: true,
        speakers: true,
        logprobs: true,
        stream: true,
        options: empty_object(),
    };
    let mut events = Arc::clone(&bench.provider).transcribe(soon(), request);
    let (mut joined, mut others) = (String::new(), Vec::new());
    while let Some(batch) = events.next().await {
        for event in batch.expect("a transcript") {
            match event {
                TranscriptionEvent::Text(piece) => joined.push_str(&piece),
                other => others.push(other),
            }
        }
    }
    bench.assert_asked();
    bench.assert_blanked(&joined);
    assert_eq!(others.len(), 4, "{others:?}");
    others.iter().for_each(|event| bench.assert_blanked(event));
}

#[tokio::test]
async fn vectors_and_verdicts_tell_no_secret() {
    let bench = Bench::start().await;
    let inputs = vec![EmbeddingInput::Text("x".to_owned())];
    let request = EmbeddingRequest {
        model: "told".to_owned(),
        inputs,
        dimensions: None,
        end_user: None,
        options: empty_object(),
    };
    bench.assert_blanked(&bench.provider.embed(soon(), request).await.expect("vectors"));
    bench.assert_asked();
    let inputs = vec![ModerationInput::Text("x".to_owned())];
    let request = ModerationRequest { model: "told".to_owned(), inputs, options: empty_object() };
    let judged = bench.provider.moderate(soon(), request).await.expect("verdicts");
    bench.assert_blanked(&judged);
    bench.assert_blanked(&judged.verdicts[0].extra);
}

#[tokio::test]
async fn a_job_tells_no_secret_in_any_of_its_steps() {
    let bench = Bench::start().await;
    bench.assert_blanked(&bench.provider.estimate(soon(), picture()).await.expect("an estimate"));
    bench.assert_asked();
    bench.assert_blanked(&bench.provider.submit(soon(), picture()).await.expect("a ticket"));
    let resumed = bench.provider.resume(soon(), JobKind::Media, Vec::new(), Wake::Timer).await;
    bench.assert_blanked(&resumed.expect("results"));
    let canceled = bench.provider.cancel(soon(), JobKind::Media, Vec::new()).await;
    bench.assert_blanked(&canceled.expect("results"));
}

#[tokio::test]
async fn a_failure_and_a_callback_tell_no_secret() {
    let bench = Bench::start().await;
    let failed = bench.provider.count_tokens(soon(), question("told", "x", Vec::new())).await;
    let error = failed.expect_err("it only tells");
    assert!(matches!(error, ProviderError::Reported { .. }), "{error}");
    bench.assert_blanked(&error);
    let body = Bytes::from(format!("you sent Bearer {SECRET}, did you not?"));
    let callback = Callback { headers: Vec::new(), query: String::new(), body };
    bench.assert_blanked(&bench.provider.parse_callback(soon(), callback).await.expect("events"));
}
