//! The HTTP API through a real listener and the real store.

#[path = "support/host.rs"]
mod host;
#[path = "../../service/tests/support/scripted.rs"]
#[expect(dead_code, reason = "a part of its scripts is for the job engine's own tests")]
mod scripted;
#[path = "support/smtp.rs"]
mod smtp;

#[path = "routes/access.rs"]
mod access;
#[path = "routes/audit.rs"]
mod audit;
#[path = "routes/bad_input.rs"]
mod bad_input;
#[path = "routes/batches.rs"]
mod batches;
#[path = "routes/chat_completions.rs"]
mod chat_completions;
#[path = "routes/content.rs"]
mod content;
#[path = "routes/conversations.rs"]
mod conversations;
#[path = "routes/deletions.rs"]
mod deletions;
#[path = "routes/embeddings.rs"]
mod embeddings;
#[path = "routes/enrolment.rs"]
mod enrolment;
#[path = "routes/exports.rs"]
mod exports;
#[path = "routes/failed_generations.rs"]
mod failed_generations;
#[path = "routes/files.rs"]
mod files;
#[path = "routes/forms.rs"]
mod forms;
#[path = "routes/guarded.rs"]
mod guarded;
#[path = "routes/idempotency.rs"]
mod idempotency;
#[path = "routes/images.rs"]
mod images;
#[path = "routes/links.rs"]
mod links;
#[path = "routes/models.rs"]
mod models;
#[path = "routes/money.rs"]
mod money;
#[path = "routes/openapi.rs"]
mod openapi;
#[path = "routes/pictures.rs"]
mod pictures;
#[path = "routes/ready.rs"]
mod ready;
#[path = "routes/renditions.rs"]
mod renditions;
#[path = "routes/responses.rs"]
mod responses;
#[path = "routes/sessions.rs"]
mod sessions;
#[path = "routes/sharing.rs"]
mod sharing;
#[path = "routes/speech.rs"]
mod speech;
#[path = "routes/standing.rs"]
mod standing;
#[path = "routes/table.rs"]
mod table;
#[path = "routes/templates.rs"]
mod templates;
#[path = "routes/transcriptions.rs"]
mod transcriptions;
#[path = "routes/unread.rs"]
mod unread;
#[path = "routes/videos.rs"]
mod videos;
