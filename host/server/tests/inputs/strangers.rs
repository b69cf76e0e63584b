//! Another person's ids, wherever one can be sent.

use atelier_domain::account::Scope;
use atelier_server::http::route::{Access, Media, Route, table};
use reqwest::Method;
use serde_json::Value;

use crate::goods::{self, Body, Piece, asker};
use crate::installed::answered;
use crate::paths::{Part, filled, parts};
use crate::refused::carrying;
use crate::world::{Person, World};

/// The good body of a route with the asker's own things in it.
fn body_of(route: &Route, owner: &Person) -> Option<Body> {
    if route.media == Media::None {
        return None;
    }
    let good = goods::all().into_iter().find(|good| good.path == route.path);
    Some(goods::of(owner, &good.unwrap_or_else(|| panic!("{} has no good request", route.path)).body))
}

async fn ask(world: &World, person: &Person, route: &Route, path: &str, body: Option<&Body>) -> (u16, Value) {
    let request =
        world.request(person, Method::from_bytes(route.method.as_str().as_bytes()).expect("a method"), path);
    let request = match body {
        Some(body) => carrying(request, body),
        None => request,
    };
    answered(request.send().await.expect("answered")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_s_id_in_a_path_is_not_there() {
    let world = World::start().await;
    let before = world.state().await;
    let (mut faults, mut count) = (Vec::new(), 0);
    for route in table() {
        for (name, part) in parts(route.path) {
            let Part::Theirs(kind) = part else { continue };
            let is_of_admins = matches!(route.access, Access::Key(Scope::Admin | Scope::PluginAdmin));
            let body = body_of(&route, &world.bob);
            let hers = world.ada.thing(kind);
            let path = filled(route.path, &world.bob, Some((name, hers)));
            let (status, told) = ask(&world, &world.bob, &route, &path, body.as_ref()).await;
            // Who may not ask at all learns nothing of what is there either.
            let wanted = if is_of_admins { 403 } else { 404 };
            if status != wanted || told.to_string().contains(hers) {
                faults.push(format!("{} {path}: {status} {told}", route.method));
            }
            count += 1;
        }
    }
    let after = world.state().await;
    for (place, then) in &before {
        let now = &after[place];
        faults.extend((now != then).then(|| format!("{place} was {then} and is {now}")));
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count > 40, "only {count} ids in paths");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_s_id_in_a_body_is_not_there() {
    let world = World::start().await;
    let before = world.state().await;
    let (mut faults, mut count) = (Vec::new(), 0);
    for route in table().iter().filter(|route| route.media != Media::None) {
        for good in goods::all().into_iter().filter(|good| good.path == route.path) {
            let (person, owner) = asker(&world, route);
            let path = filled(route.path, owner, None);
            for place in ids_in(&good.body) {
                if let Some(kind) = ANYBODYS.iter().find(|kind| place.kind == **kind) {
                    assert_eq!(person.name, "admin", "{}: only an administrator names {kind}s", route.path);
                    continue;
                }
                let theirs = world.bob.thing(&place.kind).to_owned();
                let body = place.filled(&goods::of(owner, &good.body), &theirs);
                let (status, told) = ask(&world, person, route, &path, Some(&body)).await;
                let leaks = told.to_string().contains(&theirs);
                if status != 404 || leaks {
                    faults.push(format!("{} with another's {}: {status} {told}", route.path, place.what));
                }
                count += 1;
            }
        }
    }
    let after = world.state().await;
    for (place, then) in &before {
        let now = &after[place];
        faults.extend((now != then).then(|| format!("{place} was {then} and is {now}")));
    }
    assert!(faults.is_empty(), "{} of {count}:\n{}", faults.len(), faults.join("\n"));
    assert!(count >= 12, "only {count} ids in bodies");
}

/// What an administrator may name, whoever it is.
const ANYBODYS: [&str; 2] = ["user", "user-id"];

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_id_in_a_path_is_refused_and_breaks_nothing() {
    let world = World::start().await;
    let long = "a".repeat(4_000);
    let mut faults = Vec::new();
    for route in table() {
        let (person, owner) = asker(&world, &route);
        let body = body_of(&route, owner);
        for (name, _) in parts(route.path) {
            for bad in [
                "x",
                "0",
                "-1",
                "%00",
                "%2e%2e%2f",
                "%ff",
                "%F0%9F%A6%8A",
                "00000000-0000-0000-0000-000000000000",
                &long,
            ] {
                let path = filled(route.path, owner, Some((name, bad)));
                if path.ends_with("/0") || path.contains("/0/") && name == "index" {
                    continue;
                }
                let (status, told) = ask(&world, person, &route, &path, body.as_ref()).await;
                if ![400, 404].contains(&status) {
                    faults.push(format!(
                        "{} {}: {status} {told}",
                        route.method,
                        &path[..path.len().min(200)]
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}:\n{}", faults.len(), faults.join("\n"));
}

/// A place in a body where an id stands.
struct Place {
    kind: String,
    what: String,
    at: At,
}

enum At {
    Pointer(String),
    Field(usize),
}

impl Place {
    /// The body with another id there.
    fn filled(&self, body: &Body, id: &str) -> Body {
        let mut body = body.clone();
        match (&self.at, &mut body) {
            (At::Pointer(pointer), Body::Json(value)) => {
                *value.pointer_mut(pointer).expect("it is there") = id.into()
            }
            (At::Field(index), Body::Form(pieces)) => pieces[*index].1 = Piece::Text(id.to_owned()),
            (At::Pointer(_), Body::Form(_)) | (At::Field(_), Body::Json(_)) => {
                unreachable!("places are of their body")
            }
        }
        body
    }
}

fn ids_in(body: &Body) -> Vec<Place> {
    fn walk(value: &Value, pointer: &str, all: &mut Vec<Place>) {
        match value {
            Value::String(text) => {
                if let Some(kind) = text.strip_prefix('@') {
                    let at = At::Pointer(pointer.to_owned());
                    all.push(Place { kind: kind.to_owned(), what: format!("{kind} at {pointer}"), at });
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, item)| walk(item, &format!("{pointer}/{i}"), all));
            }
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| walk(member, &format!("{pointer}/{name}"), all));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    let mut all = Vec::new();
    match body {
        Body::Json(value) => walk(value, "", &mut all),
        Body::Form(pieces) => {
            for (index, (name, piece)) in pieces.iter().enumerate() {
                if let Piece::Text(text) = piece
                    && let Some(kind) = text.strip_prefix('@')
                {
                    all.push(Place {
                        kind: kind.to_owned(),
                        what: format!("{kind} as {name}"),
                        at: At::Field(index),
                    });
                }
            }
        }
    }
    all
}
