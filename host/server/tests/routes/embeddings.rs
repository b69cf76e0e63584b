use serde_json::{Value, json};

use crate::host::{TestHost, json as body, stable};

const MODEL: &str = "local/all-minilm-l6-v2";

async fn embed(host: &TestHost, request: Value) -> Value {
    body(host.post("/v1/embeddings", &request).send().await.expect("answered"), 200).await
}

async fn refused(host: &TestHost, request: Value) -> Value {
    let answer = host.post("/v1/embeddings", &request).send().await.expect("answered");
    stable(body(answer, 400).await)["error"].take()
}

fn vector(entry: &Value) -> Vec<f64> {
    let numbers = entry["embedding"].as_array().expect("numbers").iter();
    numbers.map(|number| number.as_f64().expect("a number")).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn the_in_house_encoder_ranks_a_paraphrase_above_a_stranger() {
    let host = TestHost::start().await;
    let texts =
        ["A man is playing a guitar.", "Someone plays an instrument.", "The stock market fell today."];
    let answer = embed(&host, json!({"model": MODEL, "input": texts})).await;
    assert_eq!((&answer["object"], &answer["model"]), (&json!("list"), &json!(MODEL)));
    let data = answer["data"].as_array().expect("a list");
    assert_eq!(
        data.iter().map(|entry| entry["index"].as_u64()).collect::<Vec<_>>(),
        [Some(0), Some(1), Some(2)]
    );
    let [guitar, paraphrase, stranger] = [vector(&data[0]), vector(&data[1]), vector(&data[2])];
    assert_eq!(guitar.len(), 384);
    assert!((dot(&guitar, &guitar) - 1.0).abs() < 1e-5);
    let (near, far) = (dot(&guitar, &paraphrase), dot(&guitar, &stranger));
    assert!(near > far + 0.3, "paraphrase {near}, stranger {far}");
    // Seven words and a full stop, five and six, and two marks each.
    assert_eq!(answer["usage"], json!({"prompt_tokens": 9 + 7 + 8, "total_tokens": 9 + 7 + 8}));

    let alone = embed(&host, json!({"model": MODEL, "input": texts[0], "dimensions": 384})).await;
    let difference =
        vector(&alone["data"][0]).iter().zip(&guitar).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(difference < 1e-5, "a text's vector depends on what is beside it: {difference}");
    host.stop().await;
}

#[tokio::test]
async fn what_the_in_house_encoder_cannot_do_is_refused_by_name() {
    let host = TestHost::start().await;
    let long = "word ".repeat(400);
    for (name, request) in [
        ("fewer_dimensions", json!({"model": MODEL, "input": "x", "dimensions": 256})),
        ("long_text", json!({"model": MODEL, "input": ["x", long]})),
        ("empty_text", json!({"model": MODEL, "input": ["x", ""]})),
        ("empty_list", json!({"model": MODEL, "input": []})),
        ("many_texts", json!({"model": MODEL, "input": vec!["x"; 2049]})),
        ("unknown_token", json!({"model": MODEL, "input": [30522]})),
        ("unknown_option", json!({"model": MODEL, "input": "x", "options": {"pooling": "cls"}})),
    ] {
        insta::assert_json_snapshot!(name, refused(&host, request).await);
    }
    let cut = json!({"model": MODEL, "input": long, "options": {"truncate": true}});
    assert_eq!(embed(&host, cut).await["usage"]["prompt_tokens"], 256);
    host.stop().await;
}
