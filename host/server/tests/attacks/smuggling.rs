//! Requests that a proxy in front could read as other ones than this server does.

use crate::host::TestHost;
use crate::wire::{answers, said_to, status};

/// What is to be taken for a second request.
const SECOND: &str = "GET /v1/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";

/// What one request on a connection, with another hidden in it, is answered with.
async fn told(host: &TestHost, head: &str, body: &str) -> String {
    let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n{head}\r\n{body}");
    let told = said_to(host.running().address, request.as_bytes()).await;
    assert!(!told.contains("unknown_url"), "the hidden request was answered: {head:?}: {told}");
    assert_eq!(answers(&told), 1, "{head:?}: {told}");
    told
}

#[tokio::test]
async fn a_request_with_a_length_and_chunks_hides_no_second_one() {
    let host = TestHost::start().await;
    let body = format!("0\r\n\r\n{SECOND}");
    let length = format!("content-length: {}\r\n", body.len());
    for head in [
        format!("{length}transfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\n{length}"),
        "content-length: 4\r\nTransfer-Encoding: chunked\r\ncontent-length: 0\r\n".to_owned(),
    ] {
        // The connection ends with the one answer (RFC 9112 §6.3): what follows is nobody's.
        assert_eq!(status(&told(&host, &head, &body).await), 401);
    }
    host.stop().await;
}

#[tokio::test]
async fn two_lengths_or_one_that_is_no_number_are_refused() {
    let host = TestHost::start().await;
    for head in [
        "content-length: 0\r\ncontent-length: 38\r\n",
        "content-length: 38\r\ncontent-length: 0\r\n",
        "content-length: 0, 38\r\n",
        "content-length: 38, 38\r\n",
        "content-length: +38\r\n",
        "content-length: -1\r\n",
        "content-length: 0x26\r\n",
        "content-length: 3 8\r\n",
        "content-length: 99999999999999999999\r\n",
        "content-length:\r\n",
    ] {
        assert_eq!(status(&told(&host, head, SECOND).await), 400, "{head}");
    }
    host.stop().await;
}

#[tokio::test]
async fn an_encoding_whose_last_is_not_chunked_is_refused() {
    let host = TestHost::start().await;
    let body = format!("0\r\n\r\n{SECOND}");
    for head in [
        "transfer-encoding: identity\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: \"chunked\"\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: identity\r\n",
        "transfer-encoding: chunked;q=1\r\n",
    ] {
        assert_eq!(status(&told(&host, head, &body).await), 400, "{head}");
    }
    let old =
        format!("POST /v1/chat/completions HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let told = said_to(host.running().address, old.as_bytes()).await;
    assert_eq!((status(&told), answers(&told)), (400, 1), "{told}");
    host.stop().await;
}

#[tokio::test]
async fn a_folded_or_malformed_header_is_refused() {
    let host = TestHost::start().await;
    for head in [
        // A line that goes on (obs-fold, RFC 9112 §5.2).
        "x-a: b\r\n content-length: 38\r\n",
        "transfer-encoding:\r\n chunked\r\n",
        "x-a: b\r\n\tchunked\r\n",
        // A space between name and colon (RFC 9112 §5.1).
        "content-length : 38\r\n",
        "transfer-encoding\t: chunked\r\n",
        " content-length: 38\r\n",
        // No colon, no name, and bytes that end no line.
        "content-length\r\n",
        ": 38\r\n",
        "x-a: b\rcontent-length: 38\r\n",
        "x-a: b\0c\r\n",
        "x a: b\r\n",
    ] {
        assert_eq!(status(&told(&host, head, SECOND).await), 400, "{head:?}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_bare_line_feed_among_chunks_is_refused() {
    let host = TestHost::start().await;
    let authorization = format!("authorization: Bearer {}\r\ncontent-type: application/json\r\n", host.key);
    let head = format!("{authorization}transfer-encoding: chunked\r\n");
    for body in [
        format!("0\n\r\n{SECOND}"),
        format!("2;x=\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("2\r\n{{}}\n0\r\n\r\n{SECOND}"),
        format!("2\r\n{{}}X\r\n0\r\n\r\n{SECOND}"),
        format!("-2\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("0x2\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
        format!("fffffffffffffffff\r\n{{}}\r\n0\r\n\r\n{SECOND}"),
    ] {
        let told = told(&host, &head, &body).await;
        assert_eq!(status(&told), 400, "{body:?}: {told}");
    }
    host.stop().await;
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_and_hides_no_header_in_another_s_value() {
    let host = TestHost::start().await;
    // A recipient may take it for the end of a line (RFC 9112 §2.2). Then what stands behind it is a header, with all that follows from it.
    let head = "x-a: b\ncontent-length: 38\ntransfer-encoding: chunked\r\n";
    let told = told(&host, head, &format!("0\r\n\r\n{SECOND}")).await;
    assert_eq!(status(&told), 401);
    host.stop().await;
}

#[tokio::test]
async fn a_body_that_was_refused_is_not_read_as_the_next_request() {
    let host = TestHost::start().await;
    // Longer than this route takes, so that nobody reads it; it would be a good request.
    let filler = SECOND.repeat(40_000);
    let request = format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        host.key,
        filler.len()
    );
    let told = said_to(host.running().address, (request + &filler[..64 * 1024]).as_bytes()).await;
    assert_eq!((status(&told), answers(&told)), (413, 1), "{told}");
    host.stop().await;
}
