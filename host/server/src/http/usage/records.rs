//! `GET /api/v1/usage`.

use std::collections::BTreeMap;

use atelier_domain::id::UsageId;
use atelier_domain::money::{MicroCredits, UsageRecord};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::credits::{ABOUT_USER, user};
use crate::http::keys::owner;
use crate::http::openapi::{Operation, Tag, id, number};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = UsagePage)]
struct Page<'a> {
    data: Vec<RecordView<'a>>,
    /// What to send as `before` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageRecord)]
pub(in crate::http) struct RecordView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(format = DateTime)]
    time: String,
    /// The key that asked for it.
    #[schema(required, format = Uuid)]
    key: Option<String>,
    /// The model by its full id.
    model: &'a str,
    task: &'a str,
    /// The generation, where it was one.
    #[schema(required, format = Uuid)]
    generation: Option<String>,
    /// The request's id, where it was answered at once.
    #[schema(required)]
    request_id: Option<&'a str>,
    /// `ok`, or why not.
    outcome: &'a str,
    usage: Vec<LineView<'a>>,
    /// The provider reported no usage: this is the host's estimate.
    estimated: bool,
    /// What was charged, in micro-credits; `null` where the model had no price.
    #[schema(required)]
    cost: Option<u64>,
    /// A part of the usage has no price, and cost nothing.
    unpriced: bool,
    /// What was given back of a call that was answered at once, in micro-credits. A generation says its own.
    refunded: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageLine)]
struct LineView<'a> {
    meter: &'a str,
    quantity: u64,
    #[schema(value_type = BTreeMap<String, String>)]
    attributes: BTreeMap<&'a str, &'a str>,
}

impl<'a> From<&'a UsageRecord> for RecordView<'a> {
    fn from(record: &'a UsageRecord) -> Self {
        let line = |line: &'a atelier_domain::generation::usage::UsageLine| LineView {
            meter: &line.meter,
            quantity: line.quantity,
            attributes: line.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        };
        Self {
            id: record.id.to_string(),
            time: record.at.rfc3339(),
            key: record.key.map(|key| key.to_string()),
            model: &record.model,
            task: &record.task,
            generation: record.job.map(|job| job.to_string()),
            request_id: record.request_id.as_deref(),
            outcome: &record.outcome,
            usage: record.usage.iter().map(line).collect(),
            estimated: record.is_estimated,
            cost: record.cost.map(MicroCredits::get),
            unpriced: record.is_unpriced,
            refunded: record.refunded.get(),
        }
    }
}

/// What a user used, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit", "user"])?;
    let before = query.get("before").map(|text| parsed::<UsageId>("before", text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let owner = owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    let mut records = call.app.ledger.usage(owner, before, limit + 1).await?;
    let has_more = records.len() > limit;
    records.truncate(limit);
    let next = has_more.then(|| records.last().map(|record| record.id.to_string())).flatten();
    answer::json(&Page { data: records.iter().map(RecordView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let record = json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "time": "2026-11-22T00:00:00.000Z",
        "key": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60719", "model": "openai/dall-e-3", "task": "image-generation",
        "generation": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f6071a", "request_id": null, "outcome": "ok",
        "usage": [{"meter": "images", "quantity": 1, "attributes": {}}], "estimated": false, "cost": 40_000, "unpriced": false, "refunded": 0});
    Operation::new("listUsage", Tag::Money, "List what you used")
        .about("Call by call, newest first.")
        .query("before", id(), "Begin after this record: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query("user", user(), ABOUT_USER)
        .answers::<Page<'_>>(200, "A page of records.", json!({"data": [record], "next": null}))
        .refuses(&[404])
}
