//! Host signers against a real token endpoint on a socket: what goes out, how often it is asked for, and what a hostile one can do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::manifest::SecretSpec;
use atelier_domain::plugin::SecretValue;
use atelier_domain::time::Clock;
use atelier_runtime::egress::{
    Egress, EgressError, EgressTimeouts, Grants, HostPattern, OutgoingBody, OutgoingRequest, Secrets,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use crate::clock::StoppedClock;
use crate::upstream::{Echo, Script, Upstream, in_turn, response};

pub const PASSWORD: &str = "client-password-5f2a";

pub fn answer(body: &str) -> Script {
    Script::Answer(response("200 OK", "content-type: application/json\r\n", body.as_bytes()))
}

pub fn token(token: &str, seconds: u64) -> Script {
    answer(&json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds}).to_string())
}

pub fn refusal(status: &str) -> Script {
    Script::Answer(response(status, "", b"{\"error\":\"no\"}"))
}

/// The manifest's secret for client credentials.
pub fn client_spec(address: &str) -> SecretSpec {
    let spec = json!({
        "name": "client", "required": true, "place": "oauth2-client",
        "oauth2-client": {"token-url": format!("http://{address}/token"), "scope": "media write"},
    });
    serde_json::from_value(spec).expect("a secret")
}

/// An instance's way out, with a clock that stands.
struct Exit {
    egress: Egress,
    grants: Grants,
    secrets: Secrets,
    clock: Arc<StoppedClock>,
    address: String,
}

impl Exit {
    fn new(upstream: &Upstream, spec: SecretSpec, value: &str) -> Arc<Self> {
        Self::granted(upstream, &[&upstream.address], spec, value)
    }

    fn granted(upstream: &Upstream, granted: &[&str], spec: SecretSpec, value: &str) -> Arc<Self> {
        let second = Duration::from_secs(1);
        let egress =
            Egress::new("test", EgressTimeouts { connect: second, first_byte: second, idle: second });
        let pattern = |host: &&str| HostPattern::parse(host).expect("a host");
        let clock = Arc::new(StoppedClock::default());
        let values = BTreeMap::from([(spec.name.clone(), SecretValue::new(value))]);
        let base = HostPattern::parse(&upstream.address);
        let reader = Arc::clone(&clock) as Arc<dyn Clock>;
        let secrets = Secrets::new(&[spec], &values, base, &serde_json::Map::new(), reader);
        Arc::new(Self {
            egress: egress.expect("a way out"),
            grants: Grants::new(Vec::new(), granted.iter().map(pattern).collect()),
            secrets: secrets.expect("a good credential"),
            clock,
            address: upstream.address.clone(),
        })
    }

    fn client(upstream: &Upstream) -> Arc<Self> {
        Self::new(upstream, client_spec(&upstream.address), &format!("the client:{PASSWORD}"))
    }

    /// Posts `{}` to the API; gives the status and the body.
    async fn post(&self) -> Result<(u16, String), EgressError> {
        let request = OutgoingRequest {
            method: Method::POST,
            url: Url::parse(&format!("http://{}/api", self.address)).expect("a URL"),
            headers: HeaderMap::new(),
            body: OutgoingBody::full(Bytes::from_static(b"{}")),
            request_id: None,
            depth: 0,
            trace: None,
        };
        let mut received = self.egress.send(request, &self.grants, &self.secrets).await?;
        let mut body = Vec::new();
        while let Some(chunk) = received.body.read(1 << 16).await? {
            body.extend_from_slice(&chunk);
        }
        Ok((received.status.as_u16(), String::from_utf8_lossy(&body).into_owned()))
    }

    async fn status(&self) -> u16 {
        self.post().await.expect("answered").0
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// The tokens with which the API was called.
fn bearers(upstream: &Upstream) -> Vec<String> {
    let bearer = |arrived: &crate::upstream::Arrived| {
        arrived
            .header("authorization")
            .and_then(|value| value.strip_prefix("Bearer "))
            .unwrap_or("none")
            .to_owned()
    };
    upstream.arrived_at("/api").iter().map(bearer).collect()
}

#[tokio::test]
async fn concurrent_first_calls_share_one_token_fetch() {
    let Script::Answer(told) = token("tok-first-1", 100) else { panic!("an answer") };
    let slowly = Script::Pieces(told.chunks(40).map(<[u8]>::to_vec).collect(), Duration::from_millis(20));
    let upstream = Upstream::start([("/token", slowly), ("/api", answer("{}"))]).await;
    let exit = Exit::client(&upstream);
    let calls = (0..32).map(|_| {
        let exit = Arc::clone(&exit);
        tokio::spawn(async move { exit.status().await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.expect("no panic"), 200);
    }
    assert_eq!(bearers(&upstream), vec!["tok-first-1"; 32]);
    let asked = upstream.arrived_at("/token");
    assert_eq!(asked.len(), 1, "one fetch for all");
    let basic = STANDARD.encode(format!("the+client:{PASSWORD}"));
    assert_eq!(asked[0].header("authorization"), Some(format!("Basic {basic}").as_str()));
    assert_eq!(asked[0].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked[0].body, b"grant_type=client_credentials&scope=media+write");
    assert!(!upstream.arrived_at("/api")[0].head.contains(PASSWORD), "the API never gets the credential");
}

#[tokio::test]
async fn a_token_is_replaced_before_it_expires_and_no_earlier() {
    let tokens = in_turn([token("tok-1", 100), token("tok-2", 3600), token("tok-3", 3600)]);
    let upstream = Upstream::start([("/token", tokens), ("/api", answer("{}"))]).await;
    let exit = Exit::client(&upstream);
    assert_eq!(exit.status().await, 200);
    exit.advance(79);
    assert_eq!(exit.status().await, 200);
    exit.advance(2);
    assert_eq!(exit.status().await, 200, "after four fifths of a short life");
    exit.advance(3600 - 61);
    assert_eq!(exit.status().await, 200);
    exit.advance(2);
    assert_eq!(exit.status().await, 200, "a minute before the end of a long one");
    assert_eq!(bearers(&upstream), ["tok-1", "tok-1", "tok-2", "tok-2", "tok-3"]);
}

#[tokio::test]
async fn a_token_serves_to_its_end_while_no_new_one_is_to_be_had() {
    let tokens = in_turn([token("tok-1", 100), refusal("500 Oops")]);
    let upstream = Upstream::start([("/token", tokens), ("/api", answer("{}"))]).await;
    let exit = Exit::client(&upstream);
    assert_eq!(exit.status().await, 200);
    exit.advance(90);
    assert_eq!(exit.status().await, 200);
    exit.advance(11);
    match exit.post().await.expect_err("the token has expired") {
        EgressError::TokenUnavailable { secret, reason } => {
            assert_eq!(secret, "client");
            assert!(reason.contains("500"), "{reason}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(bearers(&upstream), ["tok-1", "tok-1"], "nothing goes out without one");
}

#[tokio::test]
async fn a_token_that_the_upstream_refuses_is_replaced_once() {
    let tokens = in_turn([token("tok-1", 3600), token("tok-2", 3600), token("tok-3", 3600)]);
    let api = in_turn([answer("{}"), refusal("401 Revoked"), answer("{}"), refusal("401 Revoked")]);
    let upstream = Upstream::start([("/token", tokens), ("/api", api)]).await;
    let exit = Exit::client(&upstream);
    assert_eq!(exit.status().await, 200);
    exit.advance(20);
    assert_eq!(exit.status().await, 200, "with another token");
    assert_eq!(bearers(&upstream), ["tok-1", "tok-1", "tok-2"]);
    assert!(upstream.arrived_at("/api").iter().all(|arrived| arrived.body == b"{}"), "and the same body");
    assert_eq!(exit.status().await, 401, "a fresh token is not replaced: the caller is told");
    assert_eq!(upstream.arrived_at("/token").len(), 2);
    exit.advance(20);
    assert_eq!(exit.status().await, 401, "replaced once, not again and again");
    assert_eq!(bearers(&upstream)[3..], ["tok-2", "tok-2", "tok-3"]);
}

#[tokio::test]
async fn a_hostile_token_endpoint_gets_a_typed_error_in_time_and_nothing_goes_out() {
    let victim = Upstream::start([("/", answer("{}"))]).await;
    let redirect = format!("location: http://{}/\r\n", victim.address);
    for (what, script, says) in [
        ("a giant answer", Script::Zeros(1 << 30), "more than 65536 bytes"),
        ("a redirect", Script::Answer(response("302 Found", &redirect, b"")), "redirect"),
        ("silence", Script::ThenSilence(Vec::new()), "token endpoint"),
        (
            "a stalled answer",
            Script::ThenSilence(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()),
            "token endpoint",
        ),
        (
            "a cut answer",
            Script::ThenBreak(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{".to_vec()),
            "token endpoint",
        ),
        ("malformed JSON", answer("{\"access_token\": \"tok-"), "other than JSON"),
        ("another kind of token", answer(r#"{"access_token":"tok","token_type":"mac"}"#), "bearer"),
        ("line breaks", answer(r#"{"access_token":"tok\r\nx-evil: 1"}"#), "without a token"),
    ] {
        let upstream = Upstream::start([("/token", script), ("/api", answer("{}"))]).await;
        let exit = Exit::client(&upstream);
        let began = Instant::now();
        let both = tokio::join!(exit.post(), exit.post());
        for failed in [both.0, both.1] {
            match failed.expect_err(what) {
                EgressError::TokenUnavailable { secret, reason } => {
                    assert_eq!(secret, "client");
                    assert!(reason.contains(says), "{what}: {reason}");
                    assert!(!reason.contains("tok-") && !reason.contains(PASSWORD), "{what}: {reason}");
                }
                other => panic!("{what}: {other}"),
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{what} took {:?}", began.elapsed());
        assert_eq!(upstream.arrived_at("/token").len(), 1, "{what}: both calls share one failure");
        assert!(upstream.arrived_at("/api").is_empty(), "{what}");
    }
    assert_eq!(victim.connections(), 0, "no redirect was followed");
}

#[tokio::test]
async fn a_refused_credential_is_named_and_the_endpoint_is_left_alone_for_a_while() {
    let refused = Script::Answer(response("401 No", "", b"{\"error\":\"invalid_client\"}"));
    let upstream =
        Upstream::start([("/token", in_turn([refused, token("tok-1", 60)])), ("/api", answer("{}"))]).await;
    let exit = Exit::client(&upstream);
    for _ in 0..3 {
        match exit.post().await.expect_err("refused") {
            EgressError::SecretRefused { secret, reason } => {
                assert_eq!(secret, "client");
                assert!(reason.contains("invalid_client"), "{reason}");
            }
            other => panic!("{other}"),
        }
    }
    assert_eq!(upstream.arrived_at("/token").len(), 1);
    exit.advance(6);
    assert_eq!(exit.status().await, 200, "the operator has mended it");
}

#[tokio::test]
async fn a_token_endpoint_without_a_grant_is_not_asked() {
    let elsewhere = Upstream::start([("/token", token("tok-1", 60))]).await;
    let upstream = Upstream::start([("/api", answer("{}"))]).await;
    let spec = client_spec(&elsewhere.address);
    let exit = Exit::granted(&upstream, &[&upstream.address], spec, "id:password");
    let error = exit.post().await.expect_err("no grant");
    assert!(matches!(&error, EgressError::SecretRefused { secret, .. } if secret == "client"), "{error}");
    assert!(error.to_string().contains("no grant"), "{error}");
    assert_eq!((elsewhere.connections(), upstream.connections()), (0, 0));
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).expect("three parts");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
}

#[tokio::test]
async fn a_service_accounts_key_buys_a_token_with_an_assertion() {
    let upstream =
        Upstream::start([("/token", token("ya29.first-token", 3599)), ("/api", answer("{}"))]).await;
    let label = "PRIVATE KEY";
    let key = include_str!("../keys/rsa-2048.base64");
    let file = json!({
        "type": "service_account", "client_email": "bot@project.example", "private_key_id": "key-1",
        "private_key": format!("-----BEGIN {label}-----\n{key}-----END {label}-----\n"),
        "token_uri": format!("http://{}/token", upstream.address),
    });
    let spec = json!({
        "name": "account", "place": "google-service-account",
        "google-service-account": {"scope": "https://scope.example/cloud"},
    });
    let spec = serde_json::from_value(spec).expect("a secret");
    let exit = Exit::new(&upstream, spec, &file.to_string());
    exit.advance(1_000_000);
    assert_eq!(exit.status().await, 200);
    assert_eq!(bearers(&upstream), ["ya29.first-token"]);
    let asked = upstream.arrived_at("/token");
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    assert_eq!(
        claims(&form["assertion"]),
        json!({
            "iss": "bot@project.example", "scope": "https://scope.example/cloud", "iat": 1_000_000, "exp": 1_003_600,
            "aud": format!("http://{}/token", upstream.address),
        })
    );
}

#[tokio::test]
async fn a_shared_key_signs_its_own_short_lived_tokens() {
    let upstream = Upstream::start([("/api", answer("{}"))]).await;
    let spec = json!({
        "name": "key", "place": "jwt", "jwt": {
            "algorithm": "HS256", "lifetime-seconds": 1800, "not-before-seconds": 5, "claims": {"iss": "{key-id}"}},
    });
    let exit = Exit::new(&upstream, serde_json::from_value(spec).expect("a secret"), "access-1:shared-key-1");
    exit.advance(1_000);
    assert_eq!(exit.status().await, 200);
    exit.advance(1_700);
    assert_eq!(exit.status().await, 200);
    exit.advance(50);
    assert_eq!(exit.status().await, 200);
    let sent = bearers(&upstream);
    assert_eq!(claims(&sent[0]), json!({"iss": "access-1", "iat": 1_000, "nbf": 995, "exp": 2_800}));
    assert_eq!(sent[0], sent[1], "one token serves while it is good");
    assert_eq!(claims(&sent[2])["iat"], 2_750);
}

#[tokio::test]
async fn a_signature_goes_out_and_does_not_come_back() {
    let upstream = Upstream::start([("/api", Script::Echo(Echo::Body))]).await;
    let spec = json!({
        "name": "aws", "place": "sigv4", "sigv4": {"service": "bedrock", "region": "us-east-1"},
    });
    let value = "AKIDEXAMPLE:wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY:session/token==1";
    let exit = Exit::new(&upstream, serde_json::from_value(spec).expect("a secret"), value);
    exit.advance(1_440_938_160);
    let (status, echoed) = exit.post().await.expect("answered");
    assert_eq!(status, 200);
    let arrived = &upstream.arrived_at("/api")[0];
    let sent = arrived.header("authorization").expect("signed");
    let covers = "SignedHeaders=host;x-amz-date;x-amz-security-token, Signature=";
    let (scope, signature) = sent.split_once(covers).expect("what it covers");
    assert_eq!(scope, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/bedrock/aws4_request, ");
    assert_eq!(arrived.header("x-amz-date"), Some("20150830T123600Z"));
    assert_eq!(arrived.header("x-amz-security-token"), Some("session/token==1"));
    assert_eq!(signature.len(), 64);
    assert!(echoed.contains(covers) && !echoed.contains(signature), "{echoed}");
    assert!(echoed.contains(&"*".repeat(64)), "{echoed}");
    let shown = format!("{:?}", exit.secrets);
    assert!(!shown.contains("wJalr") && !shown.contains("session/token"), "{shown}");
}
