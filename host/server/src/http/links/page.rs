//! `GET /shares/{token}`: the page of a shared artifact. It runs no script, and loads its one style sheet and the artifact from here.

use std::fmt::Write as _;

use atelier_domain::link::LinkKind;
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue};
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::follow::target;
use crate::http::content::is_harmless;
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'",
);
const STYLE: &str = include_str!("page.css");

/// Shows a shared artifact.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let target = target(&mut call).await?;
    if target.link.kind != LinkKind::Share {
        return Err(ApiError::NoSuchRoute);
    }
    let token = call.app.links.token(&target.link);
    let title = target.link.title.as_deref().or(target.name.as_deref()).unwrap_or("Shared with you");
    let page =
        page(title, &token, &target.blob.content_type, target.blob.size, &target.link.expires.rfc3339());
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response: Response = answer::bytes(StatusCode::OK, html, page.into());
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, POLICY);
    response
        .headers_mut()
        .insert(HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex, nofollow"));
    Ok(response.into())
}

/// The page's style sheet.
pub(in crate::http) async fn style(_: Call) -> Result<Reply, ApiError> {
    let css = HeaderValue::from_static("text/css; charset=utf-8");
    let mut response = answer::bytes(StatusCode::OK, css, Bytes::from_static(STYLE.as_bytes()));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    Ok(response.into())
}

fn page(title: &str, token: &str, content_type: &str, size: u64, expires: &str) -> String {
    let (title, kind) = (escaped(title), escaped(content_type));
    // From where the page is, wherever that is: a `public_url` may have a path.
    let address = format!("../links/{token}");
    let shown = match content_type.split('/').next() {
        _ if !is_harmless(content_type) => String::new(),
        Some("image") => format!("<img src=\"{address}\" alt=\"{title}\">"),
        Some("audio") => format!("<audio src=\"{address}\" controls preload=\"metadata\"></audio>"),
        Some("video") => format!("<video src=\"{address}\" controls preload=\"metadata\"></video>"),
        _ => String::new(),
    };
    let day = expires.split('T').next().unwrap_or_default();
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"robots\" content=\"noindex, nofollow\">\n<title>{title}</title>\n\
         <link rel=\"stylesheet\" href=\"page.css\">\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n{shown}\n\
         <p><a href=\"{address}\" download>Download</a> ({kind}, {size} bytes)</p>\n\
         <p>Shared until <time datetime=\"{expires}\">{day}</time>.</p>\n</main>\n</body>\n</html>\n"
    )
}

/// A text that means only itself, in HTML and in its attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' | '<' | '>' | '"' | '\'' => {
                // Writing to a string cannot fail.
                let _ = write!(safe, "&#{};", u32::from(character));
            }
            other => safe.push(other),
        }
    }
    safe
}

/// What the reference says of the page.
pub(in crate::http) fn describe() -> Operation {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    Operation::new("getSharePage", Tag::Links, "Open a share")
        .about("A page that shows the artifact of a `share`. It needs no key and runs no script.")
        .path("token", text(), "As the link has it.")
        .empty(200, "The page.")
        .or("text/html", text())
        .refuses(&[404, 429, 500, 503])
}

/// What the reference says of its style sheet.
pub(in crate::http) fn describe_style() -> Operation {
    let text = ObjectBuilder::new().schema_type(Type::String);
    Operation::new("getShareStyle", Tag::Links, "Get the style of shares")
        .empty(200, "The style sheet of the pages of shares.")
        .or("text/css", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_text_and_never_markup() {
        let page = page("<script>alert('x')</script>\"&", "T", "image/png", 1, "2026-11-22T00:00:00.000Z");
        assert!(!page.contains("<script") && !page.contains("alert('"), "{page}");
        assert!(page.contains("&#60;script&#62;alert(&#39;x&#39;)&#60;/script&#62;&#34;&#38;"), "{page}");
    }

    #[test]
    fn only_harmless_media_are_shown() {
        let shown = |content_type| page("t", "T", content_type, 1, "2026-11-22T00:00:00.000Z");
        assert!(shown("image/png").contains("<img src=\"../links/T\""));
        assert!(shown("video/mp4").contains("<video "));
        for other in ["image/svg+xml", "text/html", "application/pdf"] {
            let page = shown(other);
            assert!(!page.contains("<img") && page.contains("<a href=\"../links/T\" download>"), "{other}");
        }
    }
}
