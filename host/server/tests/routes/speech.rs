use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::host::{TestHost, json as body, stable};
use crate::transcriptions::share;

const VOICE: &str = "local/piper-joe";
const SENTENCE: &str = "Good morning. The weather is very nice today, and we are going to the market.";

/// A host that finds eSpeak NG where the tests' set-up put it.
async fn speaking() -> TestHost {
    let espeak = std::env::var("ATELIER_ESPEAK").expect("ATELIER_ESPEAK, which cargo xtask test sets");
    TestHost::edited(|text| text.replacen("[local]\n", &format!("[local]\nespeak = \"{espeak}\"\n"), 1)).await
}

async fn spoken(host: &TestHost, request: &Value) -> reqwest::Response {
    host.post("/v1/audio/speech", request).send().await.expect("answered")
}

#[tokio::test]
async fn what_the_in_house_voice_says_the_in_house_recogniser_writes_down() {
    let host = speaking().await;
    let request = json!({"model": VOICE, "voice": "0", "input": SENTENCE, "response_format": "wav"});
    let answer = spoken(&host, &request).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "audio/wav");
    let sound = answer.bytes().await.expect("sound");
    assert!(sound.starts_with(b"RIFF") && sound.len() > 44 + 2 * 22_050, "{}", sound.len());

    let form = Form::new()
        .text("model", "local/whisper-tiny.en")
        .part("file", Part::bytes(sound.to_vec()).file_name("fox.wav"));
    let url = host.url("/v1/audio/transcriptions");
    let written =
        host.client.post(url).bearer_auth(&host.key).multipart(form).send().await.expect("answered");
    let written = body(written, 200).await;
    let written = written["text"].as_str().expect("text");
    // The voice draws how it says a word, and the smallest recogniser mistakes one now and then.
    assert!(share(written, SENTENCE) > 0.8, "{written}");

    // Who does not say gets what the voice has, and is told so.
    let request = json!({"model": VOICE, "voice": "0", "input": "Hi."});
    let usual = spoken(&host, &request).await;
    assert_eq!(usual.headers()["content-type"], "audio/wav");
    assert!(usual.bytes().await.expect("sound").starts_with(b"RIFF"));

    // Without a head: 24,000 samples a second, as OpenAI's API has them.
    let request = json!({"model": VOICE, "voice": "0", "input": SENTENCE, "response_format": "pcm"});
    let plain = spoken(&host, &request).await.bytes().await.expect("sound");
    let (of_wav, of_plain) = ((sound.len() - 44) as f64 / 22_050.0, plain.len() as f64 / 24_000.0);
    // The voice draws how long it holds each sound.
    assert!((of_wav / of_plain - 1.0).abs() < 0.2, "{of_wav} and {of_plain}");
    host.stop().await;
}

#[tokio::test]
async fn the_in_house_voice_is_listed_and_says_what_it_cannot_do() {
    let host = speaking().await;
    let model = body(host.get(&format!("/v1/models/{VOICE}")).send().await.expect("answered"), 200).await;
    assert_eq!(model["tasks"], json!(["speech"]));
    let asked = json!({"model": VOICE, "voice": "0", "input": SENTENCE});
    for (name, changes) in [
        ("mp3", json!({"response_format": "mp3"})),
        ("mp3_in_events", json!({"stream_format": "sse"})),
        ("unknown_voice", json!({"response_format": "wav", "voice": "alloy"})),
        ("instructions", json!({"response_format": "wav", "instructions": "whisper"})),
        ("another_language", json!({"response_format": "wav", "language": "de"})),
        ("nothing_to_say", json!({"response_format": "wav", "input": "..."})),
    ] {
        let mut request = asked.clone();
        let members = changes.as_object().expect("an object").clone();
        request.as_object_mut().expect("an object").extend(members);
        let refused = stable(body(spoken(&host, &request).await, 400).await)["error"].take();
        insta::assert_json_snapshot!(name, refused);
    }
    host.stop().await;
}

#[tokio::test]
async fn without_espeak_a_voice_is_not_available() {
    let host =
        TestHost::edited(|text| text.replacen("[local]\n", "[local]\nespeak = \"/nowhere/espeak-ng\"\n", 1))
            .await;
    let request = json!({"model": VOICE, "voice": "0", "input": SENTENCE, "response_format": "wav"});
    let refused = body(spoken(&host, &request).await, 503).await;
    assert_eq!(refused["error"]["code"], "provider_unavailable");
    host.stop().await;
}
