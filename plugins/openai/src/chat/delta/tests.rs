use super::*;

/// The events of a stream of data texts; then how it ended.
fn run(stream: &[&str]) -> (Vec<ChatEvent>, Result<(), Failure>) {
    let mut state = State::default();
    let mut events = Vec::new();
    for data in stream {
        if let Err(failure) = state.take(data, &mut events) {
            return (events, Err(failure));
        }
    }
    (events, state.end())
}

const FIRST: &str = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"gpt-4o","choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null}"#;
const TEXT: &str = r#"{"id":"chatcmpl-1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"Hel\u006co"},"finish_reason":null}]}"#;
const STOP: &str =
    r#"{"id":"chatcmpl-1","model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"{"id":"chatcmpl-1","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#;

#[test]
fn a_whole_stream_is_started_pieces_finished_and_usage() {
    let (events, end) = run(&[FIRST, TEXT, STOP, USAGE, "[DONE]"]);
    end.unwrap();
    let [
        ChatEvent::Started(started),
        ChatEvent::Text(text),
        ChatEvent::Finished(FinishReason::Stop),
        ChatEvent::Usage(usage),
    ] = events.as_slice()
    else {
        panic!("{events:?}")
    };
    assert_eq!((started.id.as_str(), text.as_str()), ("chatcmpl-1", "Hello"));
    assert_eq!((usage[0].quantity, usage[1].quantity), (5, 2));
}

#[test]
fn a_stream_that_is_not_whole_never_finishes() {
    for stream in
        [&[][..], &[FIRST, TEXT], &[FIRST, TEXT, STOP], &[FIRST, TEXT, STOP, USAGE], &[FIRST, TEXT, "[DONE]"]]
    {
        let (events, end) = run(stream);
        assert_eq!(end.unwrap_err().code, "unavailable", "{stream:?}");
        assert!(
            !events.iter().any(|event| matches!(event, ChatEvent::Finished(_) | ChatEvent::Usage(_))),
            "{events:?}"
        );
    }
}

#[test]
fn an_error_in_the_stream_is_a_failure() {
    let error =
        r#"{"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}"#;
    let (_, end) = run(&[FIRST, error]);
    let failure = end.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("unavailable", "The server had an error"));
    assert_eq!(run(&[FIRST, "{\"id\":"]).1.unwrap_err().code, "bad-response");
}

fn calls(events: &[ChatEvent]) -> Vec<(u32, String)> {
    events
        .iter()
        .filter_map(|event| match event {
            ChatEvent::ToolCallStart(start) => Some((start.index, format!("{}:{}", start.id, start.name))),
            ChatEvent::ToolCallDelta(delta) => Some((delta.index, delta.arguments.clone())),
            _ => None,
        })
        .collect()
}

fn call(json: &str) -> String {
    format!(
        r#"{{"id":"c","model":"m","choices":[{{"index":0,"delta":{{"tool_calls":[{json}]}},"finish_reason":null}}]}}"#
    )
}

#[test]
fn interleaved_tool_calls_are_told_apart() {
    let stream = [
        call(r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#),
        call(r#"{"index":0,"function":{"arguments":"{\"x\""}}"#),
        call(r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}"#),
        call(r#"{"index":0,"function":{"arguments":":1}"}},{"index":1,"function":{"arguments":"{}"}}"#),
    ];
    let (events, _) = run(&stream.each_ref().map(String::as_str));
    let expected = [(0, "a:f"), (0, "{\"x\""), (1, "b:g"), (0, ":1}"), (1, "{}")];
    assert_eq!(calls(&events), expected.map(|(index, text)| (index, text.to_owned())));
}

#[test]
fn servers_that_do_not_count_their_calls_are_understood() {
    let stream = [
        call(r#"{"id":"a","function":{"name":"f","arguments":"{}"}}"#),
        call(r#"{"id":"b","function":{"name":"g","arguments":"{"}}"#),
        call(r#"{"function":{"arguments":"}"}}"#),
    ];
    let (events, _) = run(&stream.each_ref().map(String::as_str));
    let expected = [(0, "a:f"), (0, "{}"), (1, "b:g"), (1, "{"), (1, "}")];
    assert_eq!(calls(&events), expected.map(|(index, text)| (index, text.to_owned())));
}

#[test]
fn other_choices_and_everything_after_the_end_are_passed_over() {
    let second = r#"{"id":"c","model":"m","choices":[{"index":1,"delta":{"content":"other"},"finish_reason":"length"}]}"#;
    let (events, end) = run(&[FIRST, second, STOP, "[DONE]", TEXT]);
    end.unwrap();
    assert!(
        matches!(events.as_slice(), [ChatEvent::Started(_), ChatEvent::Finished(FinishReason::Stop)]),
        "{events:?}"
    );
}
