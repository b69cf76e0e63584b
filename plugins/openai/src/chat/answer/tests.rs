use super::*;

fn flat(events: Vec<ChatEvent>) -> Vec<String> {
    events.into_iter().map(|event| format!("{event:?}")).collect()
}

#[test]
fn a_good_answer_is_started_content_finished_and_usage() {
    let body = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"gpt-4o-2024-08-06","choices":[{"index":0,
        "message":{"role":"assistant","content":"Hello","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],
        "usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29},"service_tier":"default","system_fingerprint":null}"#;
    let events = events(body.as_bytes()).unwrap();
    let [
        ChatEvent::Started(started),
        ChatEvent::Text(text),
        ChatEvent::Finished(FinishReason::Stop),
        ChatEvent::Usage(usage),
    ] = events.as_slice()
    else {
        panic!("{:?}", flat(events))
    };
    assert_eq!(
        (started.id.as_str(), started.model.as_str(), text.as_str()),
        ("chatcmpl-1", "gpt-4o-2024-08-06", "Hello")
    );
    assert_eq!((usage[0].quantity, usage[1].quantity), (19, 10));
}

#[test]
fn tool_calls_thinking_refusals_logprobs_and_annotations_are_kept() {
    let body = r#"{"id":"c","model":"m","choices":[{"message":{"content":null,"refusal":"no","reasoning_content":"hm",
        "tool_calls":[{"id":"call_a","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"","type":"function","function":{"name":"g"}}],
        "annotations":[{"type":"url_citation"}]},"finish_reason":"tool_calls",
        "logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[{"token":"b","logprob":-1.5,"bytes":null}]}],"refusal":null}}]}"#;
    let events = events(body.as_bytes()).unwrap();
    let [
        ChatEvent::Started(_),
        ChatEvent::Thinking(thinking),
        ChatEvent::Refusal(refusal),
        ChatEvent::ToolCallStart(first),
        ChatEvent::ToolCallDelta(arguments),
        ChatEvent::ToolCallStart(second),
        ChatEvent::Logprobs(logprobs),
        ChatEvent::Other(annotations),
        ChatEvent::Finished(FinishReason::ToolCalls),
    ] = events.as_slice()
    else {
        panic!("{:?}", flat(events))
    };
    assert_eq!((thinking.text.as_str(), refusal.as_str()), ("hm", "no"));
    assert_eq!((first.id.as_str(), first.name.as_str(), arguments.arguments.as_str()), ("call_a", "f", "{}"));
    assert_eq!((second.index, second.id.as_str()), (1, "call_1"));
    assert_eq!((logprobs[0].logprob, logprobs[0].top[0].token.as_str()), (-0.5, "b"));
    assert_eq!(
        (annotations.kind.as_str(), annotations.json.as_str()),
        ("openai.annotations", r#"[{"type":"url_citation"}]"#)
    );
}

#[test]
fn an_unknown_reason_to_end_is_passed_on_as_it_is() {
    let body =
        r#"{"id":"c","model":"m","choices":[{"message":{"content":"x"},"finish_reason":"eos_token"}]}"#;
    let events = events(body.as_bytes()).unwrap();
    assert!(
        matches!(events.last(), Some(ChatEvent::Finished(FinishReason::Other(reason))) if reason == "eos_token")
    );
}

#[test]
fn an_answer_without_choice_or_end_is_a_bad_response() {
    for body in [
        r#"{"id":"c","model":"m","choices":[]}"#,
        r#"{"id":"c","model":"m","choices":[{"message":{"content":"x"},"finish_reason":null}]}"#,
        r#"{"id":"c","model":"m"}"#,
        "<html>",
        r#"{"id":"c","model":"m","choices":[{"message":{"content":"x"#,
    ] {
        assert_eq!(events(body.as_bytes()).unwrap_err().code, "bad-response", "{body}");
    }
}
