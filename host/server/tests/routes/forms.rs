use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use atelier_server::http::route::{Access, Media, Route, table};

use crate::files::host;
use crate::host::TestHost;

/// More than the sockets' buffers on both sides hold.
const PIECES: usize = 4096;
const PIECE_BYTES: usize = 4096;

/// What is answered to a request which is refused by its first part, or its head, and still sends: all of the request is sent first.
fn heard(address: SocketAddr, route: &Route, key: &str, content_type: &str, begin: &str) -> String {
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: {content_type}\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{begin}",
        route.path,
        begin.len() + PIECES * PIECE_BYTES,
    );
    let mut connection = TcpStream::connect(address).expect("connected");
    connection.write_all(head.as_bytes()).expect("sent");
    for _ in 0..PIECES {
        let sent = connection.write_all(&[b'x'; PIECE_BYTES]);
        sent.unwrap_or_else(|error| panic!("{} {content_type}: {error}", route.path));
    }
    let mut heard = String::new();
    let read = connection.read_to_string(&mut heard);
    read.unwrap_or_else(|error| panic!("{} {content_type}: {error}", route.path));
    heard
}

#[tokio::test]
async fn who_still_sends_a_body_that_is_refused_reads_why() {
    let often = "generation = { requests = 1000,";
    let host = TestHost::edited(|text| text.replace("generation = { requests = 10,", often)).await;
    let (address, key) = (host.running().address, host.key.clone());
    let heard_all = tokio::task::spawn_blocking(move || {
        let form = "multipart/form-data; boundary=BOUNDARY";
        let part = "--BOUNDARY\r\ncontent-disposition: form-data; name=\"nonsense\"\r\n\r\n1\r\n\
                    --BOUNDARY\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        // Where the address is the permission, nothing is read from whoever has none.
        let has_body = |route: &&Route| route.media != Media::None && route.access != Access::Public;
        for route in table().iter().filter(has_body) {
            let takes_form = matches!(route.media, Media::Form | Media::JsonOrForm);
            if takes_form {
                let refused = heard(address, route, &key, form, part);
                assert!(refused.contains("unknown_parameter"), "{}: {refused}", route.path);
            }
            // The body is not looked at.
            let stranger = heard(address, route, "atl_nobody", form, part);
            assert!(stranger.starts_with("HTTP/1.1 401"), "{}: {stranger}", route.path);
            if route.media == Media::Json && route.body_max < PIECES * PIECE_BYTES {
                let large = heard(address, route, &key, "application/json", "");
                assert!(large.starts_with("HTTP/1.1 413"), "{}: {large}", route.path);
            }
        }
    });
    heard_all.await.expect("all were heard");
    host.stop().await;
}

#[tokio::test]
async fn a_form_whose_first_boundary_never_comes_is_refused_within_its_bound() {
    let host = host("").await;
    let address = host.running().address;
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n\
         content-type: multipart/form-data; boundary=BOUNDARY\r\ntransfer-encoding: chunked\r\n\r\n",
        host.key
    );
    let heard = tokio::task::spawn_blocking(move || {
        let mut connection = TcpStream::connect(address).expect("connected");
        connection.write_all(head.as_bytes()).expect("sent");
        let piece = [b"1000\r\n".as_slice(), &[b'x'; 0x1000], b"\r\n"].concat();
        for _ in 0..256 {
            connection.write_all(&piece).expect("it reads on, so that its answer is seen");
        }
        connection.write_all(b"0\r\n\r\n").expect("sent");
        let mut heard = String::new();
        connection.read_to_string(&mut heard).expect("it is closed behind the answer");
        heard
    });
    let heard = heard.await.expect("joined");
    assert!(heard.starts_with("HTTP/1.1 413") && heard.contains("connection: close"), "{heard}");
    assert!(heard.contains("request_too_large") && heard.contains("in none of its fields"), "{heard}");
    host.stop().await;
}
