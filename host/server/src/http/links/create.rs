//! `POST /api/v1/links`.

use std::time::Duration;

use atelier_domain::id::{FileId, JobId};
use atelier_domain::link::{Artifact, LinkKind};
use atelier_service::links::NewLink;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{KindWord, LinkView, sample};
use crate::http::files::optional_file_id;
use crate::http::openapi::{Operation, Tag, optional_id};
use crate::http::query::parsed;
use crate::http::{ApiError, Call, Reply, answer, body, prefix};

/// How long links last that do not say.
const DOWNLOAD_SECONDS: u64 = 3_600;
const SHARE_SECONDS: u64 = 7 * 86_400;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLink)]
struct Body {
    /// A file of yours; or `generation`.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
    /// A generation of yours, of which `output` is meant.
    #[schema(schema_with = optional_id)]
    generation: Option<String>,
    /// The output's place, from 0, which is meant if it is not sent.
    output: Option<u32>,
    /// `share`: a page for people; `download`, if it is not sent: the bytes alone.
    #[schema(inline, value_type = Option<KindWord>)]
    kind: Option<String>,
    /// What the page is headed with.
    #[schema(max_length = 200)]
    title: Option<String>,
    /// An hour for a `download`, seven days for a `share` if it is not sent.
    #[schema(minimum = 1, maximum = 31_536_000)]
    expires_in_seconds: Option<u64>,
}

/// Makes a link to one of the caller's artifacts.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let new = wanted(body::parse(&bytes)?)?;
    let link = call.app.links.create(call.caller()?, new).await?;
    answer::json_with(StatusCode::CREATED, &LinkView::new(&call.app, &link))
}

fn wanted(body: Body) -> Result<NewLink, ApiError> {
    let artifact = match (body.file_id, body.generation, body.output) {
        (Some(file), None, None) => Artifact::File(prefix::read::<FileId>(prefix::FILE, &file, "such file")?),
        (None, Some(job), index) => {
            Artifact::Output { job: parsed::<JobId>("generation", &job)?, index: index.unwrap_or(0) }
        }
        (None, None, _) => return Err(ApiError::MissingParameter { param: "file_id".to_owned() }),
        (Some(_), ..) => {
            return Err(ApiError::invalid("file_id", "either a file or an output of a generation"));
        }
    };
    let (kind, usual) = match body.kind.as_deref() {
        None | Some("download") => (LinkKind::Download, DOWNLOAD_SECONDS),
        Some("share") => (LinkKind::Share, SHARE_SECONDS),
        Some(_) => return Err(ApiError::invalid("kind", "must be \"download\" or \"share\"")),
    };
    let lasts = Duration::from_secs(body.expires_in_seconds.unwrap_or(usual));
    Ok(NewLink { artifact, kind, title: body.title, lasts })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("createLink", Tag::Links, "Make a link")
        .about("Whoever has the link's address can get the artifact without a key, until the link expires or is revoked.")
        .takes::<Body>(json!({"generation": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "output": 0, "kind": "share", "title": "A lighthouse"}))
        .answers::<LinkView<'_>>(201, "The link.", sample())
        .refuses(&[404])
}
