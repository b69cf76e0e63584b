//! One attempt at one delivery.

use std::time::{Duration, Instant};

use atelier_domain::store::{DeliveryKey, StoreError};
use atelier_domain::time::Timestamp;
use atelier_domain::webhook::{Attempt, Delivery, DeliveryState, WebhookEndpoint};

use super::{Inner, Outcome, Post, retry, signature};
use crate::ServiceError;

/// Bytes read of an answer, and characters kept of them.
const ANSWER_BYTES_MAX: usize = 1024;
const EXCERPT_CHARACTERS_MAX: usize = 256;

impl Inner {
    /// Sends a delivery once and notes what became of it. A process that dies in between sends it again.
    pub(super) async fn attempt(&self, key: DeliveryKey) -> Result<(), ServiceError> {
        let store = self.ports.deliveries.clone();
        let Some(delivery) = self.ports.pool.run(move || store.delivery(key)).await? else { return Ok(()) };
        if delivery.state != DeliveryState::Pending {
            return Ok(());
        }
        let (store, accounts, owner) =
            (self.ports.endpoints.clone(), self.ports.accounts.clone(), delivery.owner);
        let found = self.ports.pool.run(move || {
            Ok::<_, StoreError>((store.endpoint(owner, key.endpoint)?, accounts.is_user_disabled(owner)?))
        });
        let (endpoint, is_owner_disabled) = found.await?;
        let now = self.ports.clock.now();
        match endpoint {
            Some(_) if is_owner_disabled => self.withhold(key, now, "owner_disabled").await,
            None => self.withhold(key, now, "endpoint_removed").await,
            Some(endpoint) if endpoint.disabled.is_some() => {
                self.withhold(key, now, "endpoint_disabled").await
            }
            Some(endpoint) => {
                let (attempt, told) = self.send(&endpoint, &delivery, now).await;
                self.record(key, &delivery, attempt, told).await
            }
        }
    }

    /// Sends a delivery once; gives what became of it, and how long the endpoint asks to be left alone.
    async fn send(
        &self,
        endpoint: &WebhookEndpoint,
        delivery: &Delivery,
        now: Timestamp,
    ) -> (Attempt, Option<Duration>) {
        let body = (self.ports.render)(&delivery.message);
        let (id, seconds) = (format!("msg_{}", delivery.message.id().simple()), now.unix_seconds());
        let mut headers = vec![
            ("content-type", "application/json".to_owned()),
            ("webhook-signature", signature::of(endpoint.signing(now), &id, seconds, &body)),
            ("webhook-timestamp", seconds.to_string()),
            ("webhook-id", id),
        ];
        let request_id = delivery.message.request_id().map(str::to_owned);
        headers.extend(request_id.map(|id| ("x-request-id", id)));
        let began = Instant::now();
        let post = Post { url: &endpoint.url, headers, body };
        let sent =
            tokio::time::timeout(self.limits.attempt_max, self.ports.sender.post(post, ANSWER_BYTES_MAX));
        let outcome = sent.await.unwrap_or(Err("timeout"));
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let (status, error, excerpt, told) = match outcome {
            Ok(answer) => (Some(answer.status), None, excerpt(&answer.body), answer.retry_after),
            Err(word) => (None, Some(word.to_owned()), None, None),
        };
        (Attempt { at: now, duration_ms, status, error, excerpt }, told)
    }

    async fn record(
        &self,
        key: DeliveryKey,
        delivery: &Delivery,
        attempt: Attempt,
        told: Option<Duration>,
    ) -> Result<(), ServiceError> {
        let random = rand();
        // A 410 says that there is nobody to try again for.
        let retry_at = match attempt.status {
            Some(410) => None,
            _ => retry::after(delivery.tries.saturating_add(1), self.ports.clock.now(), told, random),
        };
        let outcome = match (attempt.is_success(), retry_at) {
            (true, _) => Outcome::Delivered,
            (false, Some(_)) => Outcome::Retried,
            (false, None) => Outcome::GivenUp,
        };
        let (status, error) = (attempt.status, attempt.error.clone());
        let store = self.ports.deliveries.clone();
        let was_enabled_until = attempt.at;
        let noted = self.ports.pool.run(move || store.record_attempt(key, &attempt, retry_at)).await?;
        self.counts.count(outcome);
        tracing::info!(
            endpoint = %key.endpoint,
            delivery = %key.id,
            status,
            error,
            outcome = outcome.as_str(),
            "webhook"
        );
        let disabled = noted.and_then(|after| after.endpoint?.disabled);
        if let Some(disabled) = disabled.filter(|disabled| disabled.since == was_enabled_until) {
            self.counts.endpoint_disabled();
            tracing::warn!(endpoint = %key.endpoint, reason = disabled.reason.as_str(), "a webhook endpoint was disabled");
        }
        Ok(())
    }

    /// Gives a delivery up without sending it; its owner may send it again.
    async fn withhold(
        &self,
        key: DeliveryKey,
        now: Timestamp,
        why: &'static str,
    ) -> Result<(), ServiceError> {
        let attempt =
            Attempt { at: now, duration_ms: 0, status: None, error: Some(why.to_owned()), excerpt: None };
        let store = self.ports.deliveries.clone();
        self.ports.pool.run(move || store.record_attempt(key, &attempt, None)).await?;
        self.counts.count(Outcome::Withheld);
        Ok(())
    }
}

/// The beginning of a body, as far as it is text for people.
fn excerpt(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let kept: String =
        text.chars().filter(|c| !c.is_control() || *c == '\n').take(EXCERPT_CHARACTERS_MAX).collect();
    (!kept.trim().is_empty()).then_some(kept)
}

/// For the spread of retries alone. Without randomness there is none, and nothing worse.
fn rand() -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes),
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_of_an_answer_is_kept_and_only_text() {
        assert_eq!(excerpt(b"  \n"), None);
        assert_eq!(excerpt(b"no\x00\x1b[31m\nentry"), Some("no[31m\nentry".to_owned()));
        let long = excerpt("é".repeat(500).as_bytes()).expect("text");
        assert_eq!(long.chars().count(), EXCERPT_CHARACTERS_MAX);
        assert!(excerpt(&[0xff; 10]).is_some(), "what is no text is shown as such");
    }
}
