use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What the host sends for a text whose blobs are byte vectors.
fn sent(text: Text<'_, Vec<u8>>) -> String {
    let mut body = Vec::new();
    for piece in text.into_pieces().unwrap() {
        match piece {
            Piece::Bytes(bytes) => body.extend(bytes),
            Piece::Base64(blob) => body.extend(crate::base64::encode(blob).into_bytes()),
        }
    }
    String::from_utf8(body).unwrap()
}

#[test]
fn blobs_stand_in_strings_as_base64() {
    let (image, sound) = (b"\x89PNG\xff".to_vec(), b"ID3".to_vec());
    let mut text = Text::default();
    text.begin_object()
        .field("a", &1)
        .key("url")
        .data_url("image/png", &image)
        .key("data")
        .base64(&sound)
        .field("b", "x")
        .end_object();
    let value: Value = serde_json::from_str(&sent(text)).unwrap();
    assert_eq!(value, json!({"a": 1, "url": "data:image/png;base64,iVBOR/8=", "data": "SUQz", "b": "x"}));
}

#[test]
fn floats_are_written_as_short_as_they_were_meant() {
    let mut text: Text<'_> = Text::new();
    text.begin_array().value(&0.7f32).value(&1.0f32).value(&f32::NAN).end_array();
    assert_eq!(text.into_string().unwrap(), "[0.7,1.0,null]");
}

#[test]
fn options_are_merged_and_reserved_ones_refused() {
    let mut text: Text<'_> = Text::new();
    text.begin_object().field("model", "m");
    text.merge(r#" {"top_k": 5, "logit_bias": {"50256": -100}, "a\u0062": null} "#, &["model"]).unwrap();
    text.merge("{}", &[]).unwrap();
    text.end_object();
    let value: Value = serde_json::from_str(&text.into_string().unwrap()).unwrap();
    assert_eq!(value, json!({"model": "m", "top_k": 5, "logit_bias": {"50256": -100}, "ab": null}));

    let mut text: Text<'_> = Text::new();
    let failure = text.merge(r#"{"m\u006fdel": "other"}"#, &["model"]).unwrap_err();
    assert_eq!((failure.code.as_str(), failure.param.as_deref()), ("invalid-request", Some("options.model")));
    assert_eq!(text.merge("[]", &[]).unwrap_err().code, "invalid-request");
    assert_eq!(text.merge("{", &[]).unwrap_err().code, "invalid-request");
}

#[test]
fn a_value_without_a_json_form_is_a_failure_not_a_broken_text() {
    let mut text: Text<'_> = Text::new();
    text.value(&std::collections::BTreeMap::from([((1, 2), 3)]));
    assert_eq!(text.into_pieces().unwrap_err().code, "internal");
}

fn write<'b>(text: &mut Text<'b, Vec<u8>>, value: &Value) {
    match value {
        Value::Array(items) => {
            text.begin_array();
            items.iter().for_each(|item| write(text, item));
            text.end_array();
        }
        Value::Object(members) => {
            text.begin_object();
            for (name, member) in members {
                text.key(name);
                write(text, member);
            }
            text.end_object();
        }
        scalar => {
            text.value(scalar);
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,10}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(".{0,6}", inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn every_document_is_written_as_it_is(value in any_json()) {
        let mut text = Text::default();
        write(&mut text, &value);
        prop_assert_eq!(serde_json::from_str::<Value>(&sent(text)).unwrap(), value);
    }

    #[test]
    fn blobs_of_any_content_between_any_strings_come_back(
        parts in prop::collection::vec((".{0,8}", prop::collection::vec(any::<u8>(), 0..40)), 0..6),
    ) {
        let mut text = Text::default();
        text.begin_array();
        for (string, blob) in &parts {
            text.value(string).base64(blob);
        }
        text.end_array();
        let read: Vec<String> = serde_json::from_str(&sent(text)).unwrap();
        let expected: Vec<String> =
            parts.iter().flat_map(|(string, blob)| [string.clone(), crate::base64::encode(blob)]).collect();
        prop_assert_eq!(read, expected);
    }
}
