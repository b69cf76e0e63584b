use super::*;
use crate::api::tests::context;
use atelier_plugin_sdk::chat::{JsonSchema, Thinking, ToolCall, ToolContent, ToolResult};
use atelier_plugin_sdk::{Media, MediaSource, Other};
use serde_json::{Value, json};

pub fn request(messages: Vec<Message>) -> ChatRequest {
    ChatRequest {
        model: "claude-opus-5-5".to_owned(),
        messages,
        stream: false,
        tools: Vec::new(),
        tool_choice: ToolChoice::Automatic,
        parallel_tool_calls: None,
        response_format: ResponseFormat::Text,
        max_output_tokens: Some(100),
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

fn said(role: Role, parts: Vec<Part>) -> Message {
    Message { role, parts, name: None }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn link(url: &str) -> Media {
    Media::new(MediaSource::Url(url.to_owned()), None)
}

fn sent(request: &ChatRequest) -> Result<Value, Failure> {
    let context = context("{}");
    let body = message(&Api::new(&context)?, request)?;
    Ok(serde_json::from_str(&body.into_string().unwrap()).unwrap())
}

#[test]
fn a_plain_chat_is_as_small_as_it_can_be() {
    let request = request(vec![said(Role::User, vec![text("Hi")])]);
    let expected = json!({
        "model": "claude-opus-5-5", "max_tokens": 100,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    });
    assert_eq!(sent(&request).unwrap(), expected);
}

#[test]
fn every_field_reaches_the_provider() {
    let mut request = request(vec![said(Role::User, vec![text("Hi")])]);
    request.stream = true;
    request.temperature = Some(0.7);
    request.top_p = Some(0.9);
    request.stop = vec!["\n".to_owned()];
    request.frequency_penalty = Some(0.0);
    request.reasoning_effort = Some("medium".to_owned());
    request.end_user = Some("u1".to_owned());
    request.parallel_tool_calls = Some(false);
    request.tool_choice = ToolChoice::Named("f".to_owned());
    let own = r#"{"type":"web_search_20250305","name":"web_search"}"#.to_owned();
    request.tools = vec![
        Tool::Function(Function {
            name: "f".to_owned(),
            description: Some("d".to_owned()),
            parameters: r#"{"type":"object"}"#.to_owned(),
            strict: true,
        }),
        Tool::Other(Other { kind: "anthropic.tool".to_owned(), json: own }),
    ];
    request.response_format = ResponseFormat::JsonSchema(JsonSchema {
        name: "s".to_owned(),
        description: None,
        schema: r#"{"type":"object","properties":{}}"#.to_owned(),
        strict: true,
    });
    request.options = r#"{"top_k":5,"service_tier":"auto"}"#.to_owned();
    let expected = json!({
        "model": "claude-opus-5-5", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
        "tools": [{"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": true},
            {"type": "web_search_20250305", "name": "web_search"}],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "thinking": {"type": "adaptive", "display": "summarized"},
        "output_config": {"effort": "medium", "format": {"type": "json_schema", "schema": {"type": "object", "properties": {}}}},
        "temperature": 0.7, "top_p": 0.9, "stop_sequences": ["\n"], "metadata": {"user_id": "u1"},
        "top_k": 5, "service_tier": "auto",
    });
    assert_eq!(sent(&request).unwrap(), expected);
}

#[test]
fn every_choice_of_tools_has_its_word() {
    let choice = |choice: ToolChoice, parallel| {
        let mut request = request(Vec::new());
        request.tools = vec![Tool::Function(Function {
            name: "f".to_owned(),
            description: None,
            parameters: "{}".to_owned(),
            strict: false,
        })];
        request.tool_choice = choice;
        request.parallel_tool_calls = parallel;
        sent(&request).unwrap()["tool_choice"].clone()
    };
    assert_eq!(choice(ToolChoice::Automatic, None), Value::Null);
    assert_eq!(choice(ToolChoice::Automatic, Some(true)), Value::Null);
    assert_eq!(
        choice(ToolChoice::Automatic, Some(false)),
        json!({"type": "auto", "disable_parallel_tool_use": true})
    );
    assert_eq!(choice(ToolChoice::None, Some(false)), json!({"type": "none"}));
    assert_eq!(choice(ToolChoice::Required, None), json!({"type": "any"}));
}

#[test]
fn a_conversation_becomes_instructions_and_alternating_turns() {
    let call = |id: &str, arguments: &str| {
        Part::ToolCall(ToolCall {
            id: id.to_owned(),
            name: "f".to_owned(),
            arguments: arguments.to_owned(),
            signature: None,
        })
    };
    let result = |id: &str, is_error| {
        let (tool_call_id, content) = (id.to_owned(), vec![ToolContent::Text("42".to_owned())]);
        Part::ToolResult(ToolResult { tool_call_id, content, is_error })
    };
    let thinking = |signature: Option<&str>| {
        Part::Thinking(Thinking { text: "hm".to_owned(), signature: signature.map(str::to_owned) })
    };
    let redacted = Other {
        kind: "anthropic.redacted_thinking".to_owned(),
        json: r#"{"type":"redacted_thinking","data":"x"}"#.to_owned(),
    };
    let request = request(vec![
        said(Role::System, vec![text("Be brief")]),
        said(Role::User, vec![text("a")]),
        said(Role::User, vec![text(""), text("b")]),
        said(
            Role::Assistant,
            vec![
                thinking(Some("c2ln")),
                thinking(None),
                Part::Other(redacted),
                call("c1", "{\"x\":1}"),
                call("c2", ""),
            ],
        ),
        said(Role::Tool, vec![result("c1", false)]),
        said(Role::Developer, vec![text("Be kind")]),
        said(Role::User, vec![text("go on"), result("c2", true)]),
        said(Role::Assistant, vec![text("")]),
    ]);
    let body = sent(&request).unwrap();
    assert_eq!(
        body["system"],
        json!([{"type": "text", "text": "Be brief"}, {"type": "text", "text": "Be kind"}])
    );
    let turns = json!([
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "c2", "name": "f", "input": {}},
        ]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "c1", "content": "42"},
            {"type": "tool_result", "tool_use_id": "c2", "content": "42", "is_error": true},
            {"type": "text", "text": "go on"},
        ]},
    ]);
    assert_eq!(body["messages"], turns);
}

#[test]
fn images_and_documents_are_fetched_by_the_provider_from_their_addresses() {
    let document = Media { name: Some("r.pdf".to_owned()), ..link("https://x.example/r.pdf") };
    let parts = vec![Part::Image(link("https://x.example/i.png")), Part::File(document)];
    let request = request(vec![said(Role::User, parts)]);
    let content = json!([
        {"type": "image", "source": {"type": "url", "url": "https://x.example/i.png"}},
        {"type": "document", "source": {"type": "url", "url": "https://x.example/r.pdf"}, "title": "r.pdf"},
    ]);
    assert_eq!(sent(&request).unwrap()["messages"][0]["content"], content);
}

#[test]
fn what_the_provider_cannot_take_is_refused_at_its_place() {
    let foreign = Other { kind: "acme.part".to_owned(), json: "{}".to_owned() };
    for part in [Part::Audio(link("https://x.example/a.mp3")), Part::Other(foreign)] {
        let request = request(vec![said(Role::System, vec![]), said(Role::User, vec![text("t"), part])]);
        let failure = sent(&request).unwrap_err();
        let told = (failure.code.as_str(), failure.param.as_deref());
        assert_eq!(told, ("unsupported", Some("messages.1.parts.1")));
    }
    let image = said(Role::System, vec![Part::Image(link("https://x.example/i.png"))]);
    assert_eq!(sent(&request(vec![image])).unwrap_err().param.as_deref(), Some("messages.0.parts.0"));
    let call = ToolCall {
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"broken\"".to_owned(),
        signature: None,
    };
    let request = request(vec![said(Role::Assistant, vec![Part::ToolCall(call)])]);
    assert_eq!(sent(&request).unwrap_err().param.as_deref(), Some("messages.0.parts.0.arguments"));
}

#[test]
fn fields_that_the_api_does_not_have_are_refused_by_name() {
    let refused = |change: fn(&mut ChatRequest)| {
        let mut request = request(Vec::new());
        change(&mut request);
        let failure = sent(&request).unwrap_err();
        assert_eq!(failure.code, "unsupported");
        failure.param.unwrap()
    };
    assert_eq!(refused(|request| request.seed = Some(1)), "seed");
    assert_eq!(refused(|request| request.frequency_penalty = Some(0.1)), "frequency_penalty");
    assert_eq!(refused(|request| request.presence_penalty = Some(-0.1)), "presence_penalty");
    assert_eq!(refused(|request| request.top_logprobs = Some(2)), "top_logprobs");
    assert_eq!(refused(|request| request.response_format = ResponseFormat::JsonObject), "response_format");
}

#[test]
fn an_answer_s_length_is_the_caller_s_the_model_s_or_the_operator_s() {
    let length = |model: &str, wanted| {
        let mut request = request(Vec::new());
        request.model = model.to_owned();
        request.max_output_tokens = wanted;
        sent(&request).unwrap()["max_tokens"].clone()
    };
    assert_eq!(length("claude-opus-5-5", Some(7)), 7);
    assert_eq!(length("claude-opus-5-5", None), 128_000);
    assert_eq!(length("claude-haiku-4-5-20251001", None), 64_000);
    assert_eq!(length("mock-chat", None), 8_192);
}

#[test]
fn default_sampling_is_left_out_as_newer_models_refuse_the_fields() {
    let mut request = request(Vec::new());
    request.temperature = Some(1.0);
    request.top_p = Some(1.0);
    let body = sent(&request).unwrap();
    assert!(body.get("temperature").is_none() && body.get("top_p").is_none());
}

#[test]
fn options_pass_unless_the_request_decides_the_same() {
    let mut request = request(Vec::new());
    request.options = r#"{"thinking":{"type":"adaptive"},"output_config":{"effort":"max"}}"#.to_owned();
    let body = sent(&request).unwrap();
    assert_eq!(
        (&body["thinking"]["type"], &body["output_config"]["effort"]),
        (&json!("adaptive"), &json!("max"))
    );
    request.reasoning_effort = Some("none".to_owned());
    assert_eq!(sent(&request).unwrap_err().param.as_deref(), Some("options.thinking"));
    request.options = r#"{"max_tokens":4}"#.to_owned();
    assert_eq!(sent(&request).unwrap_err().param.as_deref(), Some("options.max_tokens"));
}
