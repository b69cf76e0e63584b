use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use crate::files::host;

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
