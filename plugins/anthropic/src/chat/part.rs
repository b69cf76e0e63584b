//! The content blocks that go to the provider.

use atelier_plugin_sdk::blobs::Blob;
use atelier_plugin_sdk::chat::{Part, ToolCall, ToolContent, ToolResult};
use atelier_plugin_sdk::{Failure, Media, MediaSource, Other, json};

/// The largest text document, in bytes: it has to pass through this plugin.
const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// As much of a document as one host call brings.
const READ_BYTES_MAX: u32 = 256 * 1024;

/// Whether a part stands for a block. The API takes no empty texts, and no thinking without its proof of origin.
pub fn is_said(part: &Part) -> bool {
    match part {
        Part::Text(text) | Part::Refusal(text) => !text.is_empty(),
        Part::Thinking(thinking) => thinking.signature.is_some(),
        _ => true,
    }
}

/// Write a part as a block.
pub fn write<'r>(body: &mut json::Text<'r>, part: &'r Part) -> Result<(), Failure> {
    match part {
        Part::Text(text) | Part::Refusal(text) => {
            body.begin_object().field("type", "text").field("text", text).end_object();
        }
        Part::Thinking(thinking) => {
            body.begin_object().field("type", "thinking").field("thinking", &thinking.text);
            body.optional("signature", thinking.signature.as_ref()).end_object();
        }
        Part::Image(media) => write_image(body, media),
        Part::File(media) => write_document(body, media)?,
        Part::ToolCall(call) => write_call(body, call)?,
        Part::ToolResult(result) => write_result(body, result)?,
        Part::Audio(_) => return Err(Failure::unsupported("this provider takes no sound")),
        Part::Other(other) => write_other(body, other)?,
    }
    Ok(())
}

fn write_source<'b, 'r>(body: &'b mut json::Text<'r>, media: &'r Media) -> &'b mut json::Text<'r> {
    body.begin_object();
    match &media.source {
        MediaSource::Url(url) => body.field("type", "url").field("url", url),
        MediaSource::Blob(blob) => {
            let kind = content_type(media, blob);
            body.field("type", "base64").field("media_type", &kind).key("data").base64(blob)
        }
    };
    body.end_object()
}

/// The media type found by content, or the blob's own, without parameters.
fn content_type(media: &Media, blob: &Blob) -> String {
    let kind = media.content_type.clone().unwrap_or_else(|| blob.content_type());
    kind.split(';').next().unwrap_or_default().trim().to_owned()
}

/// A document: PDF as it is, any text as text (<https://platform.claude.com/docs/en/build-with-claude/pdf-support>).
fn write_document<'r>(body: &mut json::Text<'r>, media: &'r Media) -> Result<(), Failure> {
    let text = match &media.source {
        MediaSource::Url(_) => None,
        MediaSource::Blob(blob) => {
            let kind = content_type(media, blob);
            match kind.as_str() {
                "application/pdf" => None,
                "application/json" => Some(text_of(blob)?),
                kind if kind.starts_with("text/") => Some(text_of(blob)?),
                kind => {
                    let message = ["this provider takes PDF and text documents, not ", kind].concat();
                    return Err(Failure::unsupported(message));
                }
            }
        }
    };
    body.begin_object().field("type", "document").key("source");
    match text {
        None => write_source(body, media),
        Some(text) => {
            body.begin_object().field("type", "text").field("media_type", "text/plain");
            body.field("data", &text).end_object()
        }
    };
    body.optional("title", media.name.as_ref()).end_object();
    Ok(())
}

fn text_of(blob: &Blob) -> Result<String, Failure> {
    if blob.size() > DOCUMENT_BYTES_MAX {
        let message = "a text document may have 4 MiB at this provider: make it shorter";
        return Err(Failure::new(atelier_plugin_sdk::failure::code::TOO_LARGE, message));
    }
    let mut bytes = Vec::with_capacity(blob.size() as usize);
    loop {
        let piece = blob.read(bytes.len() as u64, READ_BYTES_MAX)?;
        if piece.is_empty() {
            break;
        }
        bytes.extend_from_slice(&piece);
    }
    String::from_utf8(bytes).map_err(|_| {
        Failure::new(atelier_plugin_sdk::failure::code::INVALID_REQUEST, "a text document must be UTF-8")
    })
}

fn write_call(body: &mut json::Text<'_>, call: &ToolCall) -> Result<(), Failure> {
    let arguments = match call.arguments.trim() {
        "" => "{}",
        arguments => arguments,
    };
    if json::members(arguments).is_none() {
        let message = "the arguments of a tool call must be a JSON object at this provider";
        return Err(Failure::invalid("arguments", message));
    }
    body.begin_object().field("type", "tool_use").field("id", &call.id).field("name", &call.name);
    body.key("input").raw(arguments).end_object();
    Ok(())
}

fn write_result<'r>(body: &mut json::Text<'r>, result: &'r ToolResult) -> Result<(), Failure> {
    body.begin_object().field("type", "tool_result").field("tool_use_id", &result.tool_call_id);
    body.key("content");
    match result.content.as_slice() {
        [] => body.value(""),
        [ToolContent::Text(text)] => body.value(text),
        pieces => {
            body.begin_array();
            for (index, piece) in pieces.iter().enumerate() {
                let path = |failure: Failure| failure.with_param(["content.", &index.to_string()].concat());
                write_tool_content(body, piece).map_err(path)?;
            }
            body.end_array()
        }
    };
    if result.is_error {
        body.field("is_error", &true);
    }
    body.end_object();
    Ok(())
}

fn write_tool_content<'r>(body: &mut json::Text<'r>, content: &'r ToolContent) -> Result<(), Failure> {
    match content {
        ToolContent::Text(text) => {
            body.begin_object().field("type", "text").field("text", text).end_object();
            Ok(())
        }
        ToolContent::Image(media) => {
            write_image(body, media);
            Ok(())
        }
        ToolContent::File(media) => write_document(body, media),
        ToolContent::Other(other) => write_other(body, other),
    }
}

fn write_image<'r>(body: &mut json::Text<'r>, media: &'r Media) {
    body.begin_object().field("type", "image").key("source");
    write_source(body, media).end_object();
}

/// A block in the shape of this API.
fn write_other<'r>(body: &mut json::Text<'r>, other: &'r Other) -> Result<(), Failure> {
    if !other.kind.starts_with("anthropic.") {
        let message = ["there is no content of the kind ", &other.kind, " at this provider"].concat();
        return Err(Failure::unsupported(message));
    }
    body.raw(&other.json);
    Ok(())
}
