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

const START: &str = r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":25,"cache_read_input_tokens":7,"output_tokens":1}}}"#;
const PING: &str = r#"{"type":"ping"}"#;
const TEXT: &str = r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
const HELLO: &str =
    r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel\u006co"}}"#;
const CLOSE: &str = r#"{"type":"content_block_stop","index":0}"#;
const END: &str = r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":15}}"#;
const STOP: &str = r#"{"type":"message_stop"}"#;

#[test]
fn a_whole_stream_is_started_pieces_finished_and_usage() {
    let (events, end) = run(&[START, TEXT, PING, HELLO, CLOSE, END, STOP]);
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
    assert_eq!((started.id.as_str(), started.model.as_str()), ("msg_1", "claude-opus-5-5"));
    assert_eq!(text, "Hello");
    let quantities: Vec<u64> = usage.iter().map(|line| line.quantity).collect();
    assert_eq!(quantities, [25, 7, 15]);
}

#[test]
fn a_stream_without_its_stop_never_finishes() {
    for stream in [
        &[][..],
        &[START],
        &[START, TEXT, HELLO],
        &[START, TEXT, HELLO, CLOSE, END],
        &[START, TEXT, HELLO, CLOSE, STOP],
    ] {
        let (events, end) = run(stream);
        assert_eq!(end.unwrap_err().code, "unavailable", "{stream:?}");
        let finished =
            events.iter().any(|event| matches!(event, ChatEvent::Finished(_) | ChatEvent::Usage(_)));
        assert!(!finished, "{events:?}");
    }
}

#[test]
fn an_error_in_the_stream_is_a_failure_and_what_came_before_stays() {
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    let (events, end) = run(&[START, TEXT, HELLO, error]);
    let failure = end.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.message.as_str()), ("overloaded", "Overloaded"));
    assert_eq!(events.len(), 2);
    assert_eq!(run(&[START, "{\"type\":"]).1.unwrap_err().code, "bad-response");
}

#[test]
fn thinking_and_its_signature_are_passed_on() {
    let (events, _) = run(&[
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
        CLOSE,
    ]);
    let [ChatEvent::Thinking(thought), ChatEvent::Thinking(signed)] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!((thought.text.as_str(), thought.signature.as_deref()), ("Hm", None));
    assert_eq!((signed.text.as_str(), signed.signature.as_deref()), ("", Some("c2ln")));
}

#[test]
fn tool_calls_are_counted_by_themselves_and_always_have_arguments() {
    let (events, _) = run(&[
        TEXT,
        CLOSE,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"a","name":"f","input":{}}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"x\""}}"#,
        r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":":1}"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"b","name":"g","input":{}}}"#,
        r#"{"type":"content_block_stop","index":2}"#,
    ]);
    let told: Vec<String> = events
        .iter()
        .map(|event| match event {
            ChatEvent::ToolCallStart(start) => format!("{} {} {}", start.index, start.id, start.name),
            ChatEvent::ToolCallDelta(delta) => format!("{} {}", delta.index, delta.arguments),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["0 a f", "0 {\"x\"", "0 :1}", "1 b g", "1 {}"]);
}

#[test]
fn blocks_of_the_provider_s_own_are_passed_on_whole() {
    let (events, _) = run(&[
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}"#,
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":\"x\"}"}}"#,
        CLOSE,
        r#"{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"abc"}}"#,
        r#"{"type":"content_block_stop","index":1}"#,
        r#"{"type":"content_block_delta","index":2,"delta":{"type":"citations_delta","citation":{"cited_text":"c"}}}"#,
    ]);
    let told: Vec<(&str, &str)> = events
        .iter()
        .map(|event| match event {
            ChatEvent::Other(other) => (other.kind.as_str(), other.json.as_str()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "anthropic.server_tool_use",
                r#"{"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"x"}}"#
            ),
            ("anthropic.redacted_thinking", r#"{"type":"redacted_thinking","data":"abc"}"#),
            ("anthropic.citations", r#"[{"cited_text":"c"}]"#),
        ]
    );
}

#[test]
fn what_a_stream_can_make_the_plugin_keep_is_bounded() {
    let piece = "x".repeat(600 * 1024);
    let delta = format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"input_json_delta","partial_json":"{piece}"}}}}"#
    );
    let start =
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","input":{}}}"#;
    assert_eq!(run(&[start, &delta, &delta]).1.unwrap_err().code, "bad-response");

    let starts: Vec<String> = (0..=OPEN_BLOCKS_MAX)
        .map(|index| {
            format!(r#"{{"type":"content_block_start","index":{index},"content_block":{{"type":"text"}}}}"#)
        })
        .collect();
    let starts: Vec<&str> = starts.iter().map(String::as_str).collect();
    assert_eq!(run(&starts).1.unwrap_err().code, "bad-response");
}
