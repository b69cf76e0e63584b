//! The operators' listener: health and metrics. No key: keep its address private.

use std::sync::Arc;

use atelier_domain::provider::{BreakerState, Readiness};
use atelier_service::disk::Room;
use atelier_storage::Check;
use axum::Router;
use axum::extract::State;
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Serialize;

use crate::app::{App, Checking};
use crate::http::guarded;

#[derive(Serialize)]
struct Report {
    ready: bool,
    /// Why not.
    reasons: Vec<String>,
    instances: Vec<InstanceReport>,
    storage: StorageReport,
}

/// What is known of what is stored. `atelier doctor` reads it.
#[derive(Serialize)]
struct StorageReport {
    /// `pending`, `whole` or `damaged`.
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
    rows: Option<u64>,
    rows_checked: u64,
    blobs_checked: u64,
    blobs_missing: u64,
    /// Of the first that are missing.
    missing: Vec<String>,
    free_bytes: Option<u64>,
}

#[derive(Serialize)]
struct InstanceReport {
    name: String,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .layer(map_response(guard))
        .with_state(app)
}

/// Operators have browsers, too.
async fn guard(mut response: Response) -> Response {
    guarded(response.headers_mut());
    response
}

/// Ready while what is stored can be read and written, the disk has room, jobs get their turns and the server is not stopping. A provider
/// that fails is reported, and does not make the whole host unready (P-5).
async fn ready(State(app): State<Arc<App>>) -> Response {
    let mut reasons = Vec::new();
    if let Err(error) = app.accounts.users(None, 1).await {
        reasons.push(format!("storage: {error}"));
    }
    if app.is_stopping() {
        reasons.push("the server is stopping".to_owned());
    }
    let waited = app.jobs.oldest_due();
    if let Some(late) = app.config.jobs.late.filter(|late| waited > *late) {
        reasons.push(format!(
            "jobs: one has waited {} s for a worker, longer than [jobs] late_seconds ({})",
            waited.as_secs(),
            late.as_secs()
        ));
    }
    let instances = app.registry.instances().into_iter().map(|(name, provider)| {
        let (state, reason) = match (provider.breaker(), provider.readiness()) {
            (BreakerState::Open { reason, .. }, _) => ("refused", Some(reason)),
            (_, Readiness::Failed(reason)) => ("failed", Some(reason)),
            (_, Readiness::Loading) => ("loading", None),
            (_, Readiness::Ready) => ("ready", None),
        };
        InstanceReport { name, state, reason }
    });
    let instances = instances.collect();
    let (checking, room) = (app.checking.clone(), app.room.clone());
    let looked = tokio::task::spawn_blocking(move || (lacks(&checking, &room), storage(&checking))).await;
    let storage = match looked {
        Ok((lacks, storage)) => {
            reasons.extend(lacks);
            storage
        }
        Err(error) => {
            tracing::error!(%error, "the state of what is stored cannot be told");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    };
    let report = Report { ready: reasons.is_empty(), reasons, instances, storage };
    let status = if report.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(report)).into_response()
}

/// What keeps it from writing.
fn lacks(checking: &Checking, room: &Room) -> Vec<String> {
    let unwritable = checking.store.check_writable().err().map(|error| format!("storage: {error}"));
    let disk = match room.shortage() {
        Ok(None) => None,
        Ok(Some(free)) => Some(format!(
            "disk: {} MiB are free where [storage] min_free_mib wants {}: uploads and new jobs are refused",
            free >> 20,
            room.min_free_bytes() >> 20
        )),
        Err(error) => Some(format!("disk: {error}")),
    };
    unwritable.into_iter().chain(disk).collect()
}

fn storage(checking: &Checking) -> StorageReport {
    let (health, blobs) = (checking.store.health(), checking.blobs());
    let (check, damage) = match health.check {
        Check::Pending => ("pending", None),
        Check::Whole { .. } => ("whole", None),
        Check::Damaged(what) => ("damaged", Some(what)),
    };
    StorageReport {
        check,
        damage,
        rows: health.rows,
        rows_checked: health.rows_read,
        blobs_checked: blobs.looked_for,
        blobs_missing: blobs.bad,
        missing: blobs.reasons,
        free_bytes: checking.store.free_bytes().ok(),
    }
}

async fn metrics(State(app): State<Arc<App>>) -> Response {
    // The process reads its own files for it.
    let text =
        tokio::task::spawn_blocking(move || app.metrics.text().map_err(|error| error.to_string())).await;
    match text.unwrap_or_else(|error| Err(error.to_string())) {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
