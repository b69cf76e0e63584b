//! `/v1/videos`: jobs that advance each time they are looked at.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};

use super::{invalid, not_found, required};
use crate::call::{Call, created_at};
use crate::fault::FaultKind;
use crate::media;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const CONTENT_PIECE_BYTES: usize = 512;

#[derive(Debug, Clone)]
pub(super) struct Video {
    body: Value,
    polls: u32,
    fails: bool,
}

impl Video {
    /// Queued, then in progress, then completed, by the number of polls.
    fn poll(&mut self, polls_to_finish: u32) {
        self.polls += 1;
        if self.body["completed_at"].is_u64() || self.body["status"] == "failed" {
            return;
        }
        if self.polls < polls_to_finish {
            self.body["status"] = json!("in_progress");
            self.body["progress"] = json!(100 * self.polls / polls_to_finish);
        } else if self.fails {
            self.body["status"] = json!("failed");
            self.body["error"] =
                json!({"code": "generation_failed", "message": "The video could not be made."});
        } else {
            let created = self.body["created_at"].as_u64().unwrap_or_default();
            self.body["status"] = json!("completed");
            self.body["progress"] = json!(100);
            self.body["completed_at"] = json!(created + u64::from(self.polls));
            self.body["expires_at"] = json!(created + 86_400);
        }
    }
}

pub(super) async fn create(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
) -> Answer {
    let prompt = required(&call, "prompt")?;
    let model = call.model().unwrap_or("sora-2");
    super::known(model)?;
    let id = call.id("video_");
    let body = json!({
        "id": id,
        "object": "video",
        "model": model,
        "status": "queued",
        "progress": 0,
        "prompt": prompt,
        "created_at": created_at(call.number),
        "completed_at": null,
        "expires_at": null,
        "size": call.text("size").unwrap_or("720x1280"),
        "seconds": call.text("seconds").unwrap_or("4"),
        "quality": "standard",
        "remixed_from_video_id": null,
        "error": null,
    });
    let video = Video { body: body.clone(), polls: 0, fails: call.has_fault(FaultKind::Fail) };
    shared.openai.videos.put(&id, call.body.len(), video);
    Ok(Reply::json(&body).charged())
}

/// Another version of a video, as long and as large.
pub(super) async fn remix(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
    Path(source): Path<String>,
) -> Answer {
    let prompt = required(&call, "prompt")?;
    let Video { body, .. } = shared.openai.videos.get(&source).ok_or_else(|| not_found("video", &source))?;
    let id = call.id("video_");
    let mut made = body.clone();
    for (name, value) in [
        ("id", json!(id)),
        ("status", json!("queued")),
        ("progress", json!(0)),
        ("prompt", json!(prompt)),
        ("completed_at", json!(null)),
        ("expires_at", json!(null)),
        ("remixed_from_video_id", json!(source)),
    ] {
        made[name] = value;
    }
    let video = Video { body: made.clone(), polls: 0, fails: call.has_fault(FaultKind::Fail) };
    shared.openai.videos.put(&id, call.body.len(), video);
    Ok(Reply::json(&made).charged())
}

pub(super) async fn get(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let polls = shared.config.polls_to_finish;
    let seen = shared.openai.videos.with(&id, |video| {
        video.poll(polls);
        video.body.clone()
    });
    Ok(Reply::json(&seen.ok_or_else(|| not_found("video", &id))?))
}

pub(super) async fn list(State(shared): State<Arc<Shared>>) -> Reply {
    let data: Vec<Value> = shared.openai.videos.all().into_iter().map(|video| video.body).collect();
    let ends = (data.first().map(|video| video["id"].clone()), data.last().map(|video| video["id"].clone()));
    Reply::json(&json!({
        "object": "list",
        "data": data,
        "first_id": ends.0,
        "last_id": ends.1,
        "has_more": false,
    }))
}

pub(super) async fn delete(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    shared.openai.videos.take(&id).ok_or_else(|| not_found("video", &id))?;
    Ok(Reply::json(&json!({"id": id, "object": "video.deleted", "deleted": true})))
}

pub(super) async fn content(State(shared): State<Arc<Shared>>, Path(id): Path<String>) -> Answer {
    let video = shared.openai.videos.get(&id).ok_or_else(|| not_found("video", &id))?;
    if video.body["status"] != "completed" {
        return Err(invalid(
            "The video is not ready: poll it until it is completed.",
            "id",
            "video_not_ready",
        ));
    }
    let mut reply = Reply::pieces("video/mp4", media::in_pieces(media::mp4(), CONTENT_PIECE_BYTES));
    reply.status = StatusCode::OK;
    Ok(reply)
}
