//! `GET /v1/videos?after=ID&limit=N&order=asc|desc`.

use atelier_domain::job::{Job, JobPage};
use serde::Serialize;
use serde_json::json;
use utoipa::{PartialSchema, ToSchema};

use super::view::{VideoView, sample};
use super::{read, video_id};
use crate::http::openapi::{Operation, Tag, number};
use crate::http::query::{OrderWord, newest_first, page_size, query};
use crate::http::{ApiError, Call, Reply, answer, prefix};

/// As in OpenAI's API.
const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = VideoList)]
struct Page<'a> {
    object: &'static str,
    data: Vec<VideoView<'a>>,
    #[schema(required)]
    first_id: Option<String>,
    /// What to send as `after` for the next page.
    #[schema(required)]
    last_id: Option<String>,
    has_more: bool,
}

/// The caller's videos.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "limit", "order"])?;
    let after = query.get("after").map(|text| read(text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let newest_first = newest_first(&query)?;
    let page = JobPage { after, limit: limit + 1, newest_first };
    let mut jobs = call.app.jobs.videos(call.caller()?, page).await?;
    let has_more = jobs.len() > limit;
    jobs.truncate(limit);
    let id = |job: &Job| prefix::of(prefix::VIDEO, &job.id.simple());
    answer::json(&Page {
        object: "list",
        first_id: jobs.first().map(id),
        last_id: jobs.last().map(id),
        data: jobs.iter().map(VideoView::from).collect(),
        has_more,
    })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let page = json!({"object": "list", "data": [sample("completed")], "first_id": "video_019ab0c3e5f07d0aa1b2c3d4e5f60718",
        "last_id": "video_019ab0c3e5f07d0aa1b2c3d4e5f60718", "has_more": false});
    Operation::new("listVideos", Tag::Videos, "List your videos")
        .query("after", video_id(), "Begin after this video: the `last_id` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query(
            "order",
            OrderWord::schema(),
            "By the time of their creation; `desc`, newest first, if it is not sent.",
        )
        .answers::<Page<'_>>(200, "A page of videos.", page)
        .refuses(&[404])
}
