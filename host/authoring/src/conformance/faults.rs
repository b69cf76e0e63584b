//! What every interface owes its caller when the provider, or the way to it, fails.

use std::time::{Duration, Instant};

use atelier_domain::failure::{FailureCode, ProviderError};

use super::subject::Subject;
use super::{Suite, told};
use crate::bench::Testimony;
use crate::upstream::{Fault, RETRY_AFTER_S};

/// How soon the provider must learn that a caller has left.
const LEAVE_MAX: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

impl Suite<'_> {
    /// All faults on one subject. `content` is what its good answer said.
    pub(super) async fn faults(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        content: &str,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        self.refusals(about, how, subject, total).await?;
        self.broken(about, how, subject, total).await?;
        self.dripped(about, how, subject, content, total).await?;
        self.echoed(about, how, subject, total).await?;
        self.left(about, how, subject, total).await
    }

    /// 401, 429 and 500.
    pub(super) async fn refusals(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        use FailureCode::{Forbidden, Overloaded, RateLimited, Unauthenticated, Unavailable};
        let wait = Duration::from_secs(RETRY_AFTER_S);
        for (status, codes, wait) in [
            (401, [Unauthenticated, Forbidden], None),
            (429, [RateLimited, RateLimited], Some(wait)),
            (500, [Unavailable, Overloaded], None),
        ] {
            let rig = self.bench.rig(Fault::Status(status)).await?;
            let called = subject.call(&rig).await.map(|answer| answer.content());
            let requests = rig.upstream.seen(|seen| seen.arrived.len());
            self.end(&rig, total);
            let mut expected = format!("{}", codes[0]);
            if codes[1] != codes[0] {
                expected.push_str(&format!(" or {}", codes[1]));
            }
            if let Some(wait) = wait {
                expected.push_str(&format!(", wait {} ms", wait.as_millis()));
            }
            let outcome = match called {
                Err(ProviderError::Reported { failure, instance }) => {
                    let good =
                        codes.contains(&failure.code) && (wait.is_none() || failure.retry_after == wait);
                    let text = told(&ProviderError::Reported { failure, instance });
                    if good { Ok(text) } else { Err(text) }
                }
                Err(error) => Err(told(&error)),
                Ok(content) => Err(format!("an answer: {content}")),
            };
            self.verdict(about, &format!("{how}: the provider's {status} is told"), &expected, outcome);
            if status == 500 {
                let found = format!("{requests} requests");
                let check = format!("{how}: retries are left to the host");
                self.row(about, &check, "1 request for a call that fails", requests == 1, found);
            }
        }
        Ok(())
    }

    /// A connection that breaks, and JSON that does not parse.
    async fn broken(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        for (fault, what) in [(Fault::Cut, "a connection that breaks"), (Fault::Malformed, "malformed JSON")]
        {
            let rig = self.bench.rig(fault).await?;
            let called = subject.call(&rig).await.map(|answer| answer.content());
            self.end(&rig, total);
            if fault == Fault::Malformed && !rig.upstream.seen(|seen| seen.spoiled) {
                continue;
            }
            let rig = self.bench.rig(fault).await?;
            let ended = subject.ends_all_the_same(&rig).await;
            self.end(&rig, total);
            let outcome = match called {
                _ if ended => Err("a made-up end".to_owned()),
                Err(error @ ProviderError::Reported { .. }) => {
                    let ProviderError::Reported { failure, .. } = &error else { continue };
                    let good = match fault {
                        Fault::Malformed => failure.code == FailureCode::BadResponse,
                        _ => matches!(
                            failure.code,
                            FailureCode::Unavailable | FailureCode::BadResponse | FailureCode::Timeout
                        ),
                    };
                    if good { Ok(told(&error)) } else { Err(told(&error)) }
                }
                Err(error) => Err(told(&error)),
                Ok(content) => Err(format!("an answer: {content}")),
            };
            let expected = match fault {
                Fault::Malformed => "bad-response",
                _ => "unavailable, bad-response or timeout, and no end of the answer",
            };
            self.verdict(about, &format!("{how}: {what} is a failure"), expected, outcome);
        }
        Ok(())
    }

    /// However small the pieces, the answer is the same.
    async fn dripped(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        content: &str,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::Drip).await?;
        let called = subject.call(&rig).await;
        self.end(&rig, total);
        let outcome = match called {
            Ok(answer) if answer.content() == content => Ok("the same".to_owned()),
            Ok(answer) => Err(format!("another: {}", answer.content())),
            Err(error) => Err(told(&error)),
        };
        self.verdict(
            about,
            &format!("{how}: an answer in small pieces is the same"),
            "the same answer",
            outcome,
        );
        Ok(())
    }

    /// A provider that repeats the whole request in its error.
    async fn echoed(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::Echo).await?;
        let called = subject.call(&rig).await.map(|answer| answer.content());
        let carried =
            rig.upstream.seen(|seen| seen.arrived.iter().map(|arrived| arrived.head()).collect::<Vec<_>>());
        self.end(&rig, total);
        let placeholders = self.bench.placeholders();
        let shown = format!("{called:?}");
        let leaked = placeholders.keys().any(|secret| shown.contains(secret.as_str()));
        let missing = self.bench.sent_secrets().find(|name| {
            let value = placeholders.iter().find(|(_, known)| known == name).map(|(value, _)| value.as_str());
            // Basic authentication carries it in base64.
            let basic = self.bench.manifest().secrets.iter().any(|secret| {
                secret.name == **name && secret.place == atelier_domain::manifest::SecretPlace::Basic
            });
            !basic && !carried.iter().all(|head| value.is_some_and(|value| head.contains(value)))
        });
        let outcome = match (leaked, missing, called) {
            (true, _, _) => Err("the secret came back".to_owned()),
            (false, Some(name), _) => Err(format!("a request went without the secret {name}")),
            (false, None, Ok(content)) => Err(format!("an answer: {content}")),
            (false, None, Err(error)) => Ok(told(&error).chars().take(60).collect()),
        };
        let expected = "every request carries its secrets, and no error shows them";
        self.verdict(about, &format!("{how}: secrets go out and never come back"), expected, outcome);
        Ok(())
    }

    /// A caller that leaves while the provider is still answering.
    async fn left(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::Stall).await?;
        let stalled = {
            let call = subject.call(&rig);
            tokio::pin!(call);
            tokio::select! {
                stalled = rig.upstream.stalled(PATIENCE) => stalled,
                _ = &mut call => false,
            }
        };
        let dropped = Instant::now();
        let outcome = if stalled {
            match rig.upstream.client_left(PATIENCE).await {
                Some(at) if at.saturating_duration_since(dropped) <= LEAVE_MAX => {
                    Ok(format!("closed after {} ms", at.saturating_duration_since(dropped).as_millis()))
                }
                Some(at) => {
                    Err(format!("closed after {} ms", at.saturating_duration_since(dropped).as_millis()))
                }
                None => Err("still open after 10 s".to_owned()),
            }
        } else {
            Err("the call ended although its answer had not".to_owned())
        };
        self.end(&rig, total);
        let expected = format!("the request is closed within {} ms", LEAVE_MAX.as_millis());
        self.verdict(about, &format!("{how}: a caller who leaves ends the request"), &expected, outcome);
        Ok(())
    }
}
