use serde_json::json;

use crate::host::{TestHost, json as answered};

/// Bodies of every route that takes JSON.
const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/api/v1/conversations"];

#[tokio::test]
async fn a_compressed_body_is_refused_before_it_can_grow() {
    let host = TestHost::start().await;
    for path in PATHS {
        for coding in ["gzip", "deflate", "br", "zstd", "x-gzip", "gzip, gzip", "identity, gzip", "nonsense"]
        {
            let request = host.post(path, &json!({})).header("content-encoding", coding);
            let told = request.send().await.expect("answered");
            assert_eq!(told.status(), 415, "{path} {coding}");
            assert_eq!(told.headers()["accept-encoding"], "identity", "{path} {coding}: what would be taken");
        }
        // As it is sent is as it is.
        let plain = host.post(path, &json!({"no": 1})).header("content-encoding", "identity").send().await;
        assert_eq!(plain.expect("answered").status(), 400, "{path}");
    }
    let form = reqwest::multipart::Form::new().text("purpose", "user_data").text("file", "x");
    let form = host.client.post(host.url("/v1/files")).bearer_auth(&host.key).multipart(form);
    let told = form.header("content-encoding", "gzip").send().await.expect("answered");
    assert_eq!(told.status(), 415, "a form");
    host.stop().await;
}

#[tokio::test]
async fn a_body_nested_beyond_all_measure_is_refused_and_the_server_lives() {
    let often = |text: String| {
        text.replace("generation = { requests = 10,", "generation = { requests = 1000,")
            .replace("chat = { requests = 60,", "chat = { requests = 1000,")
    };
    let host = TestHost::edited(often).await;
    let nests: [(&str, &str); 3] = [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")];
    for (open, close) in nests {
        for depth in [200, 100_000] {
            let deep = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            // Closed, and broken off in the middle.
            for nest in [deep.clone(), open.repeat(depth)] {
                for body in [
                    nest.clone(),
                    format!("{{\"model\":\"a/b\",\"messages\":{nest}}}"),
                    format!(
                        "{{\"model\":\"a/b\",\"task\":\"image-generation\",\"prompt\":\"x\",\"options\":{{\"o\":{nest}}}}}"
                    ),
                ] {
                    for path in
                        ["/v1/chat/completions", "/v1/responses", "/v1/messages", "/api/v1/generations"]
                    {
                        let request = host.client.post(host.url(path)).bearer_auth(&host.key);
                        let request = request.header("content-type", "application/json").body(body.clone());
                        let told = request.send().await.expect("the server lives").status();
                        assert!(matches!(told.as_u16(), 400 | 404 | 413), "{path}: {told}");
                    }
                }
            }
        }
    }
    answered(host.get("/v1/models").send().await.expect("answered"), 200).await;
    host.stop().await;
}
