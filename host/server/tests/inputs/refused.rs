//! Each route with a body, asked in every bad way.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use atelier_server::http::route::{Media, Route, table};
use jsonschema::Validator;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::goods::{self, Body, Good, Piece, asker, takes};
use crate::installed::answered;
use crate::paths::filled;
use crate::spoilt::{self, Spoilt, Wrong};
use crate::world::{Person, World};

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

fn validator(document: &Value, schema: &Value) -> Validator {
    let mut whole = schema.clone();
    whole["components"] = document["components"].clone();
    jsonschema::options().should_validate_formats(true).build(&whole).expect("a schema")
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

/// What a refusal says: its code, what it names, and its message.
fn read(told: &Value) -> Option<(String, String)> {
    let error = if told["error"].is_object() { &told["error"] } else { told };
    let code = error["code"].as_str()?.to_owned();
    let message = error["message"].as_str().or(error["detail"].as_str())?;
    Some((code, format!("{} {message}", error["param"].as_str().unwrap_or_default())))
}

impl Good {
    /// Whether it is taken, or refused for its one reason.
    fn is_refused_for_its_reason(&self, told: &Value) -> bool {
        self.code.is_none_or(|wanted| read(told).is_some_and(|(code, _)| code == wanted))
    }
}

/// What is wrong with an answer to a bad request; nothing if it is as it should be.
fn fault(spoilt: &Spoilt, good: &Good, status: u16, told: &Value) -> Option<String> {
    let Some((_, says)) = read(told) else {
        return Some(format!("{status} without the shape of an error: {told}"));
    };
    for word in ["src/", ".rs", "panicked", "serde"] {
        if says.contains(word) {
            return Some(format!("it says how it is made: {told}"));
        }
    }
    let may = match (good.is_closed(), &spoilt.wrong) {
        (true, _) => &[404][..],
        (_, Wrong::NoId | Wrong::Nul) => &[400, 404],
        (_, Wrong::Missing | Wrong::Unknown | Wrong::Value) => &[400],
    };
    if !may.contains(&status) {
        return Some(format!("{status}: {told}"));
    }
    if good.code.is_some() && good.is_refused_for_its_reason(told) {
        return None;
    }
    (status == 400 && !says.contains(&spoilt.member))
        .then(|| format!("it does not name {}: {told}", spoilt.member))
}

/// Asks one route in every bad way; gives what was not as it should be, and how often it was asked.
async fn asked(world: &World, document: &Value, route: &Route, good: &Good) -> (Vec<String>, usize) {
    let (person, owner) = asker(world, route);
    let path = filled(route.path, owner, None);
    let body = goods::of(owner, &good.body);
    let (spoilt, content_type) = match (&good.body, &body) {
        (Body::Json(written), Body::Json(value)) => {
            let schema = described(document, route.path, "application/json");
            let validator = validator(document, schema);
            assert!(validator.is_valid(value), "{}: what is good is not as described: {value}", route.path);
            let members =
                schema["properties"].as_object().map(|members| members.keys().cloned().collect::<Vec<_>>());
            (
                spoilt::json_bodies(&validator, &members.unwrap_or_default(), written, value),
                "application/json",
            )
        }
        (Body::Form(written), Body::Form(pieces)) => {
            let schema = described(document, route.path, "multipart/form-data");
            (spoilt::forms(route.path, schema, pieces, written), "multipart/form-data; boundary=x")
        }
        (Body::Json(_), Body::Form(_)) | (Body::Form(_), Body::Json(_)) => {
            unreachable!("it stays what it is")
        }
    };
    let mut faults = Vec::new();
    let before = world.state().await;
    let mut count = spoilt.len();
    for spoilt in spoilt {
        let request = carrying(world.request(person, Method::POST, &path), &spoilt.body);
        let (status, told) = answered(request.send().await.expect("answered")).await;
        // What makes a text too long may make its body too large.
        if status == 413 && written(&spoilt.body).len() > route.body_max {
            continue;
        }
        let fault = fault(&spoilt, good, status, &told);
        faults.extend(fault.map(|fault| format!("{} {}: {fault}", route.path, spoilt.what)));
    }
    for (what, bytes) in malformed(&good.body) {
        let request =
            world.request(person, Method::POST, &path).header("content-type", content_type).body(bytes);
        let (status, told) = answered(request.send().await.expect("answered")).await;
        let wanted = if good.is_closed() { 404 } else { 400 };
        let is_right = status == wanted && read(&told).is_some();
        faults.extend((!is_right).then(|| format!("{} {what}: {status} {told}", route.path)));
        count += 1;
    }
    for is_told in [true, false] {
        if let Some(told) = too_large(world, person, route, &path, content_type, is_told, good.is_closed()) {
            faults.push(format!("{} with too large a body, its size {is_told}: {told}", route.path));
        }
    }
    let after = world.state().await;
    for (place, then) in &before {
        let now = &after[place];
        faults.extend((now != then).then(|| format!("{}: {place} was {then} and is {now}", route.path)));
    }
    (faults, count + 2)
}

fn malformed(body: &Body) -> Vec<(&'static str, Vec<u8>)> {
    match body {
        Body::Json(value) => {
            let whole = value.to_string().into_bytes();
            let cut = whole[..whole.len() - 1].to_vec();
            let first = value.as_object().and_then(|members| members.keys().next()).expect("a member");
            let with = |bytes: &[u8]| [format!("{{\"{first}\": ").as_bytes(), bytes].concat();
            vec![
                ("nothing", Vec::new()),
                ("cut", cut),
                ("more behind its end", [whole.as_slice(), b" {}"].concat()),
                ("no UTF-8", with(b"\"\xff\xfe\"}")),
                ("a lone surrogate", with(b"\"\\ud800\"}")),
                ("too deep", with("[".repeat(10_000).as_bytes())),
            ]
        }
        Body::Form(_) => vec![
            ("nothing", Vec::new()),
            ("cut", b"--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nmock".to_vec()),
            ("no form", b"model=x&prompt=y".to_vec()),
        ],
    }
}

/// Sends more than the route takes, telling how much beforehand or not; gives what was answered if it is not a refusal.
fn too_large(
    world: &World,
    person: &Person,
    route: &Route,
    path: &str,
    content_type: &str,
    is_told: bool,
    is_closed: bool,
) -> Option<String> {
    const IN_PIECES_MAX: usize = 2 << 20;
    if !is_told && route.body_max > IN_PIECES_MAX {
        // How large bodies are read is the same for all of a kind, and has its own tests.
        return None;
    }
    let address = world.atelier.base.trim_start_matches("http://");
    let mut connection = TcpStream::connect(address).expect("connected");
    let length = match is_told {
        // A client that asks first is answered at once; what another one sends is read for a while.
        true => format!("content-length: {}\r\nexpect: 100-continue", route.body_max + 1),
        false => "transfer-encoding: chunked".to_owned(),
    };
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: {content_type}\r\n{length}\r\n\r\n",
        person.key
    );
    connection.write_all(head.as_bytes()).expect("sent");
    if !is_told {
        let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
        for _ in 0..=route.body_max / 0x10000 {
            if connection.write_all(&piece).is_err() {
                // It was told already.
                break;
            }
        }
        // It may have been told already.
        let _sent_or_not = connection.write_all(b"0\r\n\r\n");
    }
    let mut heard = [0; 4096];
    let count = connection.read(&mut heard).expect("answered");
    let heard = String::from_utf8_lossy(&heard[..count]).into_owned();
    let wanted = if is_closed { "HTTP/1.1 404" } else { "HTTP/1.1 413" };
    (!heard.starts_with(wanted)).then_some(heard)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_with_a_body_refuses_what_its_description_forbids_and_leaves_nothing_behind() {
    let world = World::start().await;
    let (document, goods) = (document(), goods::all());
    let (mut faults, mut count, mut used) = (Vec::new(), 0, BTreeSet::new());
    for route in table().iter().filter(|route| route.media != Media::None) {
        let of_route: Vec<_> = goods.iter().enumerate().filter(|(_, good)| good.path == route.path).collect();
        for media in [Media::Json, Media::Form] {
            let is_sent = of_route.iter().any(|(_, good)| takes(media, &good.body));
            let is_taken = route.media == media || route.media == Media::JsonOrForm;
            assert_eq!(is_sent, is_taken, "{}: `goods.rs` needs a good request as {media:?}", route.path);
        }
        for (index, good) in of_route {
            used.insert(index);
            let (found, asked) = asked(&world, &document, route, good).await;
            count += asked;
            faults.extend(found);
        }
    }
    // Only then what is good, since that changes what there is.
    for route in table().into_iter().filter(|route| route.media != Media::None) {
        for good in goods.iter().filter(|good| good.path == route.path) {
            let (person, owner) = asker(&world, &route);
            let path = filled(route.path, owner, None);
            let request = carrying(world.request(person, Method::POST, &path), &goods::of(owner, &good.body));
            let (status, told) = answered(request.send().await.expect("answered")).await;
            if status != good.status || !good.is_refused_for_its_reason(&told) {
                faults.push(format!("{}: what is good is answered {status} {told}", route.path));
            }
        }
    }
    assert_eq!(used.len(), goods.len(), "each good request is of a route");
    println!("{count} bad requests");
    assert!(
        faults.is_empty(),
        "{} of {count} were not as they should be:\n{}",
        faults.len(),
        faults.join("\n")
    );
    assert!(count > 2_500, "only {count} bad requests");
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
