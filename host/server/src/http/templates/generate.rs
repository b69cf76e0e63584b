//! `POST /api/v1/templates/{id}/generate`.

use atelier_domain::generation::Media;
use atelier_domain::generation::media::MediaInput;
use atelier_domain::model::Task;
use atelier_domain::template::FileKind;
use atelier_service::caller::Caller;
use atelier_service::generation::answer::ChatAnswer;
use atelier_service::templates::{Filled, FilledFile, Given, message_part};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::app::App;
use crate::http::chat_completions::{streamed, whole};
use crate::http::files::used::{self, Named};
use crate::http::generations::create::accepted;
use crate::http::generations::view::{JobView, sample};
use crate::http::input::Kind;
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateGeneration)]
struct Body {
    /// By their names: texts, numbers, true or false, and of files their ids.
    #[serde(default)]
    #[schema(value_type = Object)]
    variables: serde_json::Map<String, Value>,
    /// Your own words beside, where the template takes some.
    #[schema(max_length = 2000)]
    text: Option<String>,
    /// Of a chat: answer with events as the text is made.
    #[serde(default)]
    stream: bool,
}

/// Fills a template in and asks its model: for media a job, for a chat its answer.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let Body { variables, text, stream } = body::parse(&bytes)?;
    // A repetition is answered with its job, whatever has become of the template.
    if let Some(job) = call.app.jobs.admitted_before(call.caller()?).await? {
        return accepted(&job);
    }
    let (app, caller) = (&call.app, call.caller()?);
    let filled = app.templates.fill(caller, id, Given { variables, text }).await?;
    let files = opened(app, caller, &filled.files).await?;
    if filled.task == Task::Chat {
        return chat(app, caller, filled, files, stream).await;
    }
    if stream {
        return Err(ApiError::invalid("stream", "only a chat is streamed"));
    }
    let input = |(file, media): (FilledFile, Media)| {
        let role = file.role.unwrap_or_else(|| "image".to_owned());
        MediaInput { role, media }
    };
    let inputs = files.into_iter().map(input).collect();
    accepted(&app.jobs.admit_filled(caller, filled, inputs).await?)
}

async fn chat(
    app: &App,
    caller: &Caller,
    filled: Filled,
    files: Vec<(FilledFile, Media)>,
    is_streamed: bool,
) -> Result<Reply, ApiError> {
    let resolved = app.generations.resolve_hidden(caller, &filled.model, Task::Chat).await?;
    let files = files.into_iter().map(|(file, media)| message_part(file.kind, media)).collect();
    let live = app.generations.chat_filled(caller, resolved, filled, files, is_streamed)?;
    if is_streamed {
        return Ok(streamed(app, &caller.request_id, live.begin().await?, true));
    }
    whole(app, &[ChatAnswer::read(live).await?])
}

/// The caller's files among the variables.
async fn opened(
    app: &App,
    caller: &Caller,
    files: &[FilledFile],
) -> Result<Vec<(FilledFile, Media)>, ApiError> {
    let named = files.iter().map(|file| {
        let kind = match file.kind {
            FileKind::Image => Kind::Image,
            FileKind::Audio => Kind::Audio,
            FileKind::Document => Kind::Document,
        };
        Named::read(format!("variables.{}", file.variable), &file.id, kind, file.clone())
    });
    used::fetch(app, caller, named.collect::<Result<_, _>>()?).await
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("generateFromTemplate", Tag::Templates, "Use a template")
        .about(
            "Fills the template in with your variables and asks its model. A template of media begins a generation (202), which is then \
             found among your generations; its `prompt` is `null`, and `template` says what was filled in. A template of a chat is \
             answered as `POST /v1/chat/completions` answers (200), in events with `\"stream\": true`. What you fill in is text, \
             whatever it looks like. Where a provider's words repeat the hidden prompt, they are not shown.",
        )
        .path("id", id(), "The template.")
        .takes::<Body>(json!({"variables": {"product": "a kettle", "mood": "bright"}}))
        .answers::<JobView<'_>>(202, "The job, just begun.", sample("queued"))
        .header("location", "Where the job is.")
        .answers_chat("The answer of a chat, whole or in events.")
        .calls_provider()
}
