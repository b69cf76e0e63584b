//! Bad requests, made from a good one and from what the API's description has to say of it.

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::goods::{Body, Piece};

/// What is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is not there.
    Missing,
    /// It is there, and no such thing is known.
    Unknown,
    /// The description does not allow it.
    Value,
    /// A text that is no id, where there should be one: as good as unknown.
    NoId,
    /// A text with a NUL in it.
    Nul,
}

/// A bad request.
#[derive(Clone)]
pub struct Spoilt {
    pub wrong: Wrong,
    /// The member that the refusal must name.
    pub member: String,
    pub what: String,
    pub body: Body,
}

/// A member's place: a JSON pointer, its names, and whether an id stands there.
struct Place {
    pointer: String,
    names: Vec<String>,
    is_id: bool,
}

impl Place {
    /// The outermost member: whoever sent it finds the rest.
    fn outer(&self) -> String {
        self.names.first().cloned().unwrap_or_default()
    }
}

/// Of what no member that takes one type can be all.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e300),
        json!(u64::MAX),
        json!(i64::MIN),
        json!("text"),
        json!(""),
        json!([]),
        json!([7]),
        json!({}),
        json!({"a": [1.5, {}]}),
        json!(vec!["x"; 20_001]),
    ]
}

/// Texts beyond the limits that there are, the shortest first.
fn long_texts() -> impl Iterator<Item = Value> {
    [65, 101, 201, 501, 2_049, 4_097, 32_769, 70_000].into_iter().map(|long| json!("a".repeat(long)))
}

/// What is wrong with a JSON body in each way that the description tells, of `good`, whose ids are written `@kind` in `written`.
pub fn json_bodies(schema: &Validator, members: &[String], written: &Value, good: &Value) -> Vec<Spoilt> {
    let mut all = Vec::new();
    let mut places = Vec::new();
    walk(written, &Place { pointer: String::new(), names: Vec::new(), is_id: false }, &mut places);
    for whole in [json!([]), json!(null), json!(7), json!("text")] {
        let what = format!("{whole} as a whole");
        all.push(Spoilt { wrong: Wrong::Value, member: String::new(), what, body: Body::Json(whole) });
    }
    for place in &places {
        let now = good.pointer(&place.pointer).expect("it is there");
        if let Value::Object(inner) = now {
            for name in inner.keys() {
                let mut body = good.clone();
                at(&mut body, &place.pointer).as_object_mut().expect("an object").remove(name);
                push(
                    &mut all,
                    schema,
                    Wrong::Missing,
                    name,
                    format!("without {name} in {}", place.pointer),
                    body,
                );
            }
            let mut body = good.clone();
            at(&mut body, &place.pointer)["no_member_is_called_so"] = json!(1);
            let what = format!("one too many in {}", place.pointer);
            push(&mut all, schema, Wrong::Unknown, "no_member_is_called_so", what, body);
        }
        if place.names.is_empty() {
            continue;
        }
        if let Value::String(text) = now {
            let mut body = good.clone();
            *at(&mut body, &place.pointer) = json!(format!("{text}\0"));
            let what = format!("NUL in {}", place.pointer);
            all.push(Spoilt { wrong: Wrong::Nul, member: place.outer(), what, body: Body::Json(body) });
        }
        // The shortest text that is too long is enough.
        let with = |value: &Value| {
            let mut body = good.clone();
            *at(&mut body, &place.pointer) = value.clone();
            body
        };
        let long = long_texts().find(|text| now.is_string() && !schema.is_valid(&with(text)));
        for value in values().into_iter().chain(long).filter(|value| !is_lenient(now, value)) {
            let wrong = if place.is_id && value.is_string() { Wrong::NoId } else { Wrong::Value };
            let what = format!("{} is {}", place.pointer, brief(&value));
            push(&mut all, schema, wrong, &place.outer(), what, with(&value));
        }
    }
    for member in members.iter().filter(|member| good.get(member.as_str()).is_none()) {
        let long = long_texts().find(|text| {
            let mut body = good.clone();
            body[member] = text.clone();
            !schema.is_valid(&body)
        });
        for value in values().into_iter().chain(long) {
            let what = format!("with {member}: {}", brief(&value));
            let wrong = if value.is_string() { Wrong::NoId } else { Wrong::Value };
            let mut body = good.clone();
            body[member] = value;
            push(&mut all, schema, wrong, member, what, body);
        }
    }
    all
}

/// What serde takes for the same: a word's number among its like, and an object's members in their order.
fn is_lenient(now: &Value, other: &Value) -> bool {
    now.is_string() && *other == json!(0) || now.is_object() && other.is_array()
}

/// Takes it if the description forbids it.
fn push(all: &mut Vec<Spoilt>, schema: &Validator, wrong: Wrong, member: &str, what: String, body: Value) {
    if !schema.is_valid(&body) {
        all.push(Spoilt { wrong, member: member.to_owned(), what, body: Body::Json(body) });
    }
}

fn at<'v>(value: &'v mut Value, pointer: &str) -> &'v mut Value {
    value.pointer_mut(pointer).expect("it is there")
}

fn brief(value: &Value) -> String {
    let text = value.to_string();
    match text.len() {
        0..=40 => text,
        long => format!("{}… ({long} bytes)", &text[..10]),
    }
}

fn walk(value: &Value, place: &Place, all: &mut Vec<Place>) {
    let inner = |name: &str, step: &str, value: &Value| {
        let mut names = place.names.clone();
        names.extend((!name.is_empty()).then(|| name.to_owned()));
        let is_id = value.as_str().is_some_and(|text| text.starts_with('@'));
        Place {
            pointer: format!("{}/{}", place.pointer, step.replace('~', "~0").replace('/', "~1")),
            names,
            is_id,
        }
    };
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                walk(member, &inner(name, name, member), all);
            }
        }
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                walk(item, &inner("", &i.to_string(), item), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all.push(Place { pointer: place.pointer.clone(), names: place.names.clone(), is_id: place.is_id });
}

/// Fields whose content is not looked at.
const OPAQUE_FILES: [&str; 1] = ["file@/v1/files"];

/// The same of a form. `schema` is the description of its fields.
pub fn forms(
    path: &str,
    schema: &Value,
    good: &[(String, Piece)],
    written: &[(String, Piece)],
) -> Vec<Spoilt> {
    let mut all = Vec::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let mut push = |wrong: Wrong, member: &str, what: String, pieces: Vec<(String, Piece)>| {
        all.push(Spoilt { wrong, member: member.to_owned(), what, body: Body::Form(pieces) });
    };
    let without = |name: &str| good.iter().filter(|(known, _)| *known != name).cloned().collect::<Vec<_>>();
    let with = |name: &str, piece: Piece| {
        let mut pieces = without(name);
        // It stands before what may be read to its end only after it.
        pieces.insert(0, (name.to_owned(), piece));
        pieces
    };
    for (name, _) in good {
        if required.iter().any(|wanted| wanted == name) {
            push(Wrong::Missing, name, format!("without {name}"), without(name));
        }
    }
    push(
        Wrong::Unknown,
        "no_field",
        "one too many".to_owned(),
        with("no_field", Piece::Text("1".to_owned())),
    );
    for (name, field) in schema["properties"].as_object().expect("fields") {
        let outer = name.split('[').next().expect("a name");
        if field["format"] == "binary" {
            if !OPAQUE_FILES.contains(&format!("{name}@{path}").as_str()) {
                let piece = Piece::File("a.bin", b"\x01\x02 neither this nor that \xff".to_vec());
                push(Wrong::Value, outer, format!("other content in {name}"), with(name, piece));
            }
            continue;
        }
        let is_id = written.iter().any(|(known, piece)| {
            known == name && matches!(piece, Piece::Text(text) if text.starts_with('@'))
        });
        for bad in bad_texts(field) {
            let wrong = if is_id { Wrong::NoId } else { Wrong::Value };
            push(wrong, outer, format!("{name} is {bad}"), with(name, Piece::Text(bad)));
        }
        let nul = good.iter().find_map(|(known, piece)| match piece {
            Piece::Text(text) if known == name => Some(format!("{text}\0")),
            _ => None,
        });
        let nul = nul.unwrap_or_else(|| "a\0".to_owned());
        push(Wrong::Nul, outer, format!("NUL in {name}"), with(name, Piece::Text(nul)));
    }
    all
}

/// Texts that a field's description does not allow.
fn bad_texts(field: &Value) -> Vec<String> {
    let field = match &field["oneOf"] {
        Value::Array(forms) => &forms[0],
        _ if field["items"].is_object() => &field["items"],
        _ => field,
    };
    let is = |word: &str| {
        field["type"] == word || field["type"].as_array().is_some_and(|types| types.contains(&json!(word)))
    };
    let mut bad = Vec::new();
    if field["enum"].is_array() || field["pattern"].is_string() || is("boolean") {
        bad.push("no such word".to_owned());
    }
    if is("integer") || is("number") {
        bad.extend(["one".to_owned(), "1e999".to_owned()]);
        if is("integer") {
            bad.extend(["1.5".to_owned(), "99999999999999999999999".to_owned()]);
        }
        bad.extend(field["minimum"].as_f64().map(|least| format!("{}", least - 1.0)));
        bad.extend(field["maximum"].as_f64().map(|most| format!("{}", most + 1.0)));
    }
    bad.extend(field["maxLength"].as_u64().map(|most| "a".repeat(usize::try_from(most).expect("small") + 1)));
    bad
}
