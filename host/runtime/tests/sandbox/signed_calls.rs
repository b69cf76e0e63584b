//! Plugins' calls whose requests the host signs: what a plugin sees of it, and what its caller is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::failure::ProviderError;
use atelier_domain::plugin::SecretValue;
use atelier_domain::provider::{ChargeJournal, Provider as _};
use atelier_domain::store::StoreError;
use atelier_domain::time::Clock;
use atelier_runtime::{Compiler, SandboxedProvider};
use bytes::Bytes;

use crate::clock::StoppedClock;
use crate::logs;
use crate::signers::{PASSWORD, answer, client_spec, refusal, token};
use crate::support::{Host, SECRET, chat, collect, context, profile, question};
use crate::upstream::{Echo, Script, Upstream, in_turn, response};

#[tokio::test]
async fn a_plugin_never_sees_a_token() {
    logs::capture();
    for echo in [Echo::Body, Echo::ThreeByteChunks, Echo::Base64, Echo::Header, Echo::TornAcrossEvents] {
        // The plugin knows how its hosts' secrets begin, and looks for this one in all of its memory.
        let upstream =
            Upstream::start([("/token", token(SECRET, 3600)), ("/echo", Script::Echo(echo))]).await;
        let host = Host::new(profile());
        let provider = host.instance_of(&upstream.address, |settings| {
            settings.manifest.secrets = vec![client_spec(&upstream.address)];
            let value = SecretValue::new(format!("id:{PASSWORD}"));
            settings.config.secrets = [("client".to_owned(), value)].into();
        });
        let outcome = chat(&provider, "dump", "/echo").await;
        let sent = &upstream.arrived_at("/echo")[0];
        assert_eq!(sent.header("authorization"), Some(format!("Bearer {SECRET}").as_str()));
        crate::secrets::assert_clean(&crate::secrets::everything(&outcome), echo);
        assert!(
            format!("{:?}", outcome.events).contains("****"),
            "the echo got through: {:?}",
            outcome.events
        );
    }
}

/// Counts what it is told, and what of it was taken back.
#[derive(Debug, Default)]
struct Journal(AtomicUsize, AtomicUsize);

#[async_trait::async_trait]
impl ChargeJournal for Journal {
    async fn charging(&self, _: bool) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn withdrawn(&self, repeatable: bool) {
        assert!(!repeatable);
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_charging_request_that_was_refused_for_now_or_found_nobody_is_withdrawn_and_no_other() {
    let scripts = [refusal("429 Later"), refusal("500 Broken"), refusal("503 Later"), answer("{}")];
    let upstream = Upstream::start([("/take", in_turn(scripts))]).await;
    let host = Host::new(profile());
    let journal = Arc::new(Journal::default());
    let counted = async |provider: &Arc<SandboxedProvider>| {
        let mut context = context(Duration::from_secs(10));
        context.journal = Some(Arc::clone(&journal) as Arc<dyn ChargeJournal>);
        let file = Blob::in_memory("text/plain", Bytes::from_static(b"a file"));
        collect(Arc::clone(provider).chat(context, question("send-blob", "", vec![file]))).await;
        (journal.0.load(Ordering::Relaxed), journal.1.load(Ordering::Relaxed))
    };
    let provider = host.instance(&upstream.address);
    for expected in [(1, 1), (2, 1), (3, 1), (4, 1)] {
        assert_eq!(counted(&provider).await, expected);
    }
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    assert_eq!(counted(&host.instance(&nobody.to_string())).await, (5, 2));
}

#[tokio::test]
async fn a_charging_request_that_cannot_be_signed_is_not_journaled_as_if_it_had_left() {
    let tokens = in_turn([refusal("503 Later"), token("tok-1", 60)]);
    let upstream = Upstream::start([("/token", tokens), ("/take", answer("{}"))]).await;
    let clock = Arc::new(StoppedClock::default());
    let host = Host::with(profile(), Compiler::InProcess, Arc::clone(&clock) as Arc<dyn Clock>);
    let provider = host.instance_of(&upstream.address, |settings| {
        settings.manifest.secrets = vec![client_spec(&upstream.address)];
        settings.config.secrets = [("client".to_owned(), SecretValue::new("id:password"))].into();
    });
    let journal = Arc::new(Journal::default());
    let charge = || {
        let mut context = context(Duration::from_secs(10));
        context.journal = Some(Arc::clone(&journal) as Arc<dyn ChargeJournal>);
        let file = Blob::in_memory("text/plain", Bytes::from_static(b"a file"));
        collect(Arc::clone(&provider).chat(context, question("send-blob", "", vec![file])))
    };
    let error = charge().await.expect_error();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "it may pass: {error}");
    assert_eq!(journal.0.load(Ordering::Relaxed), 0);
    clock.advance(Duration::from_secs(2));
    assert!(charge().await.expect_text().starts_with("200"));
    assert_eq!(journal.0.load(Ordering::Relaxed), 1);
    assert_eq!(upstream.arrived_at("/take").len(), 1);
}

#[tokio::test]
async fn a_plugins_call_with_a_refused_or_missing_credential_names_the_secret_and_sends_nothing() {
    let refused = Script::Answer(response("400 No", "", b"{\"error\":\"invalid_client\"}"));
    let upstream = Upstream::start([("/token", refused), ("/small", answer("{}"))]).await;
    let host = Host::new(profile());
    let provider = |value: Option<&str>| {
        host.instance_of(&upstream.address, |settings| {
            settings.manifest.secrets = vec![client_spec(&upstream.address)];
            let values = value.map(|value| ("client".to_owned(), SecretValue::new(value)));
            settings.config.secrets = values.into_iter().collect();
        })
    };
    let error = chat(&provider(None), "many-requests", "/small").await.expect_error();
    assert!(matches!(&error, ProviderError::SecretMissing { secret, .. } if secret == "client"), "{error}");
    assert_eq!(upstream.connections(), 0);
    let error = chat(&provider(Some("id:password")), "many-requests", "/small").await.expect_error();
    match &error {
        ProviderError::SecretRefused { secret, reason, .. } => {
            assert_eq!(secret, "client");
            assert!(reason.contains("invalid_client"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert!(upstream.arrived_at("/small").is_empty());
    let header =
        chat(&provider(Some("id:password")), "header", "authorization=Bearer mine").await.expect_error();
    assert!(matches!(header, ProviderError::Forbidden { .. }), "{header}");
}
