//! Bodies by reference: large ones never enter a guest's memory.

use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::provider::Provider as _;
use atelier_runtime::Profile;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::support::{Host, collect, context, profile, question};
use crate::upstream::{Script, Upstream, response};

const BUDGET: Duration = Duration::from_secs(30);

/// Bytes without a period that chunk sizes share.
fn noise(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7_919 / 251 % 256).expect("a byte")).collect()
}

async fn upstream() -> Upstream {
    let saved = response("200 OK", "content-type: video/mp4\r\n", &noise(20 << 20));
    Upstream::start([
        ("/take", Script::Answer(response("201 Created", "", b"{}"))),
        ("/video", Script::Answer(saved)),
    ])
    .await
}

fn small() -> Profile {
    Profile { memory_bytes: 8 << 20, response_bytes: 1 << 20, ..profile() }
}

#[track_caller]
fn assert_memory_under_8_mib(text: &str) {
    let kib: usize = text
        .rsplit_once("with ")
        .and_then(|(_, rest)| rest.split(' ').next())
        .and_then(|kib| kib.parse().ok())
        .expect("the plugin tells its memory");
    assert!(kib <= 8 << 10, "{text}");
}

#[tokio::test]
async fn a_large_file_goes_out_inside_json_without_entering_the_guests_memory() {
    let upstream = upstream().await;
    let host = Host::new(small());
    let bytes = noise(20_000_000);
    let blob = Blob::in_memory("video/mp4", Bytes::from(bytes.clone()));
    let request = question("send-blob", "", vec![blob]);
    let text = collect(host.instance(&upstream.address).chat(context(BUDGET), request)).await.expect_text();
    assert!(text.starts_with("201"), "{text}");
    assert_memory_under_8_mib(&text);
    let arrived = &upstream.arrived()[0];
    assert_eq!(arrived.header("content-length"), Some(arrived.body.len().to_string().as_str()));
    let expected = format!("{{\"file\":\"{}\"}}", STANDARD.encode(&bytes));
    assert!(arrived.body == expected.as_bytes(), "the body is the file in base64, byte for byte");
}

#[tokio::test]
async fn a_large_answer_is_saved_as_a_blob_without_entering_the_guests_memory() {
    let upstream = upstream().await;
    let host = Host::new(small());
    let request = question("save", "/video", Vec::new());
    let text = collect(host.instance(&upstream.address).chat(context(BUDGET), request)).await.expect_text();
    let bytes = noise(20 << 20);
    let last = &bytes[bytes.len() - 4..];
    assert!(text.starts_with(&format!("{} bytes of video/mp4, ending in {last:?}", bytes.len())), "{text}");
    assert_memory_under_8_mib(&text);
    let blobs = host.blobs.all();
    assert_eq!(blobs.len(), 1);
    let saved = blobs[0].read(0, usize::MAX).expect("in memory");
    assert!(saved == bytes, "the blob is the answer, byte for byte");
}

#[tokio::test]
async fn a_form_arrives_part_for_part_and_byte_for_byte() {
    let upstream = upstream().await;
    let host = Host::new(small());
    let file = noise(300_001);
    let blob = Blob::in_memory("image/png", Bytes::from(file.clone()));
    let request = question("multipart", "", vec![blob]);
    let text = collect(host.instance(&upstream.address).chat(context(BUDGET), request)).await.expect_text();
    assert_eq!(text, "201");
    let arrived = &upstream.arrived()[0];
    let content_type = arrived.header("content-type").expect("a form has a type");
    let boundary =
        content_type.strip_prefix("multipart/form-data; boundary=").expect("a form with a boundary");
    let mut expected = Vec::new();
    for (head, content) in [
        ("content-disposition: form-data; name=\"prompt\"", b"a \"quoted\"\r\nprompt".as_slice()),
        (
            "content-disposition: form-data; name=\"data\"; filename=\"da%22ta%0D%0A.bin\"\r\n\
             content-type: application/octet-stream",
            b"\0\r\n--",
        ),
        (
            "content-disposition: form-data; name=\"file\"; filename=\"picture.png\"\r\ncontent-type: image/png",
            &file,
        ),
    ] {
        expected.extend_from_slice(format!("--{boundary}\r\n{head}\r\n\r\n").as_bytes());
        expected.extend_from_slice(content);
        expected.extend_from_slice(b"\r\n");
    }
    expected.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    assert!(
        arrived.body == expected,
        "{}",
        String::from_utf8_lossy(&arrived.body[..500.min(arrived.body.len())])
    );
    assert_eq!(arrived.header("content-length"), Some(expected.len().to_string().as_str()));
}
