//! `GET /api/v1/usage/totals`: analytics, from sums that are kept by day.

use std::collections::BTreeMap;

use atelier_domain::account::Scope;
use atelier_domain::money::{Dimension, Totals, TotalsKey, TotalsQuery};
use atelier_domain::time::{date_of, day_of};
use atelier_service::ServiceError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};

use crate::http::credits::{ABOUT_USER, amount, user};
use crate::http::keys::owner;
use crate::http::openapi::{Operation, Tag, number, words_schema};
use crate::http::query::{page_size, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE_USUAL: usize = 100;
const PAGE_MAX: usize = 1000;
/// Days that are shown if none are named, today included.
const DAYS_USUAL: u32 = 31;

#[derive(Serialize, ToSchema)]
#[schema(as = UsageTotalsPage)]
struct Page<'a> {
    data: Vec<SumView<'a>>,
    /// What to send as `cursor` for the next page; `null` on the last.
    #[schema(required)]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsageTotals)]
pub(in crate::http) struct SumView<'a> {
    #[schema(format = Date)]
    day: String,
    /// The model, provider, key or user; `null` for the whole day.
    #[schema(required)]
    value: Option<&'a str>,
    /// Calls and generations that ended.
    calls: u64,
    /// Those that gave no result.
    failed: u64,
    /// Those whose usage the host estimated.
    estimated: u64,
    /// Those with usage that has no price.
    unpriced: u64,
    /// What was charged, in micro-credits.
    #[schema(schema_with = amount)]
    cost: u64,
    /// What their usage would have cost beyond what was set aside, in micro-credits; told over all users alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = amount)]
    uncollected: Option<u64>,
    /// Quantities by meter.
    meters: &'a BTreeMap<String, u64>,
}

pub(in crate::http) fn view((key, sum): &(TotalsKey, Totals), over_all: bool) -> SumView<'_> {
    SumView {
        day: date_of(key.day),
        value: Some(key.value.as_str()).filter(|value| !value.is_empty()),
        calls: sum.calls,
        failed: sum.failed,
        estimated: sum.estimated,
        unpriced: sum.unpriced,
        cost: sum.cost.get(),
        uncollected: over_all.then(|| sum.uncollected.get()),
        meters: &sum.meters,
    }
}

/// Sums by day and one more dimension.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["by", "first", "last", "cursor", "limit", "user", "all"])?;
    let word = query.get("by").map_or("day", String::as_str);
    let by = Dimension::ALL.into_iter().find(|by| by.as_str() == word);
    let by = by.ok_or_else(|| ApiError::invalid("by", "must be day, model, provider, key or user"))?;
    let over_all = match query.get("all").map(String::as_str) {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(ApiError::invalid("all", "must be true or false")),
    };
    let caller = call.caller()?;
    if over_all && !caller.principal.may(Scope::Admin) {
        return Err(ServiceError::ScopeMissing(Scope::Admin).into());
    }
    let not_kept = if over_all { Dimension::Key } else { Dimension::User };
    if by == not_kept {
        return Err(ApiError::invalid(
            "by",
            "there is no `key` over all users, and no `user` without `all=true`",
        ));
    }
    if over_all && query.contains_key("user") {
        return Err(ApiError::invalid("user", "cannot be named together with `all=true`"));
    }
    let user = match over_all {
        true => None,
        false => Some(owner(&call.app, caller, query.get("user").map(String::as_str)).await?),
    };
    let today = call.app.clock.now().day();
    let day = |name: &'static str, usual: u32| match query.get(name) {
        None => Ok(usual),
        Some(text) => day_of(text).ok_or_else(|| ApiError::invalid(name, "must be a date: YYYY-MM-DD")),
    };
    let last_day = day("last", today)?;
    let first_day = day("first", last_day.saturating_sub(DAYS_USUAL - 1))?;
    let after = query.get("cursor").map(|text| read_cursor(text)).transpose()?;
    let limit = page_size(&query, PAGE_USUAL, PAGE_MAX)?;
    let wanted = TotalsQuery { user, by, first_day, last_day, after };
    let mut sums = call.app.ledger.totals(wanted, limit + 1).await?;
    let has_more = sums.len() > limit;
    sums.truncate(limit);
    let next = has_more.then(|| sums.last().map(|(key, _)| cursor(key))).flatten();
    answer::json(&Page { data: sums.iter().map(|sum| view(sum, over_all)).collect(), next })
}

/// Opaque to callers.
fn cursor(key: &TotalsKey) -> String {
    URL_SAFE_NO_PAD.encode([&key.day.to_be_bytes(), key.value.as_bytes()].concat())
}

fn read_cursor(text: &str) -> Result<TotalsKey, ApiError> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (day, value) = bytes.split_first_chunk::<4>()?;
        Some(TotalsKey { day: u32::from_be_bytes(*day), value: String::from_utf8(value.to_vec()).ok()? })
    };
    read().ok_or_else(|| ApiError::invalid("cursor", "must be the `next` of the page before"))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let sum = json!({"day": "2026-11-22", "value": "openai/gpt-4o-mini", "calls": 12, "failed": 0, "estimated": 0, "unpriced": 0,
        "cost": 5_310, "meters": {"input-tokens": 20_000, "output-tokens": 3_850}});
    let date = || {
        let format = SchemaFormat::KnownFormat(KnownFormat::Date);
        ObjectBuilder::new().schema_type(Type::String).format(Some(format))
    };
    Operation::new("listUsageTotals", Tag::Money, "Sum up what you used")
        .about(
            "Sums by day (UTC), and by model, provider or key within it, in that order. They are kept as things end and never computed from \
             the records, so that asking takes time by the page alone.",
        )
        .query("by", words_schema(&["day", "model", "provider", "key", "user"]), "`key`: of one user; `user`: over all of them.")
        .query("first", date(), "The first day; the thirtieth before the last, if it is not named.")
        .query("last", date(), "The last day, included; today, if it is not named.")
        .query("cursor", user(), "The `next` of the page before.")
        .query("limit", number(1, PAGE_MAX, Some(PAGE_USUAL)), "How many at most.")
        .query("user", user(), ABOUT_USER)
        .query("all", words_schema(&["true", "false"]), "Over all users: for administrators.")
        .answers::<Page<'_>>(200, "A page of sums.", json!({"data": [sum], "next": null}))
        .refuses(&[404])
}
