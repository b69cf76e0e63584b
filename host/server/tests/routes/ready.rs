//! Whether the server is ready, and why not.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

async fn ready(host: &TestHost) -> (StatusCode, Value) {
    let url = format!("http://{}/health/ready", host.running().admin_address);
    let answer = host.client.get(url).send().await.expect("answered");
    (answer.status(), answer.json().await.expect("a report"))
}

/// The report once the server is ready, or is not any more.
async fn until(host: &TestHost, wanted: StatusCode) -> Value {
    loop {
        let (status, report) = ready(host).await;
        if status == wanted {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_whose_jobs_wait_for_a_worker_too_long_is_not_ready_until_they_get_one() {
    let provider = Scripted::new([Act::WaitingLater("first"), Act::Waiting("second")]);
    let host = TestHost::edited(|text| text.replace("[jobs]", "[jobs]\nworkers = 1\nlate_seconds = 1")).await;
    host.put("scripted", provider.clone()).await;
    assert_eq!(ready(&host).await.0, 200);
    let job = json!({"model": "scripted/painter", "task": "image-generation", "prompt": "a cat"});
    for _ in 0..2 {
        body(host.post("/api/v1/generations", &job).send().await.expect("answered"), 202).await;
    }
    let report = until(&host, StatusCode::SERVICE_UNAVAILABLE).await;
    assert_eq!(report["ready"], json!(false));
    let reasons = report["reasons"].as_array().expect("a list");
    let told = reasons[0].as_str().expect("words");
    assert!(reasons.len() == 1 && told.contains("late_seconds"), "{report}");
    // The only worker is free again.
    provider.released.notify_one();
    let report = until(&host, StatusCode::OK).await;
    assert_eq!((&report["ready"], &report["reasons"]), (&json!(true), &json!([])));
    host.stop().await;
}

#[tokio::test]
async fn a_server_on_a_disk_that_is_almost_full_is_not_ready_and_says_so_and_lives() {
    // More than there is.
    let host =
        TestHost::edited(|text| text.replace("[storage]", "[storage]\nmin_free_mib = 1073741824")).await;
    let (status, report) = ready(&host).await;
    let told = report["reasons"][0].as_str().expect("words");
    assert!(status == 503 && told.starts_with("disk: ") && told.contains("min_free_mib"), "{report}");
    let live = format!("http://{}/health/live", host.running().admin_address);
    assert_eq!(host.client.get(live).send().await.expect("answered").status(), 200);
    host.stop().await;
}
