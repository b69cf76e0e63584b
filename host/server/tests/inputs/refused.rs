//! Requests as they are sent, and the members in them that take ids.

use std::collections::BTreeSet;

use atelier_server::http::route::{Media, table};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::goods::{self, Body, Piece, asker, takes};
use crate::installed::answered;
use crate::paths::filled;
use crate::world::World;

/// The API's description, as it is committed; that it is the host's is tested in `routes/openapi.rs`.
pub fn document() -> Value {
    serde_json::from_str(include_str!("../../openapi.json")).expect("JSON")
}

/// The description of a route's body of this content type.
pub fn described<'d>(document: &'d Value, path: &str, content_type: &str) -> &'d Value {
    let mut schema =
        &document["paths"][path.replace("{*", "{")]["post"]["requestBody"]["content"][content_type]["schema"];
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(&reference[1..]).expect("a component");
    }
    assert!(schema.is_object(), "{path} is not described as {content_type}");
    schema
}

pub fn carrying(request: RequestBuilder, body: &Body) -> RequestBuilder {
    match body {
        Body::Json(value) => request.json(value),
        Body::Form(pieces) => {
            let form = pieces.iter().fold(Form::new(), |form, (name, piece)| match piece {
                Piece::Text(text) => form.text(name.clone(), text.clone()),
                Piece::File(file, bytes) => {
                    form.part(name.clone(), Part::bytes(bytes.clone()).file_name(*file))
                }
            });
            request.multipart(form)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_a_body_takes_a_good_request_or_refuses_it_for_its_one_reason() {
    let world = World::start().await;
    let goods = goods::all();
    let (mut faults, mut count) = (Vec::new(), 0);
    for route in table().iter().filter(|route| route.media != Media::None) {
        let of_route: Vec<_> = goods.iter().filter(|good| good.path == route.path).collect();
        for media in [Media::Json, Media::Form] {
            let is_sent = of_route.iter().any(|good| takes(media, &good.body));
            let is_taken = route.media == media || route.media == Media::JsonOrForm;
            assert_eq!(is_sent, is_taken, "{}: `goods.rs` needs a good request as {media:?}", route.path);
        }
        for good in of_route {
            let (person, owner) = asker(&world, route);
            let path = filled(route.path, owner, None);
            let request = carrying(world.request(person, Method::POST, &path), &goods::of(owner, &good.body));
            let (status, told) = answered(request.send().await.expect("answered")).await;
            let error = if told["error"].is_object() { &told["error"] } else { &told };
            let is_right = good.code.is_none_or(|code| error["code"] == code);
            if status != good.status || !is_right {
                faults.push(format!("{}: {status} {told}", route.path));
            }
            count += 1;
        }
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert_eq!(count, goods.len(), "each good request is of a route");
}

/// A member that takes an id has one in a good request, so that a stranger's is tried there.
#[test]
fn every_member_that_takes_an_id_has_one_in_a_good_request() {
    let document = document();
    for good in goods::all() {
        let content_type = match good.body {
            Body::Json(_) => "application/json",
            Body::Form(_) => "multipart/form-data",
        };
        let (mut wanted, mut seen) = (BTreeSet::new(), BTreeSet::new());
        ids(&document, described(&document, good.path, content_type), "", &mut wanted, &mut seen);
        let others = goods::all().into_iter().filter(|other| other.path == good.path);
        let sent: String = others.map(|other| written(&other.body)).collect();
        for member in wanted {
            let is_sent =
                sent.contains(&format!("\"{member}\":\"@")) || sent.contains(&format!("\"{member}\":[\"@"));
            assert!(is_sent, "{}: `goods.rs` has no id as {member}: {sent}", good.path);
        }
    }
}

fn written(body: &Body) -> String {
    match body {
        Body::Json(value) => value.to_string(),
        Body::Form(pieces) => {
            let text = |(name, piece): &(String, Piece)| match piece {
                Piece::Text(text) => Some((name.clone(), json!(text))),
                Piece::File(..) => None,
            };
            Value::Object(pieces.iter().filter_map(text).collect()).to_string()
        }
    }
}

/// The members of a description that take ids of ours.
fn ids(
    document: &Value,
    schema: &Value,
    name: &str,
    all: &mut BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) {
    if let Some(reference) = schema["$ref"].as_str() {
        if seen.insert(reference.to_owned()) {
            ids(document, document.pointer(&reference[1..]).expect("a component"), name, all, seen);
        }
        return;
    }
    let prefixes = ["^file-", "^resp_", "^video_", "^batch_", "^ftjob-"];
    let pattern = schema["pattern"].as_str().unwrap_or_default();
    if schema["format"] == "uuid" || prefixes.iter().any(|prefix| pattern.starts_with(prefix)) {
        all.insert(name.to_owned());
    }
    for forms in ["oneOf", "anyOf", "allOf"] {
        for form in schema[forms].as_array().into_iter().flatten() {
            ids(document, form, name, all, seen);
        }
    }
    ids_of_items(document, &schema["items"], name, all, seen);
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        ids(document, member, name, all, seen);
    }
}

fn ids_of_items(
    document: &Value,
    items: &Value,
    name: &str,
    all: &mut BTreeSet<String>,
    seen: &mut BTreeSet<String>,
) {
    if items.is_object() {
        ids(document, items, name, all, seen);
    }
}
