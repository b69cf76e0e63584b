use mock_upstream::{Config, sign_webhook};
use serde_json::{Value, json};

use crate::client::{Bench, WITHIN, header, json_of};

const SECRET: &str = "whsec_bW9jay11cHN0cmVhbS13ZWJob29rLXNlY3JldA==";

async fn look(bench: &Bench, prediction: &Value) -> Value {
    let url = prediction["urls"]["get"].as_str().unwrap();
    json_of(bench.client.get(url).bearer_auth("r8_x").send().await.unwrap()).await
}

#[tokio::test]
async fn a_prediction_succeeds_by_being_polled_and_links_real_images() {
    let bench = Bench::start().await;
    let wish = json!({"version": "mock/image", "input": {"prompt": "x", "num_outputs": 2}});
    let response = bench.post("/v1/predictions", &wish).send().await.unwrap();
    assert_eq!(response.status(), 201);
    let made = json_of(response).await;
    assert_eq!(made["status"], "starting");
    assert_eq!(look(&bench, &made).await["status"], "processing");
    let done = look(&bench, &made).await;
    assert_eq!(done["status"], "succeeded");
    assert_eq!(done["output"].as_array().unwrap().len(), 2);
    let image = bench.client.get(done["output"][0].as_str().unwrap()).send().await.unwrap();
    assert!(image.bytes().await.unwrap().starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn prefer_wait_answers_with_the_end_and_both_mounts_share_their_predictions() {
    let bench = Bench::start().await;
    let wish = json!({"input": {"prompt": "x"}});
    let request = bench.post("/replicate/v1/models/mock/image/predictions", &wish).header("prefer", "wait=5");
    let done = json_of(request.send().await.unwrap()).await;
    assert_eq!(done["status"], "succeeded");
    let list = json_of(bench.get("/v1/predictions").send().await.unwrap()).await;
    assert_eq!(list["results"][0]["id"], done["id"]);
    assert_eq!(bench.get("/replicate/v1/models").send().await.unwrap().status(), 200);
    assert_eq!(bench.get("/v1/models/mock/image").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_prediction_can_be_cancelled_fail_or_run_out_of_time() {
    let bench = Bench::start().await;
    let wish = |version: &str| json!({"version": version, "input": {"prompt": "x"}});
    let made = json_of(bench.post("/v1/predictions", &wish("mock/image")).send().await.unwrap()).await;
    let path = format!("/v1/predictions/{}/cancel", made["id"].as_str().unwrap());
    assert_eq!(json_of(bench.post(&path, &json!({})).send().await.unwrap()).await["status"], "canceled");

    let failing = bench.post("/v1/predictions", &wish("mock/image+fail")).header("prefer", "wait");
    let failed = json_of(failing.send().await.unwrap()).await;
    assert_eq!(failed["status"], "failed");
    assert!(failed["error"].is_string());

    let late = bench.post("/v1/predictions", &wish("mock/image")).header("cancel-after", "0s");
    let late = json_of(late.send().await.unwrap()).await;
    assert_eq!(look(&bench, &late).await["status"], "aborted");
    let wrong = bench.post("/v1/predictions", &wish("mock/image")).header("cancel-after", "soon");
    assert_eq!(wrong.send().await.unwrap().status(), 422);
}

#[tokio::test]
async fn errors_are_problems_with_title_detail_and_status() {
    let bench = Bench::start().await;
    let url = format!("{}/v1/predictions", bench.upstream.url());
    let response = bench.client.post(url).json(&json!({})).send().await.unwrap();
    assert_eq!(header(&response, "content-type"), "application/problem+json");
    let body = json_of(response).await;
    assert_eq!((&body["title"], &body["status"]), (&json!("Unauthenticated"), &json!(401)));
    let response = bench.post("/v1/predictions", &json!({"version": "a/b"})).send().await.unwrap();
    assert_eq!(response.status(), 422);
    assert_eq!(bench.get("/v1/predictions/none").send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn webhooks_are_signed_filtered_and_tell_of_the_end() {
    let receiver = Bench::start().await;
    let bench = Bench::with(Config { webhook_step_ms: 1, ..Config::default() }).await;
    let wish = json!({
        "version": "mock/image",
        "input": {"prompt": "x"},
        "webhook": format!("{}/hook", receiver.upstream.url()),
        "webhook_events_filter": ["start", "completed"],
    });
    bench.post("/v1/predictions", &wish).send().await.unwrap();
    let sent = bench.upstream.wait_for_webhooks(2, WITHIN).await.unwrap();
    assert_eq!([&sent[0].event, &sent[1].event], ["start", "completed"]);
    let got = receiver.upstream.wait_for_requests(2, WITHIN).await.unwrap();
    let body: Value = serde_json::from_str(&got[1].body).unwrap();
    assert_eq!(body["status"], "succeeded");
    let id = got[1].header("webhook-id").unwrap();
    let timestamp = got[1].header("webhook-timestamp").unwrap().parse().unwrap();
    let expected = sign_webhook(SECRET, id, timestamp, got[1].body.as_bytes()).unwrap();
    assert_eq!(got[1].header("webhook-signature"), Some(expected.as_str()));
}

#[test]
fn a_signature_matches_the_one_that_the_specification_publishes() {
    // The example of the Standard Webhooks specification's reference libraries.
    let signature = sign_webhook(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        br#"{"test": 2432232314}"#,
    );
    assert_eq!(signature.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[tokio::test]
async fn a_training_makes_a_version_and_can_be_cancelled() {
    let bench = Bench::start().await;
    let wish = json!({"destination": "me/mine", "input": {}});
    let path = "/v1/models/mock/image/versions/v1/trainings";
    let made = json_of(bench.post(path, &wish).send().await.unwrap()).await;
    look(&bench, &made).await;
    let done = look(&bench, &made).await;
    assert!(done["output"]["version"].as_str().unwrap().starts_with("me/mine:"));
    let made = json_of(bench.post(path, &wish).send().await.unwrap()).await;
    let cancel = format!("/v1/trainings/{}/cancel", made["id"].as_str().unwrap());
    assert_eq!(json_of(bench.post(&cancel, &json!({})).send().await.unwrap()).await["status"], "canceled");
}
