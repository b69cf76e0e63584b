//! What a first answer says of how long it stands, and a repetition of whose answer it is.

use atelier_domain::failure::FailureCode;
use reqwest::{RequestBuilder, Response};
use serde_json::json;

use crate::host::{TestHost, json as body};
use crate::scripted::{Act, Scripted, Talk};

async fn answered(request: RequestBuilder) -> Response {
    request.send().await.expect("answered")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).map(|value| value.to_str().expect("text"))
}

#[tokio::test]
async fn a_repetition_of_a_request_whose_job_failed_says_that_it_is_one() {
    let fails = || Act::ChargeAndFail(FailureCode::Unavailable, 500);
    let provider = Scripted::new([fails(), fails(), Act::Done("a cat")]);
    let host = TestHost::start().await;
    host.put("scripted", provider.clone()).await;
    let wanted = json!({"model": "scripted/painter", "prompt": "a cat"});
    let keyed = |key: &str| host.post("/v1/images/generations", &wanted).header("idempotency-key", key);
    let free = answered(host.post("/v1/images/generations", &wanted)).await;
    assert_eq!(header(&free, "x-should-retry"), Some("true"), "sent again, it is another job");
    assert_eq!(body(free, 503).await["error"]["code"], "provider_unavailable");
    for is_again in [false, true] {
        let told = answered(keyed("k")).await;
        assert_eq!(header(&told, "idempotent-replayed"), is_again.then_some("true"));
        assert_eq!(header(&told, "x-should-retry"), Some("false"), "the job stays failed");
        assert_eq!(header(&told, "retry-after"), None);
        assert_eq!(body(told, 503).await["error"]["code"], "provider_unavailable");
    }
    assert_eq!(provider.seen.lock().expect("no panic").submissions, 2);
    host.stop().await;
}

#[tokio::test]
async fn a_first_answer_that_stands_does_not_ask_to_come_again() {
    let busy = || Talk::failing(FailureCode::Overloaded);
    let provider = Scripted::talking([busy(), busy(), Talk { charges: None, ..busy() }]);
    let host = TestHost::start().await;
    host.put("scripted", provider.clone()).await;
    let chat = json!({"model": "scripted/found", "messages": [{"role": "user", "content": "hi"}]});
    let free = answered(host.post("/v1/chat/completions", &chat)).await;
    assert_eq!((free.status().as_u16(), header(&free, "retry-after")), (503, Some("3")));
    assert_eq!(header(&free, "x-should-retry"), Some("true"));
    for is_again in [false, true] {
        let told = answered(host.post("/v1/chat/completions", &chat).header("idempotency-key", "k")).await;
        assert_eq!((told.status().as_u16(), header(&told, "retry-after")), (503, None));
        assert_eq!(header(&told, "x-should-retry"), Some("false"), "it may have been paid for");
        assert_eq!(header(&told, "idempotent-replayed"), is_again.then_some("true"));
    }
    let untaken = answered(host.post("/v1/chat/completions", &chat).header("idempotency-key", "u")).await;
    assert_eq!((untaken.status().as_u16(), header(&untaken, "retry-after")), (503, Some("3")));
    assert_eq!(header(&untaken, "x-should-retry"), Some("true"), "nothing has left: the key is free");
    host.stop().await;
}
