use std::path::Path;

use reqwest::{Method, Response};

use crate::files::{host, upload};
use crate::host::{TestHost, json};

/// A file's content, asked for with these headers.
async fn content(host: &TestHost, method: Method, id: &str, headers: &[(&str, &str)]) -> Response {
    let request =
        host.client.request(method, host.url(&format!("/v1/files/{id}/content"))).bearer_auth(&host.key);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.expect("answered")
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// Bytes without a short period: enough for a file, too many to be kept in memory.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[tokio::test]
async fn content_is_had_whole_in_ranges_or_not_again() {
    let host = host("").await;
    for length in [1_000, 700_000] {
        let whole = bytes(length);
        let made = upload(&host, &host.key, "user_data", "a.bin", &whole).await;
        let id = made["id"].as_str().expect("an id");
        let get = async |headers: &[(&str, &str)]| content(&host, Method::GET, id, headers).await;
        let first = get(&[]).await;
        let tag = header(&first, "etag").to_owned();
        assert_eq!((first.status().as_u16(), header(&first, "accept-ranges")), (200, "bytes"));
        assert_eq!(header(&first, "cache-control"), "private, max-age=31536000, immutable");
        assert_eq!(first.bytes().await.expect("a body"), whole);

        let part = get(&[("range", "bytes=100-299")]).await;
        assert_eq!(part.status(), 206);
        assert_eq!(header(&part, "content-range"), format!("bytes 100-299/{length}"));
        assert_eq!(header(&part, "content-length"), "200");
        assert_eq!(part.bytes().await.expect("a body"), whole[100..300]);
        let tail = get(&[("range", "bytes=-5")]).await;
        assert_eq!(
            (tail.status().as_u16(), tail.bytes().await.expect("a body")),
            (206, whole[length - 5..].to_vec().into())
        );
        let rest = get(&[("range", "bytes=500-"), ("if-range", &tag)]).await;
        assert_eq!(
            (rest.status().as_u16(), rest.bytes().await.expect("a body")),
            (206, whole[500..].to_vec().into())
        );

        let behind = get(&[("range", &format!("bytes={length}-"))]).await;
        assert_eq!(header(&behind, "content-range"), format!("bytes */{length}"));
        assert_eq!(json(behind, 416).await["error"]["code"], "range_not_satisfiable");
        for headers in [
            [("range", "bytes=0-9"), ("if-range", "\"other\"")],
            [("range", "bytes=0-1,5-6"), ("accept", "*/*")],
        ] {
            let ignored = get(&headers).await;
            assert_eq!(
                (ignored.status().as_u16(), ignored.content_length()),
                (200, Some(length as u64)),
                "{headers:?}"
            );
        }

        let known = get(&[("if-none-match", &format!("\"x\", W/{tag}")), ("range", "bytes=0-9")]).await;
        assert_eq!((known.status().as_u16(), header(&known, "etag")), (304, tag.as_str()));
        assert!(known.bytes().await.expect("a body").is_empty());
        assert_eq!(get(&[("if-none-match", "\"x\"")]).await.status(), 200);
        assert_eq!(get(&[("if-match", &tag)]).await.status(), 200);
        assert_eq!(
            json(get(&[("if-match", "\"x\"")]).await, 412).await["error"]["code"],
            "precondition_failed"
        );

        let head = content(&host, Method::HEAD, id, &[("range", "bytes=0-9")]).await;
        assert_eq!(
            (head.status().as_u16(), header(&head, "content-length")),
            (200, length.to_string().as_str())
        );
        assert_eq!(header(&head, "etag"), tag);
        assert!(head.bytes().await.expect("a body").is_empty());
    }
    host.stop().await;
}

#[tokio::test]
async fn a_stored_page_or_picture_with_a_script_runs_nowhere() {
    let host = host("").await;
    for (name, page) in [
        ("a.html", "<!doctype html><html><script>alert(document.domain)</script></html>"),
        ("a.svg", "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>"),
    ] {
        let made = upload(&host, &host.key, "user_data", name, page.as_bytes()).await;
        let answer = content(&host, Method::GET, made["id"].as_str().expect("an id"), &[]).await;
        assert_eq!(header(&answer, "content-disposition"), format!("attachment; filename*=UTF-8''{name}"));
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(
            header(&answer, "content-security-policy"),
            "default-src 'none'; sandbox; frame-ancestors 'none'"
        );
        assert_eq!(header(&answer, "cross-origin-resource-policy"), "same-origin");
    }
    host.stop().await;
}

/// The blobs below a host's data folder.
fn blobs(folder: &Path) -> Vec<std::path::PathBuf> {
    let folders =
        std::fs::read_dir(folder).expect("the folder of blobs").map(|entry| entry.expect("an entry").path());
    let folders =
        folders.filter(|path| path.is_dir() && path.file_name().is_some_and(|name| name.len() == 2));
    folders
        .flat_map(|folder| {
            std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
        })
        .collect()
}

#[tokio::test]
async fn content_that_is_gone_or_changed_behind_the_hosts_back_is_a_clear_error() {
    let host = host("").await;
    let folder = host.running().app.config.storage.blobs();
    for (length, damage) in [(100, "removed"), (100, "changed"), (700_000, "removed"), (700_000, "cut")] {
        let made = upload(&host, &host.key, "user_data", "a.bin", &bytes(length)).await;
        let id = made["id"].as_str().expect("an id").to_owned();
        let files = blobs(&folder);
        let file = files
            .iter()
            .find(|file| file.metadata().expect("a file").len() == length as u64)
            .expect("its blob");
        match damage {
            "removed" => std::fs::remove_file(file).expect("removed"),
            "changed" => std::fs::write(file, vec![0; length]).expect("changed"),
            _ => std::fs::write(file, &bytes(length)[..length - 1]).expect("cut"),
        }
        let told = json(content(&host, Method::GET, &id, &[]).await, 500).await;
        assert_eq!(told["error"]["code"], "content_missing", "{length} {damage}");
        // Uploading it again mends it.
        upload(&host, &host.key, "user_data", "a.bin", &bytes(length)).await;
        assert_eq!(
            content(&host, Method::GET, &id, &[]).await.bytes().await.expect("a body"),
            bytes(length),
            "{damage}"
        );
    }
    host.stop().await;
}
