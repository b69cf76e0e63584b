//! A prediction's output: a value of any form, in which addresses stand for files.

use atelier_plugin_sdk::job::{MediaOutput, Output, OutputSource};
use atelier_plugin_sdk::{Failure, Other, Pair, base64, blob, json, pair};
use serde_json::Value;
use serde_json::value::RawValue;

/// The most files of one prediction.
const FILES_MAX: usize = 256;
/// The largest file that stands in the document itself, in bytes.
const INLINE_BYTES_MAX: usize = 12 * 1024 * 1024;

/// The outputs that a value stands for.
pub fn outputs(output: &RawValue) -> Result<Vec<Output>, Failure> {
    let value: Value = json::parse_text(output.get())?;
    let mut files = Vec::new();
    find_files(&value, None, &mut files)?;
    let mut outputs = Vec::with_capacity(files.len() + 1);
    for (name, address) in &files {
        outputs.push(Output::Media(media(address, name.as_deref())?));
    }
    match value {
        Value::String(text) if files.is_empty() => outputs.push(Output::Text(text)),
        // Language models give their tokens as a list.
        Value::Array(items) if files.is_empty() && items.iter().all(Value::is_string) => {
            outputs.push(Output::Text(items.iter().filter_map(Value::as_str).collect()));
        }
        Value::String(_) | Value::Null => {}
        Value::Array(items) if items.len() == files.len() => {}
        // There is more to it than its files.
        _ => outputs.push(Output::Other(Other {
            kind: "replicate.output".to_owned(),
            json: output.get().to_owned(),
        })),
    }
    Ok(outputs)
}

/// The addresses within a value, each with the name of the member that it belongs to.
fn find_files<'v>(
    value: &'v Value,
    name: Option<&str>,
    files: &mut Vec<(Option<String>, &'v str)>,
) -> Result<(), Failure> {
    match value {
        Value::String(text) if is_address(text) => {
            if files.len() >= FILES_MAX {
                return Err(Failure::bad_response("the provider made more files than a job may have"));
            }
            files.push((name.map(str::to_owned), text));
        }
        Value::Array(items) => {
            for item in items {
                find_files(item, name, files)?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                find_files(member, Some(name), files)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn is_address(text: &str) -> bool {
    let is_link = text.starts_with("https://") || text.starts_with("http://");
    (is_link && !text.contains(char::is_whitespace)) || text.starts_with("data:")
}

fn media(address: &str, name: Option<&str>) -> Result<MediaOutput, Failure> {
    let (source, content_type) = match address.strip_prefix("data:") {
        Some(rest) => {
            let (content_type, bytes) = inline(rest)?;
            (OutputSource::Blob(blob::keep(&content_type, &bytes)?), Some(content_type))
        }
        None => (OutputSource::Remote(address.to_owned()), content_type(address).map(str::to_owned)),
    };
    let attributes: Vec<Pair> = name.map(|name| pair("name", name)).into_iter().collect();
    Ok(MediaOutput { source, content_type, revised_prompt: None, seed: None, attributes })
}

/// Type and bytes of a `data:` URL (RFC 2397) in base64, without its scheme.
fn inline(rest: &str) -> Result<(String, Vec<u8>), Failure> {
    let malformed = || Failure::bad_response("the provider sent a file in a form that is not base64");
    let (head, data) = rest.split_once(',').ok_or_else(malformed)?;
    let content_type = head.strip_suffix(";base64").ok_or_else(malformed)?;
    let content_type = if content_type.is_empty() { "application/octet-stream" } else { content_type };
    Ok((content_type.to_owned(), base64::decode(data, INLINE_BYTES_MAX)?))
}

/// The media type that an address's extension stands for.
fn content_type(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next()?;
    let (_, extension) = path.rsplit('/').next()?.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "gif" => "image/gif",
        "avif" => "image/avif",
        "svg" => "image/svg+xml",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "flac" => "audio/flac",
        "ogg" | "opus" => "audio/ogg",
        "m4a" => "audio/mp4",
        "glb" => "model/gltf-binary",
        "txt" => "text/plain",
        "json" => "application/json",
        "zip" => "application/zip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(json: &str) -> Vec<String> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let show = |output: Output| match output {
            Output::Media(media) => {
                let OutputSource::Remote(url) = media.source else { panic!("a link was expected") };
                let names =
                    media.attributes.iter().map(|pair| format!(" {}", pair.value)).collect::<String>();
                format!("{url} {}{names}", media.content_type.unwrap_or_default())
            }
            Output::Text(text) => format!("text {text}"),
            Output::Other(other) => format!("{} {}", other.kind, other.json),
            Output::Model(model) => format!("model {model}"),
        };
        outputs(raw).unwrap().into_iter().map(show).collect()
    }

    #[test]
    fn links_are_files_wherever_they_stand() {
        assert_eq!(
            told(r#""https://replicate.delivery/a/out.PNG""#),
            ["https://replicate.delivery/a/out.PNG image/png"]
        );
        assert_eq!(
            told(r#"["https://x.replicate.delivery/1.webp?e=1","https://x.replicate.delivery/2"]"#),
            ["https://x.replicate.delivery/1.webp?e=1 image/webp", "https://x.replicate.delivery/2 "]
        );
        let object = r#"{"audio":"https://replicate.delivery/a.mp3","seed":7}"#;
        assert_eq!(
            told(object),
            [
                "https://replicate.delivery/a.mp3 audio/mpeg audio".to_owned(),
                format!("replicate.output {object}")
            ]
        );
    }

    #[test]
    fn texts_and_tokens_are_one_text() {
        assert_eq!(told(r#""a cat""#), ["text a cat"]);
        assert_eq!(told(r#"["a"," ","cat"]"#), ["text a cat"]);
        assert_eq!(told(r#""see https://x.example for more""#), ["text see https://x.example for more"]);
    }

    #[test]
    fn other_values_are_passed_on_as_they_are() {
        assert_eq!(told("[1,2]"), ["replicate.output [1,2]"]);
        assert_eq!(told("true"), ["replicate.output true"]);
    }

    #[test]
    fn files_in_the_document_are_decoded_within_bounds() {
        assert_eq!(inline("image/png;base64,AQID").unwrap(), ("image/png".to_owned(), vec![1, 2, 3]));
        assert_eq!(inline(";base64,").unwrap().0, "application/octet-stream");
        for text in ["image/png,abc", "image/png;base64", "image/png;base64,*"] {
            assert_eq!(inline(text).unwrap_err().code, "bad-response", "{text}");
        }
    }

    #[test]
    fn the_number_of_files_is_bounded() {
        let many = format!("[{}\"https://x.example/1\"]", "\"https://x.example/1\",".repeat(FILES_MAX));
        let raw: &RawValue = serde_json::from_str(&many).unwrap();
        assert_eq!(outputs(raw).err().unwrap().code, "bad-response");
    }
}
