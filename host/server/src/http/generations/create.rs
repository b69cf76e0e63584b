//! `POST /api/v1/generations`: admit a job and answer at once with its first state.

use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::job::Job;
use atelier_domain::model::Task;
use http::StatusCode;
use http::header::{HeaderValue, LOCATION};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{JobView, sample};
use crate::http::chat_completions::off_thread;
use crate::http::files::optional_file_id;
use crate::http::files::used::{self, Named};
use crate::http::input::{self, Kind};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer, body};

const COUNT_MAX: u32 = 16;
const INPUTS_MAX: usize = 16;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGeneration)]
struct Body {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    #[schema(inline, value_type = TaskWord)]
    task: String,
    prompt: Option<String>,
    negative_prompt: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    inputs: Vec<InputBody>,
    #[schema(minimum = 1, maximum = 16)]
    count: Option<u32>,
    size: Option<String>,
    aspect_ratio: Option<String>,
    duration_ms: Option<u64>,
    seed: Option<i64>,
    quality: Option<String>,
    format: Option<String>,
    background: Option<String>,
    /// By the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = GenerationInput)]
struct InputBody {
    #[schema(inline, value_type = RoleWord)]
    role: String,
    /// A data URL, or an address that the provider fetches; or `file_id`.
    url: Option<String>,
    /// A file of yours.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
}

words! {
    TaskWord: "image-generation" | "image-edit" | "image-variation" | "image-upscale" | "video-generation" | "video-remix"
        | "sound-effect" | "music" | "stems";
    RoleWord: "image" | "mask" | "markup" | "first-frame" | "last-frame" | "reference" | "video" | "audio";
}

const ROLES: [&str; 8] =
    ["image", "mask", "markup", "first-frame", "last-frame", "reference", "video", "audio"];

/// Admits a job.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let (task, mut request, files) = off_thread(bytes, read).await?;
    let (app, caller) = (&call.app, call.caller()?);
    // A repetition is answered by its job, whatever became of the files since.
    let job = match app.jobs.admitted_before(caller).await? {
        Some(job) => job,
        None => {
            for ((at, role), media) in used::fetch(app, caller, files).await? {
                request.inputs.insert(at, MediaInput { role, media });
            }
            app.jobs.admit(caller, task, request).await?
        }
    };
    accepted(&job)
}

/// A job just begun, and where it is.
pub(in crate::http) fn accepted(job: &Job) -> Result<Reply, ApiError> {
    let mut reply = answer::json_with(StatusCode::ACCEPTED, &JobView::from(job))?;
    let location = HeaderValue::try_from(format!("/api/v1/generations/{}", job.id));
    let location = location.map_err(|error| ApiError::bug(error.to_string()))?;
    reply.response.headers_mut().insert(LOCATION, location);
    Ok(reply)
}

/// Where a file belongs among the inputs, and its role: in their order, so that each is put where those before it are already.
type Place = (usize, String);

fn read(bytes: &[u8]) -> Result<(Task, MediaRequest, Vec<Named<Place>>), ApiError> {
    let body: Body = body::parse(bytes)?;
    let media_tasks = || Task::ALL.into_iter().filter(|task| task.is_media());
    let task = media_tasks().find(|task| task.as_str() == body.task).ok_or_else(|| {
        let words: Vec<_> = media_tasks().map(Task::as_str).collect();
        ApiError::invalid("task", format!("must be one of {}", words.join(", ")))
    })?;
    let count = body.count.unwrap_or(1);
    if !(1..=COUNT_MAX).contains(&count) {
        return Err(ApiError::invalid("count", format!("must be from 1 to {COUNT_MAX}")));
    }
    if body.inputs.len() > INPUTS_MAX {
        return Err(ApiError::invalid("inputs", format!("at most {INPUTS_MAX} inputs")));
    }
    let (mut inputs, mut files) = (Vec::with_capacity(body.inputs.len()), Vec::new());
    for (i, input) in body.inputs.into_iter().enumerate() {
        if !ROLES.contains(&input.role.as_str()) {
            return Err(ApiError::invalid(
                format!("inputs[{i}].role"),
                format!("must be one of {}", ROLES.join(", ")),
            ));
        }
        let kind = if matches!(input.role.as_str(), "video" | "audio") { Kind::Audio } else { Kind::Image };
        let param = |member: &str| format!("inputs[{i}].{member}");
        match (input.url, input.file_id) {
            (Some(url), None) => {
                let media = input::url(&param("url"), &url, kind)?;
                inputs.push(MediaInput { role: input.role, media });
            }
            (None, Some(id)) => files.push(Named::read(param("file_id"), &id, kind, (i, input.role))?),
            (None, None) => return Err(ApiError::MissingParameter { param: param("url") }),
            (Some(_), Some(_)) => return Err(ApiError::invalid(param("file_id"), "either this or `url`")),
        }
    }
    let request = MediaRequest {
        model: body.model,
        task: task.as_str().to_owned(),
        prompt: body.prompt,
        negative_prompt: body.negative_prompt,
        inputs,
        count,
        size: body.size,
        aspect_ratio: body.aspect_ratio,
        duration_ms: body.duration_ms,
        seed: body.seed,
        quality: body.quality,
        format: body.format,
        background: body.background,
        previews: 0,
        end_user: None,
        options: body.options.unwrap_or_else(empty_object),
    };
    Ok((task, request, files))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"model": "replicate/black-forest-labs/flux-schnell", "task": "image-generation",
        "prompt": "A lighthouse in a storm, oil on canvas", "aspect_ratio": "16:9"});
    Operation::new("createGeneration", Tag::Generations, "Start a generation")
        .about(
            "Admits a job and answers at once with its first state. It goes on in the background, also across a restart of the server: \
             ask for it until its `state` is `succeeded`, `failed` or `canceled`.",
        )
        .takes::<Body>(request)
        .answers::<JobView<'_>>(202, "The job, just begun.", sample("queued"))
        .header("location", "Where the job is.")
        .calls_provider()
        .refuses(&[507])
}
