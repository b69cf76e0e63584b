//! Feeds and outgoing webhooks, read when they are asked for.

use std::sync::Arc;

use atelier_domain::time::Clock;
use atelier_service::events::Events;
use atelier_service::webhooks::{Outcome, Webhooks};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, Opts};

pub(super) struct EventMetrics {
    events: Events,
    webhooks: Webhooks,
    clock: Arc<dyn Clock>,
    feeds: IntGauge,
    oldest: Gauge,
    /// Only for their descriptions: what is counted elsewhere is told by counters of its own for each answer.
    counters: Counters,
}

struct Counters {
    cut: IntCounter,
    attempts: IntCounterVec,
    disabled: IntCounter,
    skipped: IntCounterVec,
}

impl Counters {
    fn new() -> Result<Self, prometheus::Error> {
        let attempts = Opts::new(
            "atelier_webhook_attempts_total",
            "Attempts at outgoing webhooks by what became of them.",
        );
        let skipped = Opts::new(
            "atelier_old_rows_skipped_total",
            "Old webhook deliveries, and users with old events, that sweeps left since they could not be read.",
        );
        Ok(Self {
            cut: IntCounter::new(
                "atelier_event_feeds_cut_total",
                "Feeds that were ended because their reader took nothing.",
            )?,
            attempts: IntCounterVec::new(attempts, &["outcome"])?,
            skipped: IntCounterVec::new(skipped, &["sweep"])?,
            disabled: IntCounter::new(
                "atelier_webhook_endpoints_disabled_total",
                "Endpoints that were disabled because they failed for days or are gone.",
            )?,
        })
    }
}

impl EventMetrics {
    pub(super) fn new(
        events: Events,
        webhooks: Webhooks,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            events,
            webhooks,
            clock,
            feeds: IntGauge::new("atelier_event_feeds", "Feeds of events that are open.")?,
            oldest: Gauge::new(
                "atelier_webhook_oldest_pending_seconds",
                "Age of the oldest webhook that is to be delivered still; 0 while there is none.",
            )?,
            counters: Counters::new()?,
        })
    }
}

impl Collector for EventMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let counters = &self.counters;
        [
            self.feeds.desc(),
            self.oldest.desc(),
            counters.cut.desc(),
            counters.attempts.desc(),
            counters.disabled.desc(),
            counters.skipped.desc(),
        ]
        .concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let counts = self.webhooks.counts();
        self.feeds.set(i64::try_from(self.events.open()).unwrap_or(i64::MAX));
        let age = counts.oldest().map_or(0, |made| self.clock.now().0.saturating_sub(made.0));
        self.oldest.set(age as f64 / 1000.0);
        let mut all = [self.feeds.collect(), self.oldest.collect()].concat();
        if let Ok(counters) = Counters::new() {
            counters.cut.inc_by(self.events.cut());
            counters.disabled.inc_by(counts.disabled());
            for (sweep, count) in
                [("deliveries", counts.left_by_sweeps()), ("events", self.events.left_by_sweeps())]
            {
                counters.skipped.with_label_values(&[sweep]).inc_by(count);
            }
            for outcome in Outcome::ALL {
                counters.attempts.with_label_values(&[outcome.as_str()]).inc_by(counts.of(outcome));
            }
            all.extend(
                [
                    counters.cut.collect(),
                    counters.attempts.collect(),
                    counters.disabled.collect(),
                    counters.skipped.collect(),
                ]
                .concat(),
            );
        }
        all
    }
}
