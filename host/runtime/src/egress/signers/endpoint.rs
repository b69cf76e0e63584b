//! Asking a token endpoint (RFC 6749 §§ 4.4, 5; RFC 7523 §2.1). It is somebody else's server: nothing of its answer is taken on trust.

use std::time::Duration;

use atelier_domain::manifest::{ClientAuthentication, GoogleSpec, JwtAlgorithm, OAuth2Spec};
use atelier_domain::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::jws::Key;
use super::{Settings, SignError};
use crate::egress::body::OutgoingBody;
use crate::egress::client::{Egress, EgressError, OutgoingRequest, Received};
use crate::egress::grants::Grants;
use crate::egress::secrets::Secrets;

const ANSWER_BYTES_MAX: usize = 64 * 1024;
const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// For an endpoint that does not say how long its tokens live.
const LIFETIME_UNTOLD_S: u64 = 300;
const LIFETIME_S_MAX: u64 = 24 * 3600;
/// From RFC 7523: how long an assertion is good; Google takes one hour at most.
const ASSERTION_LIFETIME_S: u64 = 3600;

/// What a token is bought with.
#[derive(Debug)]
pub struct Endpoint {
    url: Url,
    purchase: Purchase,
}

enum Purchase {
    Client { basic: Option<HeaderValue>, form: String },
    Account { key: Box<Key>, header: Map<String, Value>, claims: Map<String, Value> },
}

impl std::fmt::Debug for Purchase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Client { .. } => "Client(…)",
            Self::Account { .. } => "Account(…)",
        })
    }
}

impl Endpoint {
    /// Client credentials.
    ///
    /// # Errors
    /// The secret or the token's URL is malformed; without the secret.
    pub fn client(spec: &OAuth2Spec, secret: &str, settings: &Settings) -> Result<Self, String> {
        let (id, password) = secret.split_once(':').ok_or("it must read CLIENT_ID:CLIENT_SECRET")?;
        let set = spec.token_url_setting.as_deref().and_then(|name| settings.get(name)?.as_str());
        let url = Url::parse(set.unwrap_or(&spec.token_url))
            .map_err(|error| format!("its token URL is malformed: {error}"))?;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &spec.scope), ("audience", &spec.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let basic = match spec.client_authentication {
            ClientAuthentication::Basic => {
                // Both are form-encoded before they are joined (RFC 6749 §2.3.1).
                let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                let pair = STANDARD.encode(format!("{}:{}", encode(id), encode(password)));
                let mut value = HeaderValue::from_str(&format!("Basic {pair}"))
                    .map_err(|_| "it cannot be sent in a header".to_owned())?;
                value.set_sensitive(true);
                Some(value)
            }
            ClientAuthentication::Body => {
                form.append_pair("client_id", id).append_pair("client_secret", password);
                None
            }
        };
        Ok(Self { url, purchase: Purchase::Client { basic, form: form.finish() } })
    }

    /// A Google service account, by the JSON of its key file.
    ///
    /// # Errors
    /// It is no key file; without the key.
    pub fn account(spec: &GoogleSpec, secret: &str) -> Result<Self, String> {
        let file: Value = serde_json::from_str(secret)
            .map_err(|_| "it must be the JSON of a service account's key file".to_owned())?;
        let member = |name: &str| {
            file[name].as_str().filter(|text| !text.is_empty()).ok_or(format!("its key file has no {name}"))
        };
        let (email, token_uri) = (member("client_email")?, member("token_uri")?);
        let key = Key::read(JwtAlgorithm::RS256, member("private_key")?)?;
        let url = Url::parse(token_uri).map_err(|error| format!("its token_uri is malformed: {error}"))?;
        let mut header = Map::new();
        if let Ok(id) = member("private_key_id") {
            header.insert("kid".to_owned(), id.into());
        }
        let claims = [("iss", email), ("scope", spec.scope.as_str()), ("aud", token_uri)];
        let claims = claims.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        Ok(Self { url, purchase: Purchase::Account { key: Box::new(key), header, claims } })
    }

    /// Buys a token; gives it with the seconds that it lives. Takes `time_max` at most.
    ///
    /// # Errors
    /// The credential was refused, or the endpoint gave no token.
    pub async fn ask(
        &self,
        egress: &Egress,
        grants: &Grants,
        now: Timestamp,
        time_max: Duration,
    ) -> Result<(String, u64), SignError> {
        let asked = async {
            let received = egress.send(self.request(now)?, grants, &Secrets::default()).await;
            let mut received = received.map_err(|error| match error {
                denied @ EgressError::Denied { .. } => SignError::Denied(denied.to_string()),
                other => SignError::Unavailable(format!("its token endpoint: {other}")),
            })?;
            let body = read(&mut received).await?;
            token_of(received.status, &body)
        };
        let late = || {
            let seconds = time_max.as_secs_f32();
            SignError::Unavailable(format!("its token endpoint did not answer within {seconds} s"))
        };
        tokio::time::timeout(time_max, asked).await.unwrap_or_else(|_| Err(late()))
    }

    fn request(&self, now: Timestamp) -> Result<OutgoingRequest, SignError> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let form = match &self.purchase {
            Purchase::Client { basic, form } => {
                if let Some(basic) = basic {
                    headers.insert(AUTHORIZATION, basic.clone());
                }
                form.clone()
            }
            Purchase::Account { key, header, claims } => {
                let mut claims = claims.clone();
                claims.insert("iat".to_owned(), now.unix_seconds().into());
                claims.insert("exp".to_owned(), (now.unix_seconds() + ASSERTION_LIFETIME_S).into());
                let assertion = key.token(header, &claims).map_err(SignError::Unavailable)?;
                Serializer::new(String::new())
                    .append_pair("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
                    .append_pair("assertion", &assertion)
                    .finish()
            }
        };
        let (url, body) = (self.url.clone(), OutgoingBody::full(Bytes::from(form)));
        Ok(OutgoingRequest {
            method: Method::POST,
            url,
            headers,
            body,
            request_id: None,
            depth: 0,
            trace: None,
        })
    }
}

async fn read(received: &mut Received) -> Result<Vec<u8>, SignError> {
    let mut whole = Vec::new();
    loop {
        match received.body.read(ANSWER_BYTES_MAX).await {
            Ok(Some(chunk)) if whole.len() + chunk.len() > ANSWER_BYTES_MAX => {
                let why = format!("its token endpoint answered more than {ANSWER_BYTES_MAX} bytes");
                return Err(SignError::Unavailable(why));
            }
            Ok(Some(chunk)) => whole.extend_from_slice(&chunk),
            Ok(None) => return Ok(whole),
            Err(error) => return Err(SignError::Unavailable(format!("its token endpoint: {error}"))),
        }
    }
}

/// Reads a token endpoint's answer. Of what it says in words only the specification's error code is passed on: the rest could quote
/// the credential.
fn token_of(status: StatusCode, body: &[u8]) -> Result<(String, u64), SignError> {
    let unusable = |why: &str| SignError::Unavailable(format!("its token endpoint answered {why}"));
    let json: Option<Value> = serde_json::from_slice(body).ok();
    if status.is_redirection() {
        return Err(unusable("with a redirect, which is not followed"));
    }
    if matches!(status.as_u16(), 400 | 401 | 403) {
        let word = json.as_ref().and_then(|json| json["error"].as_str());
        let is_code =
            |word: &&str| word.len() <= 40 && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let word = word.filter(is_code).unwrap_or("no reason");
        return Err(SignError::Refused(format!("its token endpoint refused it: {status}, {word}")));
    }
    if status != StatusCode::OK {
        return Err(unusable(status.as_str()));
    }
    let json = json.ok_or_else(|| unusable("with something other than JSON"))?;
    if json["token_type"].as_str().is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(unusable("with a token of another kind than bearer"));
    }
    let is_token = |token: &&str| {
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic())
    };
    let token = json["access_token"].as_str().filter(is_token).ok_or_else(|| unusable("without a token"))?;
    let lifetime = match &json["expires_in"] {
        Value::Null => Some(LIFETIME_UNTOLD_S),
        Value::String(text) => text.parse().ok(),
        number => number.as_u64(),
    };
    let lifetime = lifetime.filter(|seconds| *seconds > 0);
    let lifetime = lifetime.ok_or_else(|| unusable("with a token that has no time to live"))?;
    Ok((token.to_owned(), lifetime.min(LIFETIME_S_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body: &str) -> Result<(String, u64), SignError> {
        token_of(StatusCode::from_u16(status).expect("a status"), body.as_bytes())
    }

    #[test]
    fn an_answer_is_a_token_or_a_reason_that_quotes_nothing() {
        let good = |body| told(200, body).expect("a token");
        assert_eq!(
            good(r#"{"access_token":"t","token_type":"Bearer","expires_in":60}"#),
            ("t".to_owned(), 60)
        );
        assert_eq!(good(r#"{"access_token":"t","expires_in":"3599"}"#), ("t".to_owned(), 3599));
        assert_eq!(good(r#"{"access_token":"t"}"#).1, LIFETIME_UNTOLD_S);
        assert_eq!(good(r#"{"access_token":"t","expires_in":99999999}"#).1, LIFETIME_S_MAX);
        for (status, body, is_refusal) in [
            (200, "sk-live-secret", false),
            (200, r#"{"access_token":""}"#, false),
            (200, r#"{"access_token":"sk live\nsecret"}"#, false),
            (200, r#"{"access_token":"sk-live-secret","token_type":"mac"}"#, false),
            (200, r#"{"access_token":"sk-live-secret","expires_in":0}"#, false),
            (200, r#"{"access_token":"sk-live-secret","expires_in":-5}"#, false),
            (200, r#"{"access_token":["sk-live-secret"]}"#, false),
            (302, r#"{"access_token":"sk-live-secret"}"#, false),
            (500, r#"{"error":"sk-live-secret"}"#, false),
            (401, r#"{"error":"sk-live-secret"}"#, true),
            (400, r#"{"error":"invalid_client","error_description":"sk-live-secret"}"#, true),
        ] {
            let error = told(status, body).expect_err(body);
            assert_eq!(matches!(error, SignError::Refused(_)), is_refusal, "{body}: {error:?}");
            assert!(!format!("{error:?}").contains("sk"), "{error:?}");
        }
        let refused = told(400, r#"{"error":"invalid_client"}"#).expect_err("refused");
        assert!(format!("{refused:?}").contains("invalid_client"), "{refused:?}");
    }

    #[test]
    fn a_credential_that_is_none_is_refused_without_being_told() {
        let spec = GoogleSpec { scope: "s".to_owned() };
        for secret in [
            "sk-live-secret",
            r#"{"client_email":"a@b","private_key":"sk-live-secret","token_uri":"https://t.example.com/"}"#,
            r#"{"client_email":"a@b","private_key":"sk-live-secret"}"#,
        ] {
            let why = Endpoint::account(&spec, secret).expect_err("no key file");
            assert!(!why.contains("sk-live"), "{why}");
        }
        let spec = OAuth2Spec {
            token_url: "https://t.example.com/".to_owned(),
            token_url_setting: None,
            scope: None,
            audience: None,
            client_authentication: ClientAuthentication::Basic,
        };
        let why = Endpoint::client(&spec, "sk-live-secret", &Settings::new()).expect_err("no pair");
        assert_eq!(why, "it must read CLIENT_ID:CLIENT_SECRET");
        let client = Endpoint::client(&spec, "id:sk-live-secret", &Settings::new()).expect("a pair");
        assert!(!format!("{client:?}").contains("sk-live"), "{client:?}");
    }
}
