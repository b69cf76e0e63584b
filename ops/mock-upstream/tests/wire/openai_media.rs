use base64::Engine;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::client::{Bench, events, header, json_of};

fn size_of(png: &[u8]) -> (u32, u32) {
    let reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    (reader.info().width, reader.info().height)
}

#[tokio::test]
async fn an_image_is_a_png_of_the_size_asked_for_inline_or_linked() {
    let bench = Bench::start().await;
    let wish = json!({"model": "gpt-image-1", "prompt": "a cat", "size": "256x128", "n": 2});
    let body = json_of(bench.post("/v1/images/generations", &wish).send().await.unwrap()).await;
    let text = body["data"][1]["b64_json"].as_str().unwrap();
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    assert_eq!(size_of(&bytes), (256, 128));

    let wish = json!({"model": "dall-e-3", "prompt": "a cat", "size": "256x128"});
    let body = json_of(bench.post("/v1/images/generations", &wish).send().await.unwrap()).await;
    let linked = bench.client.get(body["data"][0]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(header(&linked, "content-type"), "image/png");
    assert_eq!(size_of(&linked.bytes().await.unwrap()), (256, 128));
}

#[tokio::test]
async fn an_edit_needs_an_image_and_a_variation_no_prompt() {
    let bench = Bench::start().await;
    let send = async |path: &str, form: Form| {
        let url = format!("{}{path}", bench.upstream.url());
        bench.client.post(url).bearer_auth("sk-x").multipart(form).send().await.unwrap()
    };
    let without = send("/v1/images/edits", Form::new().text("prompt", "x")).await;
    assert_eq!(json_of(without).await["error"]["param"], "image");
    let image = || Part::bytes(vec![1; 3 << 20]).file_name("in.png");
    let form = Form::new().text("prompt", "x").text("size", "64x64").part("image[]", image());
    assert_eq!(send("/v1/images/edits", form).await.status(), 200);
    let form = Form::new().text("size", "64x64").part("image", image());
    assert_eq!(send("/v1/images/variations", form).await.status(), 200);
}

#[tokio::test]
async fn speech_is_chunked_sound_in_the_format_asked_for() {
    let bench = Bench::start().await;
    let wish = |format: &str| json!({"model": "tts-1", "input": "hi you", "voice": "alloy", "response_format": format});
    let response = bench.post("/v1/audio/speech", &wish("wav")).send().await.unwrap();
    assert!(response.content_length().is_none());
    let bytes = response.bytes().await.unwrap();
    assert_eq!(&bytes[..4], b"RIFF");
    assert_eq!(bytes.len(), 44 + 48_000);
    let response = bench.post("/v1/audio/speech", &wish("mp3")).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "audio/mpeg");
    assert_eq!(response.bytes().await.unwrap()[..2], [0xff, 0xfb]);
    assert_eq!(bench.post("/v1/audio/speech", &wish("opus")).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_transcript_comes_in_every_format() {
    let bench = Bench::start().await;
    let send = async |fields: &[(&'static str, &'static str)]| {
        let file = Part::bytes(vec![0; 10]).file_name("a.wav");
        let form = Form::new().text("model", "whisper-1").part("file", file);
        let form = fields.iter().fold(form, |form, (name, value)| form.text(*name, *value));
        let url = format!("{}/v1/audio/transcriptions", bench.upstream.url());
        bench.client.post(url).bearer_auth("sk-x").multipart(form).send().await.unwrap()
    };
    let said = "Hello from the mock: 10 bytes of a.wav";
    assert_eq!(json_of(send(&[]).await).await["text"], said);
    assert_eq!(send(&[("response_format", "text")]).await.text().await.unwrap(), format!("{said}\n"));
    let srt = send(&[("response_format", "srt")]).await.text().await.unwrap();
    assert!(srt.starts_with("1\n00:00:00,000 --> 00:00:04,000\n"), "{srt}");
    let vtt = send(&[("response_format", "vtt")]).await.text().await.unwrap();
    assert!(vtt.starts_with("WEBVTT\n\n00:00:00.000 --> 00:00:04.000\n"), "{vtt}");
    let words = [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")];
    let body = json_of(send(&words).await).await;
    assert_eq!(body["words"][1], json!({"word": "from", "start": 0.5, "end": 1.0}));
    let events = events(&send(&[("stream", "true")]).await.text().await.unwrap());
    let heard: String = events.iter().filter_map(|e| e["delta"].as_str()).collect();
    assert_eq!(heard, said);
    assert_eq!(events.last().unwrap()["type"], "transcript.text.done");
}

#[tokio::test]
async fn a_video_is_made_by_being_polled_and_can_then_be_fetched_and_deleted() {
    let bench = Bench::start().await;
    let video =
        json_of(bench.post("/v1/videos", &json!({"model": "sora-2", "prompt": "x"})).send().await.unwrap())
            .await;
    assert_eq!(video["status"], "queued");
    let path = format!("/v1/videos/{}", video["id"].as_str().unwrap());
    let content = format!("{path}/content");
    assert_eq!(bench.get(&content).send().await.unwrap().status(), 400);
    assert_eq!(json_of(bench.get(&path).send().await.unwrap()).await["status"], "in_progress");
    assert_eq!(json_of(bench.get(&path).send().await.unwrap()).await["status"], "completed");
    let film = bench.get(&content).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&film[4..8], b"ftyp");
    let remix = bench.post(&format!("{path}/remix"), &json!({"prompt": "y"}));
    let remixed = json_of(remix.send().await.unwrap()).await;
    assert_eq!((&remixed["remixed_from_video_id"], &remixed["status"]), (&video["id"], &json!("queued")));
    let url = format!("{}{path}", bench.upstream.url());
    let deleted = json_of(bench.client.delete(&url).bearer_auth("k").send().await.unwrap()).await;
    assert_eq!(deleted["deleted"], true);
    assert_eq!(bench.get(&path).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_file_comes_back_as_it_was_sent() {
    let bench = Bench::start().await;
    let form = Form::new()
        .text("purpose", "fine-tune")
        .part("file", Part::bytes(b"{}\n".to_vec()).file_name("t.jsonl"));
    let url = format!("{}/v1/files", bench.upstream.url());
    let file = json_of(bench.client.post(url).bearer_auth("k").multipart(form).send().await.unwrap()).await;
    assert_eq!(file["bytes"], 3);
    let path = format!("/v1/files/{}/content", file["id"].as_str().unwrap());
    assert_eq!(bench.get(&path).send().await.unwrap().text().await.unwrap(), "{}\n");
}
