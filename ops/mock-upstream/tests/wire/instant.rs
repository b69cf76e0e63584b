use std::net::{Ipv4Addr, SocketAddr};

use mock_upstream::instant::Instant;
use reqwest::Client;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{WITHIN, chat_body, events, json_of};

async fn start() -> SocketAddr {
    let instant = Instant::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), 2).await.unwrap();
    let address = instant.address().unwrap();
    tokio::spawn(instant.serve());
    address
}

#[tokio::test]
async fn instant_mode_answers_chats_plain_and_streamed_on_one_connection() {
    let url = format!("http://{}/v1/chat/completions", start().await);
    let client = Client::builder().timeout(WITHIN).build().unwrap();
    for _ in 0..3 {
        let plain = client.post(&url).json(&chat_body("m", "hi", false)).send().await.unwrap();
        assert_eq!(json_of(plain).await["choices"][0]["message"]["content"], "Hello from the mock.");
        let stream = client.post(&url).json(&chat_body("m", "hi", true)).send().await.unwrap();
        let text = stream.text().await.unwrap();
        assert!(text.ends_with("data: [DONE]\n\n"));
        assert_eq!(events(&text).len(), 6);
    }
}

#[tokio::test]
async fn instant_mode_reads_chunked_bodies_pieces_and_pipelines() {
    let mut stream = TcpStream::connect(start().await).await.unwrap();
    let body = json!({"stream": false}).to_string();
    let chunked = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let (first, second) = chunked.as_bytes().split_at(90);
    stream.write_all(first).await.unwrap();
    tokio::task::yield_now().await;
    stream.write_all(second).await.unwrap();
    let models = "GET /v1/models HTTP/1.1\r\nhost: x\r\n\r\n";
    let last = "GET /nothing HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(format!("{models}{last}").as_bytes()).await.unwrap();
    let mut answers = String::new();
    tokio::time::timeout(WITHIN, stream.read_to_string(&mut answers)).await.unwrap().unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);
    assert_eq!(answers.matches("HTTP/1.1 404").count(), 1);
}

#[tokio::test]
async fn instant_mode_refuses_what_is_not_http_or_too_large() {
    for (request, status) in [
        ("hello\r\n\r\n".to_owned(), "400"),
        ("POST / HTTP/1.1\r\ncontent-length: 99999999\r\n\r\n".to_owned(), "413"),
        (format!("GET / HTTP/1.1\r\nx: {}", "y".repeat(70_000)), "413"),
    ] {
        let mut stream = TcpStream::connect(start().await).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        tokio::time::timeout(WITHIN, stream.read_exact(&mut head)).await.unwrap().unwrap();
        assert_eq!(&head[9..], status.as_bytes());
    }
}
