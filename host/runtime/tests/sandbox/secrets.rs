//! A secret goes to its upstream, and appears nowhere else.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::provider::{Provider as _, Readiness};
use atelier_runtime::SandboxedProvider;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::logs;
use crate::support::{Host, Outcome, SECRET, assert_good, chat, context, profile};
use crate::upstream::{Echo, Script, Upstream, response};

/// All that left the sandbox, as text: events, error, log.
pub fn everything(outcome: &Outcome) -> String {
    let error = outcome.error.as_ref().map(|error| format!("{error} {error:?}"));
    // Streamed texts are what a caller joins.
    let mut joined = [String::new(), String::new(), String::new(), String::new()];
    for event in &outcome.events {
        use atelier_domain::generation::chat::ChatEvent;
        match event {
            ChatEvent::Text(text) => joined[0].push_str(text),
            ChatEvent::Thinking(thinking) => joined[1].push_str(&thinking.text),
            ChatEvent::Refusal(text) => joined[2].push_str(text),
            ChatEvent::ToolCallDelta { arguments, .. } => joined[3].push_str(arguments),
            _ => {}
        }
    }
    format!("{:?}\n{joined:?}\n{}\n{}", outcome.events, error.unwrap_or_default(), logs::captured())
}

pub fn assert_clean(text: &str, echo: Echo) {
    let backwards: String = SECRET.chars().rev().collect();
    let encoded = STANDARD.encode(SECRET);
    for (spelling, what) in [
        (SECRET, "the secret itself"),
        (backwards.as_str(), "the secret from the plugin's memory"),
        (&encoded[..24], "the secret in base64"),
    ] {
        assert!(!text.contains(spelling), "{what} came out of {echo:?}");
    }
    for encoded in text
        .split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
        .filter(|word| word.len() >= 16)
    {
        let decoded = STANDARD.decode(&encoded[..encoded.len() / 4 * 4]).unwrap_or_default();
        assert!(
            !String::from_utf8_lossy(&decoded).contains(SECRET),
            "the secret came out of {echo:?} in base64"
        );
    }
}

async fn dump(echo: Echo) -> Outcome {
    logs::capture();
    let upstream = Upstream::start([("/echo", Script::Echo(echo))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let outcome = chat(&provider, "dump", "/echo").await;
    let sent = upstream.arrived();
    assert_eq!(
        sent[0].header("authorization"),
        Some(format!("Bearer {SECRET}").as_str()),
        "the upstream gets it"
    );
    assert_clean(&everything(&outcome), echo);
    match outcome.error.as_ref().expect("a dump ends in a failure") {
        ProviderError::Reported { failure, .. } => {
            assert!(failure.param.is_some() && failure.provider_detail.is_some(), "{failure:?}");
        }
        error => panic!("{error}"),
    }
    assert_good(&provider).await;
    outcome
}

/// Asserts that the echo itself got through, with stars where the secret was.
fn assert_blanked(outcome: &Outcome) {
    let text = everything(outcome);
    assert!(text.contains(&"*".repeat(SECRET.len() - 2)), "{}", outcome.text());
    let logged = logs::captured();
    assert!(logged.contains("***"), "the plugin's log line was captured");
}

#[tokio::test]
async fn a_secret_echoed_in_a_body_is_blanked() {
    let outcome = dump(Echo::Body).await;
    assert_blanked(&outcome);
    assert!(outcome.text().contains(&format!("Bearer {}, did you not?", "*".repeat(SECRET.len()))));
}

#[tokio::test]
async fn a_secret_echoed_in_pieces_of_three_bytes_is_blanked() {
    let outcome = dump(Echo::ThreeByteChunks).await;
    assert_blanked(&outcome);
    assert!(outcome.text().contains(&format!("Bearer {}, did you not?", "*".repeat(SECRET.len()))));
}

#[tokio::test]
async fn a_secret_echoed_inside_base64_is_blanked() {
    assert_blanked(&dump(Echo::Base64).await);
}

#[tokio::test]
async fn a_secret_echoed_in_an_error_body_is_blanked() {
    let outcome = dump(Echo::ErrorBody).await;
    assert_blanked(&outcome);
    assert!(outcome.text().contains("wrong key Bearer ***"), "{}", outcome.text());
}

#[tokio::test]
async fn a_secret_echoed_in_a_header_is_blanked() {
    let outcome = dump(Echo::Header).await;
    assert_blanked(&outcome);
    assert!(outcome.text().contains("x-you-sent: Bearer ***"), "{}", outcome.text());
}

#[tokio::test]
async fn a_secret_torn_across_events_is_blanked_in_all_that_a_plugin_makes_of_it() {
    assert_blanked(&dump(Echo::TornAcrossEvents).await);
}

#[tokio::test]
async fn a_plugin_that_knows_a_secret_cannot_tell_it_in_the_name_of_a_host_or_header() {
    logs::capture();
    let upstream = Upstream::start([]).await;
    let host = Host::new(profile());
    let padded = format!("{}{SECRET}=1", "x".repeat(40));
    for (model, argument) in [
        ("visit", format!("https://example.invalid:1/{SECRET}")),
        ("header", format!("{SECRET} =1")),
        ("header", padded),
    ] {
        let provider = host.instance(&upstream.address);
        let outcome = chat(&provider, model, &argument).await;
        let error = outcome.expect_error().to_string();
        assert!(!error.contains(&SECRET[..20]), "{error}");
    }
}

fn without_secret(host: &Host, upstream: &Upstream) -> Arc<SandboxedProvider> {
    host.instance_with(&upstream.address, |config| config.secrets.clear())
}

#[tokio::test]
async fn a_missing_secret_is_named_before_anything_is_sent() {
    let upstream = Upstream::start([("/small", Script::Answer(response("200 OK", "", b"small")))]).await;
    let host = Host::new(profile());
    let provider = without_secret(&host, &upstream);
    let error = chat(&provider, "many-requests", "/small").await.expect_error();
    assert!(matches!(&error, ProviderError::SecretMissing { secret, .. } if secret == "api-key"), "{error}");
    let checked = provider.check(context(Duration::from_secs(5))).await.expect_err("nothing goes without it");
    assert!(
        matches!(&checked, ProviderError::SecretMissing { secret, .. } if secret == "api-key"),
        "{checked}"
    );
    assert_eq!(provider.missing_secret(), Some("api-key"));
    assert!(matches!(provider.readiness(), Readiness::Failed(why) if why.contains("api-key")));
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn a_secret_goes_to_no_other_host_than_that_of_the_base_url() {
    let answer = || [("/", Script::Answer(response("200 OK", "", b"thanks")))];
    let (upstream, other) = (Upstream::start(answer()).await, Upstream::start(answer()).await);
    let host = Host::new(profile());
    let provider =
        host.instance_with(&upstream.address, |config| config.private_hosts.push(other.address.clone()));
    for address in [&upstream.address, &other.address] {
        let error = chat(&provider, "visit", &format!("http://{address}/")).await.expect_error();
        assert!(error.to_string().contains("it got through: 200"), "{error}");
    }
    assert!(upstream.arrived()[0].header("authorization").is_some());
    assert_eq!(other.arrived()[0].header("authorization"), None);
}
