//! A picture that was being made when the server was killed.

use std::io::Cursor;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, RgbImage};
use mock_upstream::{Config, MockUpstream};
use serde_json::{Value, json};

use crate::binary::Binary;

const PATIENCE: Duration = Duration::from_secs(120);

async fn json_of(request: reqwest::RequestBuilder, status: u16) -> Value {
    let answer = request.send().await.expect("answered");
    let (found, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The job once `wanted` holds.
async fn until(atelier: &Binary, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let job = json_of(atelier.get(path), 200).await;
        if wanted(&job) {
            return job;
        }
        assert!(begun.elapsed() < PATIENCE, "{job}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_picture_is_begun_anew_after_a_kill_and_ends_well() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let mut atelier = Binary::start(&upstream, |text| {
        text.replace("status = { requests = 120,", "status = { requests = 100000,")
    });
    let mut bytes = Vec::new();
    DynamicImage::ImageRgb8(RgbImage::new(1000, 800))
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .expect("written");
    let url = format!("data:image/png;base64,{}", STANDARD.encode(bytes));
    let request = json!({
        "model": "local/realesr-animevideov3-x2", "task": "image-upscale", "inputs": [{"role": "image", "url": url}]
    });
    let job = json_of(atelier.post("/api/v1/generations").json(&request), 202).await;
    let path = format!("/api/v1/generations/{}", job["id"].as_str().expect("an id"));
    until(&atelier, &path, |job| job["progress"].as_f64().is_some_and(|share| share > 0.0)).await;
    atelier.kill_and_restart();
    let ended = until(&atelier, &path, |job| job["finished"].is_string()).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let content = atelier.get(&format!("{path}/outputs/0")).send().await.expect("answered");
    let content = content.bytes().await.expect("a body");
    let picture = image::load_from_memory(&content).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (2000, 1600));
    atelier.terminate();
    let (_, log) = atelier.ended(PATIENCE);
    assert_eq!(log.iter().filter(|line| line.contains("begun anew")).count(), 1, "{log:#?}");
}
