//! What makes two requests the same one.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::http::ApiError;

/// Hashing more would hold up an async thread.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Digest of a request's method, path and query, kind of content and body.
pub(in crate::http) async fn digest(parts: &Parts, body: Bytes) -> Result<String, ApiError> {
    let mut hasher = blake3::Hasher::new_derive_key("atelier 2026-11 idempotency payload v1");
    let content_type = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    for part in [parts.method.as_str(), path, &kind] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    // Each attempt at sending a form makes up a boundary of its own.
    let boundary = multer::parse_boundary(content_type).ok().map(|boundary| format!("--{boundary}"));
    let size = body.len();
    let finish = move || {
        match boundary {
            None => {
                hasher.update(&body);
            }
            Some(boundary) => without(&boundary, &body, &mut hasher),
        }
        hasher.finalize().to_hex().to_string()
    };
    if size <= INLINE_BYTES_MAX {
        return Ok(finish());
    }
    let hashed = tokio::task::spawn_blocking(finish).await;
    hashed.map_err(|error| ApiError::bug(format!("hashing a body stopped unexpectedly: {error}")))
}

/// A form's bytes with a mark in place of its boundary, which no part contains (RFC 2046, section 5.1.1).
fn without(boundary: &str, body: &[u8], hasher: &mut blake3::Hasher) {
    let mut from = 0;
    for at in memchr::memmem::find_iter(body, boundary.as_bytes()) {
        hasher.update(&((at - from) as u64).to_be_bytes());
        hasher.update(&body[from..at]);
        from = at + boundary.len();
    }
    hasher.update(&((body.len() - from) as u64).to_be_bytes());
    hasher.update(&body[from..]);
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    async fn of(path: &str, content_type: &str, body: &str) -> String {
        let request = Request::post(path).header("content-type", content_type).body(()).expect("a request");
        digest(&request.into_parts().0, Bytes::copy_from_slice(body.as_bytes())).await.expect("hashed")
    }

    fn form(boundary: &str, prompt: &str) -> String {
        format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"prompt\"\r\n\r\n{prompt}\r\n--{boundary}--\r\n"
        )
    }

    #[tokio::test]
    async fn path_query_kind_and_body_make_a_request() {
        let first = of("/v1/a", "application/json", "{}").await;
        assert_eq!(first, of("/v1/a", "application/json; charset=utf-8", "{}").await);
        for (path, kind, body) in [
            ("/v1/b", "application/json", "{}"),
            ("/v1/a?x=1", "application/json", "{}"),
            ("/v1/a", "text/plain", "{}"),
            ("/v1/a", "application/json", "{ }"),
        ] {
            assert_ne!(first, of(path, kind, body).await, "{path} {kind} {body}");
        }
        let large = "x".repeat(INLINE_BYTES_MAX + 1);
        assert_eq!(of("/a", "text/plain", &large).await, of("/a", "text/plain", &large).await);
    }

    #[tokio::test]
    async fn a_form_sent_again_is_the_same_whatever_its_boundary() {
        let sent = |boundary: &'static str, prompt: &'static str| async move {
            of("/v1/a", &format!("multipart/form-data; boundary={boundary}"), &form(boundary, prompt)).await
        };
        assert_eq!(sent("one", "a cat").await, sent("another", "a cat").await);
        assert_ne!(sent("one", "a cat").await, sent("one", "a dog").await);
        assert_ne!(
            sent("one", "a cat").await,
            of("/v1/a", "multipart/form-data", &form("one", "a cat")).await
        );
    }
}
