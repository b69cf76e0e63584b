use super::*;
use crate::api::tests::context;
use atelier_plugin_sdk::chat::{JsonSchema, Thinking};
use atelier_plugin_sdk::pair;
use serde_json::{Value, json};

pub fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        model: "m".to_owned(),
        messages,
        stream: false,
        tools: Vec::new(),
        tool_choice: ToolChoice::Automatic,
        parallel_tool_calls: None,
        response_format: ResponseFormat::Text,
        max_output_tokens: None,
        temperature: None,
        top_p: None,
        stop: Vec::new(),
        seed: None,
        frequency_penalty: None,
        presence_penalty: None,
        top_logprobs: None,
        reasoning_effort: None,
        end_user: None,
        options: "{}".to_owned(),
    }
}

fn message(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn sent(base_url: &str, request: &ChatRequest) -> Result<Value, Failure> {
    let context = context(base_url, "{}");
    let body = completion(&Api::new(&context)?, request)?;
    Ok(serde_json::from_str(&body.into_string().unwrap()).unwrap())
}

const OFFICIAL: &str = "https://api.openai.com/v1";
const COMPATIBLE: &str = "http://localhost:8000/v1";

#[test]
fn a_plain_chat_is_as_small_as_it_can_be() {
    let request = request(vec![message(Role::User, vec![text("Hi")])]);
    assert_eq!(
        sent(OFFICIAL, &request).unwrap(),
        json!({"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    );
}

#[test]
fn every_field_reaches_the_provider() {
    let mut request = request(vec![message(Role::User, vec![text("Hi")])]);
    request.stream = true;
    request.max_output_tokens = Some(100);
    request.temperature = Some(0.7);
    request.top_p = Some(0.9);
    request.stop = vec!["\n".to_owned()];
    request.seed = Some(-3);
    request.frequency_penalty = Some(0.5);
    request.presence_penalty = Some(-0.5);
    request.top_logprobs = Some(2);
    request.reasoning_effort = Some("low".to_owned());
    request.end_user = Some("u1".to_owned());
    request.parallel_tool_calls = Some(false);
    request.tool_choice = ToolChoice::Named("f".to_owned());
    request.tools = vec![Tool::Function(Function {
        name: "f".to_owned(),
        description: Some("d".to_owned()),
        parameters: r#"{"type":"object"}"#.to_owned(),
        strict: true,
    })];
    request.response_format = ResponseFormat::JsonSchema(JsonSchema {
        name: "s".to_owned(),
        description: None,
        schema: r#"{"type":"object","properties":{}}"#.to_owned(),
        strict: true,
    });
    request.options = r#"{"service_tier":"flex"}"#.to_owned();
    let expected = json!({
        "model": "m", "messages": [{"role": "user", "content": "Hi"}],
        "stream": true, "stream_options": {"include_usage": true},
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": true}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "properties": {}}, "strict": true}},
        "max_completion_tokens": 100, "temperature": 0.7, "top_p": 0.9, "stop": ["\n"], "seed": -3,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "logprobs": true, "top_logprobs": 2,
        "reasoning_effort": "low", "safety_identifier": "u1", "service_tier": "flex",
    });
    assert_eq!(sent(OFFICIAL, &request).unwrap(), expected);
    let compatible = sent(COMPATIBLE, &request).unwrap();
    assert_eq!((&compatible["max_tokens"], &compatible["user"]), (&json!(100), &json!("u1")));
    assert!(
        compatible.get("max_completion_tokens").is_none() && compatible.get("safety_identifier").is_none()
    );
}

#[test]
fn a_whole_conversation_keeps_its_roles_calls_and_results() {
    let call = ToolCall {
        id: "c1".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"x\":1}".to_owned(),
        signature: Some("s1".to_owned()),
    };
    let result = |id: &str| {
        Part::ToolResult(ToolResult {
            tool_call_id: id.to_owned(),
            content: vec![ToolContent::Text("42".to_owned())],
            is_error: false,
        })
    };
    let thinking = Part::Thinking(Thinking { text: "hm".to_owned(), signature: None });
    let request = request(vec![
        message(Role::Developer, vec![text("Be brief")]),
        Message { name: Some("ann".to_owned()), ..message(Role::User, vec![text("a"), text("b")]) },
        message(Role::Assistant, vec![thinking, Part::ToolCall(call)]),
        message(Role::Tool, vec![result("c1"), result("c2")]),
        message(Role::User, vec![result("c3"), text("go on")]),
    ]);
    let messages = json!([
        {"role": "developer", "content": "Be brief"},
        {"role": "user", "name": "ann", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"x\":1}"}, "extra_content": {"google": {"thought_signature": "s1"}}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "42"},
        {"role": "tool", "tool_call_id": "c2", "content": "42"},
        {"role": "tool", "tool_call_id": "c3", "content": "42"},
        {"role": "user", "content": [{"type": "text", "text": "go on"}]},
    ]);
    assert_eq!(sent(OFFICIAL, &request).unwrap()["messages"], messages);
    assert_eq!(sent(COMPATIBLE, &request).unwrap()["messages"][0]["role"], "system");
}

#[test]
fn images_by_url_and_content_of_the_provider_s_own_are_passed_on() {
    let mut image = Media::new(MediaSource::Url("https://x.example/i.png".into()), None);
    image.attributes.push(pair("detail", "low"));
    let own = Other { kind: "openai.part".to_owned(), json: r#"{"type":"x"}"#.to_owned() };
    let request = request(vec![message(Role::User, vec![Part::Image(image), Part::Other(own)])]);
    let content = json!([{"type": "image_url", "image_url": {"url": "https://x.example/i.png", "detail": "low"}}, {"type": "x"}]);
    assert_eq!(sent(OFFICIAL, &request).unwrap()["messages"][0]["content"], content);
}

#[test]
fn what_the_provider_cannot_take_is_refused_at_its_place() {
    let link = || Media::new(MediaSource::Url("https://x.example/a.mp3".into()), None);
    let foreign = Other { kind: "acme.part".to_owned(), json: "{}".to_owned() };
    for part in [Part::Audio(link()), Part::File(link()), Part::Other(foreign)] {
        let request =
            request(vec![message(Role::System, vec![text("s")]), message(Role::User, vec![text("t"), part])]);
        let failure = sent(OFFICIAL, &request).unwrap_err();
        assert_eq!(
            (failure.code.as_str(), failure.param.as_deref()),
            ("unsupported", Some("messages.1.parts.1"))
        );
    }
    let request = request(vec![message(Role::Tool, vec![text("no result")])]);
    assert_eq!(sent(OFFICIAL, &request).unwrap_err().param.as_deref(), Some("messages.0.parts"));
}

#[test]
fn options_cannot_override_the_request() {
    let mut request = request(Vec::new());
    request.options = r#"{"n":4}"#.to_owned();
    assert_eq!(sent(OFFICIAL, &request).unwrap_err().param.as_deref(), Some("options.n"));
}
