use std::path::PathBuf;

use atelier_inference::weights;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::host::{TestHost, json as body, stable};

const MODEL: &str = "local/whisper-tiny.en";
const BECKETT: &str = "Ever tried, ever failed. No matter, try again. Fail again. Fail better.";

/// A recording of the published ones.
fn recording(name: &str) -> Vec<u8> {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let first = weights::fetch(&weights::SPEECH, &cache_dir, |_| ()).expect("the recordings can be fetched");
    let folder: PathBuf = if first.is_dir() { first } else { first.with_file_name("") };
    std::fs::read(folder.join(name)).expect("the recording")
}

fn form(bytes: Vec<u8>, name: &str) -> Form {
    Form::new().text("model", MODEL).part("file", Part::bytes(bytes).file_name(name.to_owned()))
}

async fn sent(host: &TestHost, form: Form) -> reqwest::Response {
    let url = host.url("/v1/audio/transcriptions");
    host.client.post(url).bearer_auth(&host.key).multipart(form).send().await.expect("answered")
}

fn seconds(value: &Value) -> f64 {
    value.as_f64().expect("seconds")
}

/// The part of `expected`'s words that stand in `found`, in order.
pub(super) fn share(found: &str, expected: &str) -> f64 {
    let words = |text: &str| -> Vec<String> {
        let letters = |c: char| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' };
        text.chars().map(letters).collect::<String>().split_whitespace().map(str::to_owned).collect()
    };
    let expected = words(expected);
    let mut found = words(found).into_iter();
    let hits = expected
        .iter()
        .filter(|word| found.clone().any(|said| said == **word) && found.any(|said| said == **word));
    hits.count() as f64 / expected.len() as f64
}

#[tokio::test]
async fn the_in_house_recogniser_writes_down_what_is_said_and_when() {
    let host = TestHost::start().await;
    let plain = body(sent(&host, form(recording("beckett.wav"), "beckett.wav")).await, 200).await;
    assert_eq!(plain["text"], BECKETT);
    assert_eq!(plain["usage"], serde_json::json!({"type": "duration", "seconds": 9.963}));

    let wanted = form(recording("beckett.wav"), "beckett.wav")
        .text("response_format", "verbose_json")
        .text("timestamp_granularities[]", "word")
        .text("timestamp_granularities[]", "segment");
    let verbose = body(sent(&host, wanted).await, 200).await;
    assert_eq!((&verbose["text"], &verbose["language"]), (&BECKETT.into(), &"english".into()));
    assert!((seconds(&verbose["duration"]) - 9.96).abs() < 0.01, "{verbose}");
    let segments = verbose["segments"].as_array().expect("segments");
    assert_eq!(segments.len(), 4);
    let mut before = 0.0;
    for segment in segments {
        assert!(
            seconds(&segment["start"]) >= before && seconds(&segment["end"]) > seconds(&segment["start"])
        );
        before = seconds(&segment["end"]);
        assert!(segment["tokens"].as_array().is_some_and(|tokens| tokens.len() > 3), "{segment}");
        assert!(seconds(&segment["avg_logprob"]) > -1.0 && seconds(&segment["no_speech_prob"]) < 0.6);
        assert!(seconds(&segment["compression_ratio"]) > 0.5, "{segment}");
    }
    let words: Vec<&str> =
        verbose["words"].as_array().expect("words").iter().filter_map(|word| word["word"].as_str()).collect();
    assert_eq!(words.join(" "), BECKETT);

    let subtitles = sent(&host, form(recording("beckett.wav"), "a.wav").text("response_format", "srt")).await;
    let subtitles = subtitles.text().await.expect("text");
    assert!(
        subtitles.starts_with("1\n00:00:00,000 --> 00:00:03,000\n") && subtitles.contains("Fail better."),
        "{subtitles}"
    );
    host.stop().await;
}

#[tokio::test]
async fn a_longer_recording_of_another_rate_is_written_down_window_by_window() {
    let host = TestHost::start().await;
    let wanted = form(recording("two_cities.wav"), "two_cities.wav").text("stream", "true");
    let events = sent(&host, wanted).await.text().await.expect("events");
    let events: Vec<Value> = events
        .lines()
        .filter_map(|line| line.strip_prefix("data: ").filter(|data| *data != "[DONE]"))
        .map(|data| serde_json::from_str(data).expect("an event"))
        .collect();
    let (done, deltas) = events.split_last().expect("events");
    assert!(deltas.len() > 4, "{}", deltas.len());
    let pieces: String = deltas.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(
        (&done["type"], done["text"].as_str()),
        (&"transcript.text.done".into(), Some(pieces.trim_end()))
    );
    // The novel's first sentence.
    let expected = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of \
        foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the \
        season of Darkness, it was the spring of hope, it was the winter of despair";
    let share = share(&pieces, expected);
    assert!(share > 0.9, "{share}: {pieces}");
    host.stop().await;
}

#[tokio::test]
async fn what_the_in_house_recogniser_cannot_do_is_refused_by_name() {
    let host = TestHost::start().await;
    let speech = || form(recording("beckett.wav"), "a.wav");
    let silent =
        b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\0\0\0\0"
            .to_vec();
    for (name, wanted) in [
        ("another_language", speech().text("language", "de")),
        ("speakers", speech().text("response_format", "diarized_json")),
        ("no_sound", form(b"not a recording at all, but long enough to look at".to_vec(), "a.wav")),
        ("long_prompt", speech().text("prompt", "word ".repeat(4000))),
        ("options", speech().text("options", "{\"beams\": 5}")),
    ] {
        let refused = stable(body(sent(&host, wanted).await, 400).await)["error"].take();
        insta::assert_json_snapshot!(name, refused);
    }
    // Nothing was said, which is an answer.
    let nothing = body(sent(&host, form(silent, "a.wav")).await, 200).await;
    assert_eq!(nothing["text"], "");
    // A model that chats does not listen.
    let wrong = Form::new()
        .text("model", "local/smollm2-135m-instruct")
        .part("file", Part::bytes(recording("beckett.wav")));
    let refused = body(sent(&host, wrong).await, 400).await;
    assert!(refused["error"]["message"].as_str().is_some_and(|said| said.contains(MODEL)), "{refused}");
    host.stop().await;
}
