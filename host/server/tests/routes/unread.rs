use std::time::Duration;

use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::host::{TestHost, json as body};
use crate::scripted::Scripted;

#[tokio::test]
async fn a_keyed_stream_that_nobody_reads_ends_and_its_key_is_settled() {
    let provider = Scripted::new([]);
    let mut events = vec![ChatEvent::Started { id: "talk".to_owned(), model: "found".to_owned() }];
    // More than the sockets' buffers on both sides hold.
    events.extend((0..600).map(|_| ChatEvent::Text("x".repeat(64 * 1024))));
    events.push(ChatEvent::Finished(FinishReason::Stop));
    *provider.chat.lock().expect("no panic") = Some(events);
    let host =
        TestHost::edited(|text| text.replace("# write_idle_seconds = 60 ", "write_idle_seconds = 1 ")).await;
    host.put("scripted", provider.clone()).await;
    let messages = json!([{"role": "user", "content": "hi"}]);
    let request = json!({"model": "scripted/found", "messages": messages, "stream": true});
    let text = request.to_string();
    let mut unread = TcpStream::connect(host.running().address).await.expect("connected");
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{text}",
        host.key,
        text.len()
    );
    unread.write_all(head.as_bytes()).await.expect("sent");
    // A connection of its own may be overtaken by one that stands.
    while provider.seen.lock().expect("no panic").chats.is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // It was too large to be kept, which is known once it has ended.
    loop {
        let again = host.post("/v1/chat/completions", &request).header("idempotency-key", "k");
        let told = body(again.send().await.expect("answered"), 409).await;
        match told["error"]["code"].as_str() {
            Some("idempotency_key_in_use") => tokio::time::sleep(Duration::from_millis(200)).await,
            code => break assert_eq!(code, Some("answer_not_kept"), "{told}"),
        }
    }
    drop(unread);
    host.stop().await;
}
