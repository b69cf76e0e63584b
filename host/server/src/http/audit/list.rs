//! `GET /api/v1/admin/audit`.

use atelier_domain::audit::{AuditKind, AuditPage, AuditRecord};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{Operation, Tag, id, number, words, words_schema};
use crate::http::query::{page_size, parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 20;
const PAGE_MAX: usize = 100;

words! {
    KindWord: "administration" | "key_refused" | "scope_refused" | "sign_in_refused" | "cross_site_refused" | "callback_refused"
        | "egress_refused";
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecordPage)]
struct Page<'a> {
    data: Vec<RecordView<'a>>,
    /// What to send as `before` for the next page; `null` on the last. A page may have fewer records than asked for, or none, and not
    /// be the last.
    #[schema(required)]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AuditRecord)]
pub(in crate::http) struct RecordView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(inline, value_type = KindWord)]
    kind: &'static str,
    /// The first of them, where there were several.
    #[schema(format = DateTime)]
    time: String,
    #[schema(required, format = Uuid)]
    user: Option<String>,
    #[schema(required, format = Uuid)]
    key: Option<String>,
    /// The instance of which a plugin asked to reach a host that it may not; `null` of all else.
    #[schema(required)]
    instance: Option<&'a str>,
    /// The id of its plugin.
    #[schema(required)]
    plugin: Option<&'a str>,
    /// The route, as this reference writes it; `egress` of a plugin's requests.
    action: &'a str,
    /// The path as it was asked for; the host of a plugin's request, as the plugin wrote it.
    #[schema(required)]
    target: Option<&'a str>,
    request_id: &'a str,
    /// The status of the answer; `null` of an action that was begun and whose end is not known, and of a plugin's requests.
    #[schema(required)]
    status: Option<u16>,
    /// The code of the error that it was answered with; of a plugin's requests why the host may not be reached.
    #[schema(required)]
    code: Option<&'a str>,
    /// How many of them there were; more than one of refusals alone.
    count: u64,
}

impl<'a> From<&'a AuditRecord> for RecordView<'a> {
    fn from(record: &'a AuditRecord) -> Self {
        Self {
            id: record.id.to_string(),
            kind: record.kind.as_str(),
            time: record.time.rfc3339(),
            user: record.actor.map(|actor| actor.user.to_string()),
            key: record.actor.map(|actor| actor.key.to_string()),
            instance: record.instance.as_deref(),
            plugin: record.plugin.as_deref(),
            action: &record.action,
            target: record.target.as_deref(),
            request_id: &record.request_id,
            status: record.status,
            code: record.code.as_deref(),
            count: record.count,
        }
    }
}

/// What was administered and refused, newest first.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["before", "limit", "kind", "user"])?;
    let kind = |word: &String| {
        let known = AuditKind::ALL.into_iter().find(|kind| kind.as_str() == word);
        let words = || AuditKind::ALL.map(AuditKind::as_str).join(", ");
        known.ok_or_else(|| ApiError::invalid("kind", format!("must be one of {}", words())))
    };
    let page = AuditPage {
        before: query.get("before").map(|text| parsed("before", text)).transpose()?,
        kind: query.get("kind").map(kind).transpose()?,
        user: query.get("user").map(|text| parsed("user", text)).transpose()?,
        limit: page_size(&query, PAGE_USUAL, PAGE_MAX)?,
    };
    let found = call.app.audit.page(page).await?;
    let next = found.next.map(|id| id.to_string());
    answer::json(&Page { data: found.records.iter().map(RecordView::from).collect(), next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let record = json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "kind": "administration",
        "time": "2026-11-22T00:00:00.000Z", "user": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60719",
        "key": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f6071a", "instance": null, "plugin": null, "action": "POST /api/v1/users/{id}/disable",
        "target": "/api/v1/users/019ab0c3-e5f0-7d0a-a1b2-c3d4e5f6071b/disable", "request_id": "req_019ab0c3e5f07d0aa1b2c3d4e5f6071c",
        "status": 200, "code": null, "count": 1});
    Operation::new("listAudit", Tag::Audit, "Read the audit log")
        .about(
            "Newest first: what was administered (users, keys, plugins, money, templates, backups), by whom and how it ended, and what was \
             refused for safety's sake. Administration is written before it is done. Refusals of the same kind within some seconds are one \
             record with their number; what a plugin asked to reach and may not, within an hour. Nothing can be changed here; records go after the time that the configuration says.",
        )
        .query("before", id(), "Begin after this record: the `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query("kind", words_schema(&AuditKind::ALL.map(AuditKind::as_str)), "Only this kind.")
        .query("user", id(), "Only what this user did.")
        .answers::<Page<'_>>(200, "A page of records.", json!({"data": [record], "next": null}))
}
