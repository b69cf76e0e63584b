use reqwest::Response;
use serde_json::{Value, json};

use crate::client::{Bench, events, header, json_of};

fn said(text: &str) -> Value {
    json!({"contents": [{"role": "user", "parts": [{"text": text}]}]})
}

async fn ask(bench: &Bench, path: &str, key: &str, body: &Value) -> Response {
    let url = format!("{}/gemini/v1beta/{path}", bench.upstream.url());
    bench.client.post(url).header("x-goog-api-key", key).json(body).send().await.unwrap()
}

async fn look(bench: &Bench, url: &str) -> Response {
    bench.client.get(url).header("x-goog-api-key", "k").send().await.unwrap()
}

#[tokio::test]
async fn gemini_streams_whole_answers_whose_last_one_says_why_it_ended() {
    let bench = Bench::start().await;
    let path = "models/gemini-2.5-flash:streamGenerateContent?alt=sse";
    let response = ask(&bench, path, "k", &said("hi there")).await;
    assert!(header(&response, "content-type").starts_with("text/event-stream"));
    let chunks = events(&response.text().await.unwrap());
    let text =
        |chunk: &Value| chunk["candidates"][0]["content"]["parts"][0]["text"].as_str().map(str::to_owned);
    assert_eq!(chunks.iter().filter_map(text).collect::<String>(), "Hello from the mock: hi there");
    let ended = chunks.iter().filter(|chunk| chunk["candidates"][0]["finishReason"] == "STOP").count();
    assert_eq!((ended, chunks.last().unwrap()["usageMetadata"]["promptTokenCount"].as_u64()), (1, Some(2)));

    let whole = ask(&bench, "models/gemini-2.5-flash:generateContent", "k", &said("hi there")).await;
    let whole = json_of(whole).await;
    assert_eq!(text(&whole).unwrap(), "Hello from the mock: hi there");
    assert_eq!(bench.upstream.charges().requests, 2);
}

#[tokio::test]
async fn gemini_calls_tools_and_takes_their_results_back() {
    let bench = Bench::start().await;
    let mut wish = said("what is the weather?");
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    wish["tools"] = json!([{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": schema}]}]);
    let path = "models/gemini-2.5-flash:generateContent";
    let parts =
        json_of(ask(&bench, path, "k", &wish).await).await["candidates"][0]["content"]["parts"].take();
    assert_eq!(parts[1]["functionCall"]["name"], "weather");
    assert!(parts[1]["functionCall"]["args"]["city"].is_string());
    let result = json!({"functionResponse": {"name": "weather", "response": {"output": "sun"}}});
    let turns = [json!({"role": "model", "parts": parts}), json!({"role": "user", "parts": [result]})];
    wish["contents"].as_array_mut().unwrap().extend(turns);
    let answer = json_of(ask(&bench, path, "k", &wish).await).await;
    let text = answer["candidates"][0]["content"]["parts"][0]["text"].as_str().unwrap();
    assert!(text.contains("the tool said: {\"output\":\"sun\"}"), "{text}");
}

#[tokio::test]
async fn gemini_refuses_in_its_own_shape() {
    let bench = Bench::start().await;
    let path = "models/gemini-2.5-flash:generateContent";
    let keyless =
        bench.client.post(format!("{}/gemini/v1beta/{path}", bench.upstream.url())).json(&said("x"));
    let keyless = keyless.send().await.unwrap();
    assert_eq!(keyless.status(), 403);
    assert_eq!(json_of(keyless).await["error"]["status"], "PERMISSION_DENIED");
    let refused = json_of(ask(&bench, path, "sk-bad", &said("x")).await).await;
    assert_eq!(refused["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let empty = ask(&bench, path, "k", &json!({})).await;
    assert_eq!(json_of(empty).await["error"]["status"], "INVALID_ARGUMENT");
    let lost = ask(&bench, "models/missing:generateContent", "k", &said("x")).await;
    assert_eq!(lost.status(), 404);
    let limited = ask(&bench, "models/gemini-2.5-flash+429=7:generateContent", "k", &said("x")).await;
    assert_eq!(limited.status(), 429);
    assert_eq!(json_of(limited).await["error"]["details"][0]["retryDelay"], "7s");
    let path = "models/gemini-2.5-flash+stream-error:streamGenerateContent?alt=sse";
    let chunks = events(&ask(&bench, path, "k", &said("a b c d")).await.text().await.unwrap());
    assert_eq!(chunks.last().unwrap()["error"]["status"], "UNAVAILABLE");
}

#[tokio::test]
async fn gemini_s_models_come_in_pages() {
    let bench = Bench::start().await;
    let url = format!("{}/gemini/v1beta/models", bench.upstream.url());
    let first = json_of(look(&bench, &format!("{url}?pageSize=3")).await).await;
    assert_eq!(first["models"].as_array().unwrap().len(), 3);
    let token = first["nextPageToken"].as_str().unwrap();
    let second = json_of(look(&bench, &format!("{url}?pageSize=3&pageToken={token}")).await).await;
    assert_eq!(second["models"][0]["name"], "models/veo-3.0-generate-001");
    assert!(second.get("nextPageToken").is_none());
}

#[tokio::test]
async fn gemini_makes_a_video_that_is_behind_a_redirect() {
    let bench = Bench::start().await;
    let wish = json!({"instances": [{"prompt": "a cat"}]});
    let begun =
        json_of(ask(&bench, "models/veo-3.0-generate-001:predictLongRunning", "k", &wish).await).await;
    let operation = format!("{}/gemini/v1beta/{}", bench.upstream.url(), begun["name"].as_str().unwrap());
    let first = json_of(look(&bench, &operation).await).await;
    assert!(first.get("done").is_none());
    let done = json_of(look(&bench, &operation).await).await;
    let uri =
        done["response"]["generateVideoResponse"]["generatedSamples"][0]["video"]["uri"].as_str().unwrap();
    let redirect = look(&bench, uri).await;
    assert_eq!(redirect.status(), 302);
    let content = format!("{}{}", bench.upstream.url(), header(&redirect, "location"));
    assert_eq!(look(&bench, &content).await.bytes().await.unwrap()[4..8], *b"ftyp");
}
