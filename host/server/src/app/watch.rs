//! What the sandbox tells, to those who want it.

use std::sync::Arc;

use atelier_domain::egress::DeniedEgress;
use atelier_runtime::{CallReport, Observer};
use atelier_service::audit::Audit;

use crate::metrics::Metrics;

/// Metrics of calls, and the audit log of what was denied.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) metrics: Arc<Metrics>,
    pub(super) audit: Audit,
}

impl Observer for Watch {
    fn call_ended(&self, report: &CallReport<'_>) {
        self.metrics.call_ended(report);
    }

    fn egress_denied(&self, denied: &DeniedEgress<'_>) {
        self.audit.egress_denied(denied);
    }
}
