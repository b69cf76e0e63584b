use std::collections::HashMap;

use mock_upstream::{Config, FaultKind, MockUpstream};
use reqwest::Response;

use crate::binary::Binary;

/// The metrics of `server-timing` in milliseconds.
fn timing(answer: &Response) -> HashMap<String, f64> {
    let text = answer.headers()["server-timing"].to_str().expect("text");
    let metrics = text.split(", ").map(|metric| metric.split_once(";dur=").expect("a duration"));
    metrics.map(|(name, ms)| (name.to_owned(), ms.parse().expect("milliseconds"))).collect()
}

#[tokio::test]
async fn every_answer_tells_its_time_and_whose_it_was() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| text);
    let slow = || upstream.fault_next("slow=300".parse::<mock_upstream::Fault>().expect("a fault"), 1);

    atelier.warm().await;
    slow();
    let whole = timing(&atelier.chat("hi", false).send().await.expect("answered"));
    assert!(whole["upstream"] >= 300.0 && whole["host"] < whole["upstream"], "{whole:?}");
    assert!((whole["total"] - whole["host"] - whole["upstream"]).abs() < 0.01, "{whole:?}");
    assert!(!whole.contains_key("ttfb"), "{whole:?}");

    slow();
    let stream = timing(&atelier.chat("hi", true).send().await.expect("answered"));
    assert!(stream["ttfb"] >= 300.0 && stream["upstream"] >= 300.0 && stream["host"] < 300.0, "{stream:?}");

    upstream.fault_next(FaultKind::ServerError, 1);
    let failed = atelier.chat("hi", false).send().await.expect("answered");
    assert!(failed.status().is_server_error());
    let quick = atelier.client.get(format!("{}/nothing", atelier.base)).send().await.expect("answered");
    let unknown =
        atelier.client.post(format!("{}/v1/chat/completions", atelier.base)).send().await.expect("answered");
    assert_eq!((quick.status().as_u16(), unknown.status().as_u16()), (404, 401));
    for answer in [failed, quick, unknown] {
        assert!(timing(&answer).contains_key("total"), "{}", answer.status());
    }
}
