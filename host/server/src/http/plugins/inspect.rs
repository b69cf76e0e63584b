//! `POST /api/v1/plugins/inspect`.

use serde_json::json;

use super::view::InspectionView;
use super::{file, told_of_file};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// Who signed a file and what it would be given; nothing of it is run.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let sent = file::read(&mut call).await?;
    let inspected = call.app.plugins.inspect(&sent.component, sent.signature.as_deref()).await;
    let inspected = inspected.map_err(|error| told_of_file(&call.app, error))?;
    answer::json(&InspectionView::from(&inspected))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let inspection = json!({"id": "atelier/openai", "version": "0.2.0", "digest": "4c6f…", "signed_by": "9B4E1C3A5D7F2E60",
        "capabilities": ["catalog", "chat"], "permissions": ["reach api.openai.com"], "replaces": "0.1.0", "added": [],
        "dropped": [], "consent": "b1946ac9…"});
    Operation::new("inspectPlugin", Tag::Plugins, "Look at a plugin before installing it")
        .about("Who signed a file and what it would be given, against the installed version. Nothing of it is run, nothing is kept.")
        .takes_form::<file::FormSchema>()
        .answers::<InspectionView<'_>>(200, "What to know before saying yes.", inspection)
}
