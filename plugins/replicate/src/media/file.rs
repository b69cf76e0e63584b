//! Files that go to the provider: small ones within the request, large ones uploaded before it
//! (<https://replicate.com/docs/topics/predictions/input-files>).

use crate::api::Api;
use atelier_plugin_sdk::blobs::Blob;
use atelier_plugin_sdk::http::Multipart;
use atelier_plugin_sdk::{Failure, Media, MediaSource, json};
use serde::Deserialize;

/// The provider advises to upload what is larger, in bytes.
const INLINE_BYTES_MAX: u64 = 256 * 1024;
const ANSWER_BYTES_MAX: u32 = 64 * 1024;

#[derive(Deserialize)]
struct File {
    urls: Urls,
}

#[derive(Deserialize)]
struct Urls {
    get: String,
}

/// Upload what is too large for a request; the address of each such file, in order. The provider deletes uploads after a day.
pub fn upload_large<'m>(
    api: &Api<'_>,
    media: impl Iterator<Item = &'m Media>,
) -> Result<Vec<Option<String>>, Failure> {
    media
        .map(|media| match &media.source {
            MediaSource::Blob(blob) if blob.size() > INLINE_BYTES_MAX => upload(api, media, blob).map(Some),
            _ => Ok(None),
        })
        .collect()
}

fn upload(api: &Api<'_>, media: &Media, blob: &Blob) -> Result<String, Failure> {
    let mut form = Multipart::new();
    form.blob("content", media.name.as_deref().unwrap_or("input"), blob);
    // Twice leaves a second file for a day, and costs nothing.
    let response = api.send(api.post("/files").multipart(form).idempotent())?;
    Ok(json::parse::<File>(&response.bytes(ANSWER_BYTES_MAX)?)?.urls.get)
}

/// Write a file as the address that it has or was given, or as a `data:` URL.
pub fn write<'r>(body: &mut json::Text<'r>, media: &'r Media, uploaded: Option<&str>) {
    match (&media.source, uploaded) {
        (_, Some(address)) => body.value(address),
        (MediaSource::Url(address), None) => body.value(address),
        (MediaSource::Blob(blob), None) => {
            let kind = media.content_type.clone().unwrap_or_else(|| blob.content_type());
            body.data_url(&kind, blob)
        }
    };
}
