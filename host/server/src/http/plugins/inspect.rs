//! `POST /api/v1/plugins/inspect`.

use super::view::InspectionView;
use super::{file, told};
use crate::http::{ApiError, Call, Reply, answer};

/// Who signed a file and what it would be given; nothing of it is run.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let sent = file::read(&mut call).await?;
    let inspected =
        call.app.plugins.inspect(&sent.component, sent.signature.as_deref()).await.map_err(told)?;
    answer::json(&InspectionView::from(&inspected))
}
