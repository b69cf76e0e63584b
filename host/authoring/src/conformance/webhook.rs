//! `webhook`: callbacks taken apart.

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::media::Callback;
use atelier_domain::provider::Provider as _;
use bytes::Bytes;

use super::{Suite, told};
use crate::bench::Testimony;
use crate::upstream::Fault;

const ABOUT: &str = "webhook";

impl Suite<'_> {
    pub(super) async fn webhook(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for case in self.cases.webhook.clone() {
            let callback = Callback {
                headers: case.headers.into_iter().map(|(name, value)| (name.to_lowercase(), value)).collect(),
                query: case.query,
                body: Bytes::from(case.body),
            };
            let rig = self.bench.rig(Fault::None).await?;
            let called = rig.provider.parse_callback(rig.context(), callback).await;
            let outcome = match called {
                Ok(events) if events.is_empty() => Err("no event".to_owned()),
                Ok(events) => {
                    Ok(events.iter().map(|event| event.kind.as_str()).collect::<Vec<_>>().join(", "))
                }
                Err(error) => Err(told(&error)),
            };
            self.verdict(ABOUT, "a callback has events", "one event or more", outcome);
            let requests = rig.upstream.seen(|seen| seen.arrived.len());
            self.end(&rig, total);
            let found = format!("{requests} requests");
            self.row(ABOUT, "a callback is read without asking anybody", "no requests", requests == 0, found);
        }
        for (what, body) in [("empty", ""), ("no JSON", "<html>"), ("half of it", "{\"id\": ")] {
            let rig = self.bench.rig(Fault::None).await?;
            let callback = Callback {
                headers: Vec::new(),
                query: String::new(),
                body: Bytes::from_static(body.as_bytes()),
            };
            let called = rig.provider.parse_callback(rig.context(), callback).await;
            self.end(&rig, total);
            let outcome = match called {
                Ok(events) => Ok(format!("{} events", events.len())),
                Err(ProviderError::Reported { failure, .. }) => Ok(failure.code.to_string()),
                Err(error) => Err(told(&error)),
            };
            let check = format!("a callback that is {what} does no harm");
            self.verdict(ABOUT, &check, "a failure or no events, never a trap", outcome);
        }
        Ok(())
    }
}
