//! A link as its owner sees it.

use atelier_domain::link::{Artifact, Link, LinkKind};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::files::file_id;
use crate::http::openapi::{id, words};
use crate::http::prefix;

#[derive(Serialize, ToSchema)]
#[schema(as = Link)]
pub(in crate::http) struct LinkView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(inline, value_type = KindWord)]
    kind: &'static str,
    /// What to hand on: whoever has it needs no key. For a `share` a page for people, for a `download` the bytes. Below the server's
    /// `public_url`, or a path where none is configured.
    url: String,
    /// Where the bytes are.
    content_url: String,
    /// The file that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = file_id)]
    file_id: Option<String>,
    /// The generation that it leads to an output of.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = id)]
    generation: Option<String>,
    /// The output's place, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<u32>,
    #[schema(required)]
    title: Option<&'a str>,
    #[schema(format = DateTime)]
    created: String,
    #[schema(format = DateTime)]
    expires: String,
}

words! {
    KindWord: "download" | "share";
}

/// A link, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "kind": "share", "url": "https://atelier.example.com/shares/AZqww…",
        "content_url": "https://atelier.example.com/links/AZqww…", "generation": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "output": 0,
        "title": "A lighthouse", "created": "2026-11-22T00:00:00.000Z", "expires": "2026-11-29T00:00:00.000Z"})
}

impl<'a> LinkView<'a> {
    pub(in crate::http) fn new(app: &App, link: &'a Link) -> Self {
        let base = app.config.server.public_url.as_deref().unwrap_or_default();
        let token = app.links.token(link);
        let content_url = format!("{base}/links/{token}");
        let (file_id, generation, output) = match link.artifact {
            Artifact::File(id) => (Some(prefix::of(prefix::FILE, &id.simple())), None, None),
            Artifact::Output { job, index } => (None, Some(job.to_string()), Some(index)),
        };
        Self {
            id: link.id.to_string(),
            kind: link.kind.as_str(),
            url: match link.kind {
                LinkKind::Download => content_url.clone(),
                LinkKind::Share => format!("{base}/shares/{token}"),
            },
            content_url,
            file_id,
            generation,
            output,
            title: link.title.as_deref(),
            created: link.created.rfc3339(),
            expires: link.expires.rfc3339(),
        }
    }
}
