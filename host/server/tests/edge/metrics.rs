use std::collections::HashMap;

use mock_upstream::{Config, FaultKind, MockUpstream};
use reqwest::multipart::{Form, Part};

use crate::binary::{Binary, built};

/// Samples by their name and labels.
async fn scrape(atelier: &Binary) -> HashMap<String, f64> {
    let answer = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = answer.text().await.expect("text");
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let pairs = samples.map(|line| line.rsplit_once(' ').expect("a sample"));
    pairs.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect()
}

#[tokio::test]
async fn metrics_tell_what_in_house_models_take_and_do() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| text);
    const MODEL: &str = "smollm2-135m-instruct";
    let name = |metric: &str, model: &str| format!("atelier_local_{metric}{{model=\"{model}\"}}");
    let before = scrape(&atelier).await;
    assert_eq!(before[&name("model_loaded", MODEL)], 0.0);
    assert_eq!(before[&name("passes_total", MODEL)], 0.0);
    assert!(!before.contains_key(&name("passes_total", "dcgan-faces")), "it has no passes");

    let messages = serde_json::json!([{"role": "user", "content": "Count to five."}]);
    let body = serde_json::json!({"model": format!("local/{MODEL}"), "messages": messages, "max_tokens": 8});
    let answer = atelier.post("/v1/chat/completions").json(&body).send().await.expect("answered");
    let answer: serde_json::Value = answer.json().await.expect("JSON");
    let told = |what: &str| answer["usage"][what].as_f64().expect("a number");
    let after = scrape(&atelier).await;
    let value = |metric: &str| after[&name(metric, MODEL)];
    assert_eq!(value("model_loaded"), 1.0);
    assert!(value("model_memory_bytes") > 100e6 && value("cache_bytes_max") > 10e6);
    assert_eq!(value("prompt_tokens_total"), told("prompt_tokens"));
    assert_eq!(value("answer_tokens_total"), told("completion_tokens"));
    // Alone, one request is in each pass, and each token of the answer comes of one.
    assert_eq!(value("passes_total"), value("pass_requests_total"));
    assert!(value("passes_total") >= value("answer_tokens_total") && value("pass_seconds_total") > 0.0);
    assert_eq!(value("requests_waiting"), 0.0);
    // Kernels are what passes are made of, products most of all.
    let kernel = |name: &str| {
        let sample = format!("atelier_local_kernel_seconds_total{{kernel=\"{name}\",model=\"{MODEL}\"}}");
        after[&sample]
    };
    let all = ["linear", "attend", "norm", "rope", "activation"].map(kernel);
    assert!(all.iter().all(|seconds| *seconds > 0.0), "{all:?}");
    assert!(all[0] > all[1] && all.iter().sum::<f64>() < value("pass_seconds_total"), "{all:?}");
}

#[tokio::test]
async fn metrics_tell_what_happened() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| text.replace("requests = 60,", "requests = 4,"));
    for stream in [false, true] {
        let answer = atelier.chat("how are you", stream).send().await.expect("answered");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("a body");
    }
    upstream.fault_next(FaultKind::ServerError, 1);
    assert!(atelier.chat("hi", false).send().await.expect("answered").status().is_server_error());
    assert_eq!(atelier.chat("hi", false).send().await.expect("answered").status(), 200);
    assert_eq!(atelier.chat("hi", false).send().await.expect("answered").status(), 429);
    let component = std::fs::read(built("openai-0.1.0.wasm")).expect("the plugin");
    let unsigned = Form::new().part("component", Part::bytes(component).file_name("x.wasm"));
    let unsigned = unsigned.text("signature", "nonsense");
    let refused = atelier.post("/api/v1/plugins/inspect").multipart(unsigned).send().await.expect("answered");
    assert_eq!(refused.status(), 400);
    let nowhere = atelier.client.get(format!("{}/nowhere", atelier.base)).send().await.expect("answered");
    assert_eq!(nowhere.status(), 404);

    let seen = scrape(&atelier).await;
    let value = |name: &str| *seen.get(name).unwrap_or_else(|| panic!("no {name} in {seen:#?}"));
    let route = |metric: &str, more: &str| {
        value(&format!("{metric}{{method=\"POST\",route=\"/v1/chat/completions\"{more}}}"))
    };
    assert_eq!(route("atelier_requests_total", ",status=\"2xx\""), 3.0);
    assert_eq!(route("atelier_requests_total", ",status=\"5xx\""), 1.0);
    assert_eq!(route("atelier_requests_total", ",status=\"4xx\""), 1.0);
    assert_eq!(route("atelier_request_seconds_count", ""), 5.0);
    assert_eq!(route("atelier_host_overhead_seconds_count", ""), 3.0);
    assert_eq!(value("atelier_unrouted_requests_total{status=\"404\"}"), 1.0);
    assert_eq!(value("atelier_limit_refusals_total{class=\"chat\"}"), 1.0);
    assert_eq!(value("atelier_provider_calls_total{instance=\"mock\",outcome=\"ok\",task=\"chat\"}"), 3.0);
    assert_eq!(
        value("atelier_provider_calls_total{instance=\"mock\",outcome=\"reported\",task=\"chat\"}"),
        1.0
    );
    assert!(value("atelier_provider_call_seconds_sum{instance=\"mock\",task=\"chat\"}") > 0.0);
    assert_eq!(value("atelier_first_event_seconds_count{instance=\"mock\",task=\"chat\"}"), 3.0);
    assert!(value("atelier_tokens_total{direction=\"output\",instance=\"mock\"}") > 0.0);
    assert!(value("atelier_catalogue_loads_total{instance=\"mock\",outcome=\"ok\"}") >= 1.0);
    assert!(value("atelier_plugin_calls_total{instance=\"mock\",outcome=\"ok\"}") >= 3.0);
    assert!(value("atelier_plugin_memory_bytes_sum{instance=\"mock\"}") > 0.0);
    assert!(value("atelier_plugin_cpu_seconds_sum{instance=\"mock\"}") > 0.0);
    assert_eq!(value("atelier_signature_refusals_total{what=\"plugin\"}"), 1.0);
    assert!(value("atelier_connections") >= 1.0);
    assert_eq!((value("atelier_jobs_open"), value("atelier_jobs_begun")), (0.0, 0.0));
    assert_eq!(value("atelier_jobs_oldest_due_seconds"), 0.0);
    assert_eq!(value("atelier_storage_places"), 32.0);
    assert_eq!(value("atelier_storage_refusals_total"), 0.0);
    assert!(
        seen.contains_key("atelier_storage_calls_running")
            && seen.contains_key("atelier_storage_calls_waiting")
    );
    assert_eq!(value(&format!("atelier_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_open_fds") > 3.0);
    assert!(value("process_cpu_seconds_total") > 0.0 && value("process_threads") >= 2.0);
}
