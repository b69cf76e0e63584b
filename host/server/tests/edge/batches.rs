use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use mock_upstream::{Config, MockUpstream};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::binary::{Binary, MODEL};

const LINES: usize = 24;
const PATIENCE: Duration = Duration::from_secs(60);

/// A request whose prompt is told apart at the provider.
fn line(n: usize) -> String {
    let body = json!({"model": MODEL, "messages": [{"role": "user", "content": format!("request {n:03}")}]});
    let line = json!({"custom_id": format!("c-{n:03}"), "method": "POST", "url": "/v1/chat/completions", "body": body});
    format!("{line}\n")
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    let answer = request.send().await.expect("answered");
    let (status, text) = (answer.status(), answer.text().await.expect("a body"));
    assert_eq!(status, 200, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

/// The batch once `wanted` holds.
async fn until(atelier: &Binary, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let batch = json_of(atelier.get(&format!("/v1/batches/{id}"))).await;
        if wanted(&batch) {
            return batch;
        }
        assert!(begun.elapsed() < PATIENCE, "{batch}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The lines of a result file, by their ids.
async fn results(atelier: &Binary, file: &Value) -> HashMap<String, Value> {
    let Some(id) = file.as_str() else { return HashMap::new() };
    let content = atelier.get(&format!("/v1/files/{id}/content")).send().await.expect("answered");
    let text = content.text().await.expect("a body");
    let read = text.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("JSON");
        (line["custom_id"].as_str().expect("an id").to_owned(), line)
    });
    let found: Vec<_> = read.collect();
    let count = found.len();
    let by_id: HashMap<_, _> = found.into_iter().collect();
    assert_eq!(by_id.len(), count, "each once: {text}");
    by_id
}

#[tokio::test]
async fn a_batch_survives_a_kill_and_no_request_is_sent_twice() {
    // Whoever is killed between a charge and its answer does not know.
    let config = Config { charged_answer_delay_ms: 150, ..Config::default() };
    let upstream = MockUpstream::start(config).await.expect("the upstream");
    let mut atelier = Binary::start(&upstream, |text| {
        let text = text.replace("status = { requests = 120,", "status = { requests = 100000,");
        format!("{text}\n[batches]\nrunning = 3\nrunning_per_batch = 3\n")
    });
    atelier.warm().await;
    let content: String = (0..LINES).map(line).collect();
    let form = Form::new()
        .text("purpose", "batch")
        .part("file", Part::bytes(content.into_bytes()).file_name("requests.jsonl"));
    let file = json_of(atelier.post("/v1/files").multipart(form)).await;
    let wanted =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let begun = json_of(atelier.post("/v1/batches").json(&wanted)).await;
    let id = begun["id"].as_str().expect("an id").to_owned();
    for done in [3, 12] {
        until(&atelier, &id, |batch| batch["request_counts"]["completed"].as_u64() >= Some(done)).await;
        atelier.kill_and_restart();
    }
    let batch = until(&atelier, &id, |batch| batch["status"] == "completed").await;
    let (output, errors) =
        (results(&atelier, &batch["output_file_id"]).await, results(&atelier, &batch["error_file_id"]).await);

    let ids: HashSet<_> = output.keys().chain(errors.keys()).cloned().collect();
    assert_eq!((ids.len(), output.len() + errors.len()), (LINES, LINES), "each line has one end");
    let counts = json!({"total": LINES, "completed": output.len(), "failed": errors.len()});
    assert_eq!(batch["request_counts"], counts);
    // Three were under way at each of two kills.
    assert!(errors.len() <= 6, "{errors:?}");
    let sent = upstream.requests();
    for n in 0..LINES {
        let (id, prompt) = (format!("c-{n:03}"), format!("request {n:03}"));
        let seen = sent.iter().filter(|request| request.body.contains(&prompt)).count();
        assert!(seen <= 1, "{id} was sent {seen} times");
        match (output.get(&id), errors.get(&id)) {
            (Some(answered), None) => {
                assert_eq!((&answered["response"]["status_code"], seen), (&json!(200), 1), "{answered}");
            }
            (None, Some(lost)) => {
                assert_eq!(
                    (&lost["error"]["code"], &lost["response"]),
                    (&json!("outcome_unknown"), &json!(null))
                );
            }
            both => panic!("{id}: {both:?}"),
        }
    }
}
