use std::time::Duration;

use reqwest::Response;
use serde_json::json;

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted};

#[tokio::test]
async fn images_that_take_too_long_for_an_answer_go_on_as_a_job_that_is_named() {
    // Asked ten times a second, for longer than a request may take; that has 2 s left when its job is no longer waited for.
    let provider = Scripted::new(std::iter::repeat_n(Act::Pending, 80).chain([Act::Done("a cat")]));
    let host = TestHost::edited(|text| {
        let text = text.replace("# request_seconds = 600 ", "request_seconds = 6 ");
        text.replace("status = { requests = 120,", "status = { requests = 100000,")
    })
    .await;
    host.put("scripted", provider.clone()).await;
    let wanted = json!({"model": "scripted/painter", "prompt": "a cat"});
    let send = || host.post("/v1/images/generations", &wanted).header("idempotency-key", "k").send();
    let location = |response: &Response| response.headers()["location"].to_str().expect("text").to_owned();
    let late = send().await.expect("answered");
    let place = location(&late);
    assert_eq!(late.headers()["x-should-retry"], "false", "it would be paid for twice");
    let told = body(late, 504).await;
    assert_eq!(told["error"]["code"], "generation_goes_on");
    assert!(told["error"]["message"].as_str().expect("text").contains(&place), "{told}");
    let again = send().await.expect("answered");
    assert_eq!(location(&again), place, "it is the same job");
    loop {
        let job = body(host.get(&place).send().await.expect("answered"), 200).await;
        if job["state"] == "succeeded" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 1);
    host.stop().await;
}
