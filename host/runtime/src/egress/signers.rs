//! Secrets that are not sent but sign: the host makes what goes out, per request or for as long as a token lives. Plugins see none of it.

mod endpoint;
mod jws;
mod jwt;
mod sigv4;
mod token;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use atelier_domain::manifest::SecretSpec;
use atelier_domain::time::Clock;
use http::header::AUTHORIZATION;
use http::{HeaderName, StatusCode};

use super::client::{Egress, EgressError, OutgoingRequest, Received};
use super::grants::{Grants, Reach};
use super::scrub::Patterns;
use super::secrets::{Secrets, spellings_of};
use endpoint::Endpoint;
use jwt::Issuer;
use sigv4::SigV4;
use token::{Source, Token, Tokens};

/// An instance's settings.
pub type Settings = serde_json::Map<String, serde_json::Value>;

/// Why there is nothing to sign with. The texts quote no credential.
#[derive(Clone, Debug)]
pub enum SignError {
    /// The credential is not good.
    Refused(String),
    /// Whether it is could not be learned now.
    Unavailable(String),
    /// The token endpoint may not be reached.
    Denied(String),
}

impl SignError {
    fn of(self, secret: &str) -> EgressError {
        let secret = secret.to_owned();
        match self {
            Self::Refused(reason) | Self::Denied(reason) => EgressError::SecretRefused { secret, reason },
            Self::Unavailable(reason) => EgressError::TokenUnavailable { secret, reason },
        }
    }
}

/// A host signer with its credential.
#[derive(Debug)]
pub enum Signer {
    SigV4(SigV4),
    Tokens(Box<Tokens>),
}

impl Signer {
    /// The signer that a manifest asks for, if it asks for one. Its tokens, `patterns` learn.
    ///
    /// # Errors
    /// The credential is malformed; without the credential.
    pub fn new(
        spec: &SecretSpec,
        secret: &str,
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        patterns: &Arc<Patterns>,
    ) -> Result<Option<Self>, String> {
        let source = if let Some(sigv4) = &spec.sigv4 {
            return SigV4::new(sigv4, secret, settings).map(|signer| Some(Self::SigV4(signer)));
        } else if let Some(jwt) = &spec.jwt {
            Source::Issuer(Issuer::new(jwt, secret, settings)?)
        } else if let Some(oauth2) = &spec.oauth2_client {
            Source::Endpoint(Endpoint::client(oauth2, secret, settings)?)
        } else if let Some(google) = &spec.google_service_account {
            Source::Endpoint(Endpoint::account(google, secret)?)
        } else {
            return Ok(None);
        };
        let tokens = Tokens::new(source, Arc::clone(clock), Arc::clone(patterns));
        Ok(Some(Self::Tokens(Box::new(tokens))))
    }

    /// The parts of a credential that must never come back.
    pub fn secret_parts<'s>(spec: &SecretSpec, secret: &'s str) -> Vec<&'s str> {
        if spec.sigv4.is_some() {
            secret.splitn(3, ':').skip(1).collect()
        } else if let Some(jwt) = &spec.jwt {
            vec![Issuer::key_of(jwt, secret)]
        } else if spec.oauth2_client.is_some() {
            vec![secret.split_once(':').map_or(secret, |(_, password)| password)]
        } else {
            vec![secret]
        }
    }

    /// Whether a header is this signer's to fill in.
    pub fn owns_header(&self, name: &HeaderName) -> bool {
        match self {
            Self::SigV4(_) => SigV4::owns_header(name),
            Self::Tokens(_) => *name == AUTHORIZATION,
        }
    }
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Received, EgressError>> + Send + 'a>>;

impl Egress {
    /// Has what it takes to sign a request to `url`, so that a request which costs is not announced before it can leave.
    ///
    /// # Errors
    /// There is nothing to sign with, and the secret's name.
    pub async fn prepare(
        &self,
        url: &url::Url,
        grants: &Grants,
        secrets: &Secrets,
    ) -> Result<(), EgressError> {
        // What the policy refuses, sending refuses; and it says why.
        if grants.check(url).is_ok()
            && let Some((name, Signer::Tokens(tokens))) = secrets.signer_for(url)
        {
            tokens.get(self, grants).await.map_err(|error| error.of(name))?;
        }
        Ok(())
    }

    /// Signs a request and sends it. A token that the upstream refuses is replaced once: a request that was answered with 401 had no
    /// effect.
    pub(super) fn send_signed<'a>(
        &'a self,
        mut request: OutgoingRequest,
        reach: Reach,
        grants: &'a Grants,
        secrets: &'a Secrets,
    ) -> Sending<'a> {
        Box::pin(async move {
            let Some((name, signer)) = secrets.signer_for(&request.url) else {
                return self.dispatch(request, reach, secrets.patterns()).await;
            };
            let tokens = match signer {
                Signer::SigV4(signer) => {
                    let signature = signer.sign(&mut request, secrets.now()).await?;
                    let patterns = Arc::new(secrets.patterns().with([signature.as_bytes()]));
                    return self.dispatch(request, reach, patterns).await;
                }
                Signer::Tokens(tokens) => tokens,
            };
            let token = tokens.get(self, grants).await.map_err(|error| error.of(name))?;
            let again = request.copy();
            let received = self.dispatch(with(request, &token), reach, secrets.patterns()).await?;
            if received.status != StatusCode::UNAUTHORIZED {
                return Ok(received);
            }
            match tokens.replace(&token, self, grants).await {
                Some(token) => self.dispatch(with(again, &token), reach, secrets.patterns()).await,
                None => Ok(received),
            }
        })
    }
}

fn with(mut request: OutgoingRequest, token: &Token) -> OutgoingRequest {
    request.headers.insert(AUTHORIZATION, token.header.clone());
    request
}
