//! Forms (RFC 7578), as far as they tell one request from another: fields that are no files.

use std::collections::BTreeMap;

use http::HeaderMap;
use http::header::CONTENT_TYPE;

/// A longer field is content, and tells nothing apart.
const FIELD_BYTES_MAX: usize = 1024;

/// The fields of a form; values of one name are joined by commas. None if the body is no form.
pub(super) fn fields(headers: &HeaderMap, body: &[u8]) -> BTreeMap<String, String> {
    let mut fields: BTreeMap<String, String> = BTreeMap::new();
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Some((_, boundary)) = kind.split_once("boundary=") else { return fields };
    let boundary = format!("--{}", boundary.trim_matches('"'));
    let mut rest = body;
    while let Some(at) = find(rest, boundary.as_bytes()) {
        let part = &rest[..at];
        rest = &rest[at + boundary.len()..];
        let Some(end) = find(part, b"\r\n\r\n") else { continue };
        let (head, value) = (String::from_utf8_lossy(&part[..end]), &part[end + 4..]);
        let value = value.strip_suffix(b"\r\n").unwrap_or(value);
        let name = head.split("name=\"").nth(1).and_then(|rest| rest.split('"').next());
        let (Some(name), Ok(value)) = (name, std::str::from_utf8(value)) else { continue };
        if head.contains("filename=") || value.len() > FIELD_BYTES_MAX {
            continue;
        }
        fields
            .entry(name.to_owned())
            .and_modify(|known| known.push_str(&format!(",{value}")))
            .or_insert_with(|| value.to_owned());
    }
    fields
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn fields_are_read_and_files_are_not() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=xyz"));
        let body = "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n\
                    --xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\r\n\
                    --xyz\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n1\r\n\
                    --xyz\r\nContent-Disposition: form-data; name=\"t\"\r\n\r\n2\r\n--xyz--\r\n";
        let fields = fields(&headers, body.as_bytes());
        let expected = [("model", "whisper-1"), ("t", "1,2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(fields, BTreeMap::from(expected));
        assert!(super::fields(&HeaderMap::new(), body.as_bytes()).is_empty());
    }
}
