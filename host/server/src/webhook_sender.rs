//! Outgoing webhooks through the one way out: public addresses only, unless the operator named a host.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::time::{Clock as _, SystemClock};
use atelier_runtime::egress::{Grants, HostPattern, OutgoingBody, OutgoingRequest, Secrets};
use atelier_runtime::{Sandbox, retry_after};
use atelier_service::webhooks::{Answer, Post, WebhookSender};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use url::Url;

/// Sends webhooks.
#[derive(Debug)]
pub struct EgressSender {
    sandbox: Arc<Sandbox>,
    private: Vec<HostPattern>,
}

impl EgressSender {
    /// `private_hosts`: `host:port` that may be reached although private or plain HTTP.
    pub fn new(sandbox: Arc<Sandbox>, private_hosts: &[String]) -> Self {
        let private = private_hosts.iter().filter_map(|host| HostPattern::parse(host)).collect();
        Self { sandbox, private }
    }
}

/// A webhook's URL, and the leave to reach it and nothing else; `private` may be reached although private or plain HTTP. What a name
/// resolves to is held against the same rules when it is dialed.
///
/// # Errors
/// What is wrong with it, in words for its owner.
pub fn granted(text: &str, private: &[HostPattern]) -> Result<(Url, Grants), String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error}"))?;
    if url.fragment().is_some() {
        return Err("may not have a fragment".to_owned());
    }
    let host = url.host_str().ok_or("has no host")?;
    let port = url.port_or_known_default().ok_or("must begin with https://")?;
    let pattern = HostPattern::parse(&format!("{host}:{port}")).ok_or("has no host that can be reached")?;
    let grants = Grants::new(vec![pattern], private.to_vec());
    match grants.check(&url) {
        Ok(_) => Ok((url, grants)),
        Err(_) if url.scheme() != "https" => Err("must begin with https://".to_owned()),
        Err(why) => Err(why.to_string()),
    }
}

#[async_trait]
impl WebhookSender for EgressSender {
    fn check(&self, url: &str) -> Result<(), String> {
        granted(url, &self.private).map(|_| ())
    }

    async fn post(&self, post: Post<'_>, body_max: usize) -> Result<Answer, &'static str> {
        // What was let in when the endpoint was made may be let out no more.
        let (url, grants) = granted(post.url, &self.private).map_err(|_| "denied")?;
        let mut headers = HeaderMap::with_capacity(post.headers.len());
        for (name, value) in post.headers {
            let value = HeaderValue::try_from(value).map_err(|_| "invalid")?;
            headers.insert(HeaderName::from_static(name), value);
        }
        let request = OutgoingRequest {
            method: Method::POST,
            url,
            headers,
            body: OutgoingBody::full(post.body.into()),
            request_id: None,
            depth: 0,
            trace: None,
        };
        let sent = self.sandbox.egress().send(request, &grants, &Secrets::default()).await;
        let mut received = sent.map_err(|error| error.code())?;
        let retry_after = retry_after(&received.headers, SystemClock::default().now());
        let mut body = Vec::new();
        // The status is the answer: a body that breaks off changes nothing.
        while body.len() < body_max {
            match received.body.read(body_max - body.len()).await {
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Ok(None) | Err(_) => break,
            }
        }
        Ok(Answer { status: received.status.as_u16(), body, retry_after })
    }
}
