//! TLS of a listener: handshakes that failed, files that were taken anew, and until when the certificate is good.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Error, Gauge, IntCounter, IntCounterVec, Opts};

use super::Metrics;
use crate::listener::TlsCounts;

const DAY_SECONDS: f64 = 86_400.0;

impl Metrics {
    /// Tells of a listener's TLS, from now on.
    ///
    /// # Errors
    /// It is told already: a bug of ours.
    pub(crate) fn watch_tls(&self, listener: &str) -> Result<TlsCounts, Error> {
        let of = |name: &str, help: &str| Opts::new(name, help).const_label("listener", listener);
        let failed = of(
            "atelier_tls_handshakes_failed_total",
            "Connections that came to no agreement on TLS, by reason.",
        );
        let failed = IntCounterVec::new(failed, &["reason"])?;
        let outcome = |outcome: &str| {
            let help = "Changed certificates: taken, or refused since they cannot be used.";
            let counter =
                IntCounter::with_opts(of("atelier_tls_reloads_total", help).const_label("outcome", outcome))?;
            self.registry.register(Box::new(counter.clone()))?;
            Ok::<_, Error>(counter)
        };
        let counts = TlsCounts {
            failed: failed.clone(),
            reloaded: outcome("taken")?,
            refused: outcome("refused")?,
            not_after: Arc::default(),
        };
        self.registry.register(Box::new(failed))?;
        let days = of(
            "atelier_tls_certificate_days",
            "Days until the listener's certificate is no longer good; negative since then.",
        );
        self.registry.register(Box::new(Expiry {
            days: Gauge::with_opts(days)?,
            not_after: counts.not_after.clone(),
        }))?;
        Ok(counts)
    }
}

/// Counted down when it is asked for.
struct Expiry {
    days: Gauge,
    not_after: Arc<AtomicI64>,
}

impl Collector for Expiry {
    fn desc(&self) -> Vec<&Desc> {
        self.days.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |now| now.as_secs_f64());
        self.days.set((self.not_after.load(Ordering::Relaxed) as f64 - now) / DAY_SECONDS);
        self.days.collect()
    }
}
