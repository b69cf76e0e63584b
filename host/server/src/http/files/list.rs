//! `GET /v1/files?after=ID&limit=N&order=asc|desc&purpose=…`.

use atelier_domain::file::{FilePage, StoredFile};
use serde::Serialize;
use serde_json::json;
use utoipa::{PartialSchema, ToSchema};

use super::file_id;
use super::view::{FileView, PurposeWord, sample};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::{OrderWord, newest_first, page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer, prefix};

/// As in OpenAI's API.
const PAGE_MAX: usize = 10_000;

#[derive(Serialize, ToSchema)]
#[schema(as = FileList)]
struct Page<'a> {
    object: &'static str,
    data: Vec<FileView<'a>>,
    #[schema(required)]
    first_id: Option<String>,
    /// What to send as `after` for the next page.
    #[schema(required)]
    last_id: Option<String>,
    has_more: bool,
}

/// The caller's files.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "limit", "order", "purpose"])?;
    let after = query.get("after").map(|text| prefix::read(prefix::FILE, text, "such file")).transpose()?;
    let limit = page_size(&query, PAGE_MAX, PAGE_MAX)?;
    let newest_first = newest_first(&query)?;
    let purpose = query.get("purpose").map(|text| parsed("purpose", text)).transpose()?;
    let page = FilePage { after, limit: limit + 1, newest_first, purpose };
    let mut files = call.app.files.list(call.caller()?, page).await?;
    let has_more = files.len() > limit;
    files.truncate(limit);
    let id = |file: &StoredFile| prefix::of(prefix::FILE, &file.id.simple());
    answer::json(&Page {
        object: "list",
        first_id: files.first().map(id),
        last_id: files.last().map(id),
        data: files.iter().map(FileView::from).collect(),
        has_more,
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let page = json!({"object": "list", "data": [sample()], "first_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718",
        "last_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "has_more": false});
    Operation::new("listFiles", Tag::Files, "List your files")
        .query("after", file_id(), "Begin after this file: the `last_id` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_MAX)), "How many at most.")
        .query(
            "order",
            OrderWord::schema(),
            "By the time of their creation; `desc`, newest first, if it is not sent.",
        )
        .query("purpose", PurposeWord::schema(), "Only files of this purpose.")
        .answers::<Page<'_>>(200, "A page of files.", page)
        .refuses(&[404])
}
