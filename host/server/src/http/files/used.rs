//! Files of the caller's as parts of other requests.

use atelier_domain::blob::Blob;
use atelier_domain::generation::chat::{Message, Part};
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::id::FileId;
use atelier_service::caller::Caller;
use bytes::Bytes;

use crate::app::App;
use crate::http::input::Kind;
use crate::http::{ApiError, prefix};

/// Bytes of the files that one request names, as in OpenAI's API.
const BYTES_MAX: u64 = 50 << 20;
/// Files that one request names.
const FILES_MAX: usize = 32;

/// A file that a request names, and where.
#[derive(Debug)]
pub(in crate::http) struct Named<P> {
    /// The member that names it.
    pub param: String,
    pub id: FileId,
    pub kind: Kind,
    /// Where it belongs in the domain's request.
    pub place: P,
}

impl<P> Named<P> {
    /// Reads a file's id.
    ///
    /// # Errors
    /// A malformed one names nothing that there is.
    pub(in crate::http) fn read(param: String, id: &str, kind: Kind, place: P) -> Result<Self, ApiError> {
        let id = prefix::read(prefix::FILE, id, "such file")?;
        Ok(Self { param, id, kind, place })
    }
}

/// A part of a message, by the message's place and its own.
pub(in crate::http) type MessagePart = (usize, usize);

/// What stands in a message until its file is put there.
pub(in crate::http) fn stand_in() -> Media {
    Media::new(MediaSource::Blob(Blob::in_memory("", Bytes::new())), None)
}

/// Puts files where messages have stand-ins for them, which keep how they are to be looked at.
///
/// # Errors
/// As [`fetch`].
pub(in crate::http) async fn into_messages(
    app: &App,
    caller: &Caller,
    named: Vec<Named<MessagePart>>,
    messages: &mut [Message],
) -> Result<(), ApiError> {
    for ((message, part), media) in fetch(app, caller, named).await? {
        let place = &mut messages[message].parts[part];
        *place = match place {
            Part::Image(stand_in) => {
                Part::Image(Media { attributes: std::mem::take(&mut stand_in.attributes), ..media })
            }
            _ => Part::File(media),
        };
    }
    Ok(())
}

/// The files that a request names, each with its place.
///
/// # Errors
/// One is not the caller's, of another kind than its place takes, or they are too many or too large together.
pub(in crate::http) async fn fetch<P>(
    app: &App,
    caller: &Caller,
    named: Vec<Named<P>>,
) -> Result<Vec<(P, Media)>, ApiError> {
    if named.len() > FILES_MAX {
        return Err(ApiError::invalid("file_id", format!("at most {FILES_MAX} files in one request")));
    }
    let mut found = Vec::with_capacity(named.len());
    let mut bytes = 0;
    for Named { param, id, kind, place } in named {
        let file = app.files.get(caller, id).await?;
        if !kind.takes(&file.content_type) {
            let message = format!("the file is {}, not {}", file.content_type, kind.word());
            return Err(ApiError::invalid(param, message));
        }
        bytes += file.size;
        if bytes > BYTES_MAX {
            return Err(ApiError::invalid(
                param,
                format!("the files have more than {BYTES_MAX} bytes together"),
            ));
        }
        let blob = app.files.open(&file).await?;
        let media = Media::new(MediaSource::Blob(blob), Some(file.content_type));
        found.push((place, Media { name: Some(file.name), ..media }));
    }
    Ok(found)
}
