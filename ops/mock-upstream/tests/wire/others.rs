use reqwest::Response;
use serde_json::{Value, json};

use crate::client::{Bench, header, json_of};

async fn speak(bench: &Bench, path: &str, body: &Value) -> Response {
    let url = format!("{}/elevenlabs{path}", bench.upstream.url());
    bench.client.post(url).header("xi-api-key", "xi-test").json(body).send().await.unwrap()
}

#[tokio::test]
async fn elevenlabs_speaks_in_chunks_at_both_paths() {
    let bench = Bench::start().await;
    let wish = json!({"text": "hello there", "model_id": "mock-speech"});
    for path in
        ["/v1/text-to-speech/mockvoice01/stream", "/v1/text-to-speech/mockvoice01", "/v1/sound-generation"]
    {
        let response = speak(&bench, path, &wish).await;
        assert_eq!(header(&response, "content-type"), "audio/mpeg");
        assert_eq!(header(&response, "character-cost"), "11");
        assert!(response.content_length().is_none());
        assert_eq!(response.bytes().await.unwrap()[..2], [0xff, 0xfb]);
    }
    let pcm = speak(&bench, "/v1/text-to-speech/v/stream?output_format=pcm_16000", &wish).await;
    assert_eq!(pcm.bytes().await.unwrap().len(), 32_000);
}

#[tokio::test]
async fn elevenlabs_refuses_in_its_own_shape() {
    let bench = Bench::start().await;
    let url = format!("{}/elevenlabs/v1/voices", bench.upstream.url());
    let keyless = bench.client.get(url).send().await.unwrap();
    assert_eq!(keyless.status(), 401);
    assert_eq!(json_of(keyless).await["detail"]["status"], "invalid_api_key");
    let textless = speak(&bench, "/v1/text-to-speech/v", &json!({})).await;
    assert_eq!(textless.status(), 422);
    assert_eq!(json_of(textless).await["detail"][0]["loc"], json!(["body", "text"]));
    let lost = speak(&bench, "/v1/text-to-speech/missing", &json!({"text": "x"})).await;
    assert_eq!(json_of(lost).await["detail"]["status"], "voice_not_found");
    let limited = speak(&bench, "/v1/text-to-speech/v", &json!({"text": "x", "model_id": "m+429"})).await;
    assert_eq!(limited.status(), 429);
    assert_eq!(json_of(limited).await["detail"]["status"], "too_many_concurrent_requests");
}

#[tokio::test]
async fn elevenlabs_voices_come_in_pages() {
    let bench = Bench::start().await;
    let mut token = String::new();
    let mut seen = 0;
    loop {
        let url = format!("{}/elevenlabs/v2/voices?page_size=10{token}", bench.upstream.url());
        let page = json_of(bench.client.get(url).header("xi-api-key", "k").send().await.unwrap()).await;
        seen += page["voices"].as_array().unwrap().len();
        if page["has_more"] == false {
            assert_eq!(page["total_count"], seen);
            break;
        }
        token = format!("&next_page_token={}", page["next_page_token"].as_str().unwrap());
    }
    assert_eq!(seen, 25);
}

#[tokio::test]
async fn ollama_streams_lines_of_json_and_answers_plainly_when_told_to() {
    let bench = Bench::start().await;
    let mut wish = json!({"model": "mock-chat", "messages": [{"role": "user", "content": "hi"}]});
    let url = format!("{}/ollama/api/chat", bench.upstream.url());
    let response = bench.client.post(&url).json(&wish).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/x-ndjson");
    let text = response.text().await.unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
    assert_eq!(said, "Hello from the mock: hi");
    assert_eq!(lines.last().unwrap()["done_reason"], "stop");
    wish["stream"] = json!(false);
    let body = json_of(bench.client.post(&url).json(&wish).send().await.unwrap()).await;
    assert_eq!(body["message"]["content"], "Hello from the mock: hi");
    let tags = bench.client.get(format!("{}/ollama/api/tags", bench.upstream.url())).send().await.unwrap();
    assert_eq!(json_of(tags).await["models"][0]["name"], "mock-chat:latest");
}
