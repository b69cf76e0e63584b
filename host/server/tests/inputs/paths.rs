//! What the parts of paths stand for.

use crate::world::Person;

/// What stands in a path.
#[derive(Clone, Copy)]
pub enum Part {
    /// The id of a thing of this kind, which is somebody's.
    Theirs(&'static str),
    /// A number within what is named before it.
    Number,
    /// Everybody's, or nobody's: an example, and why nobody can be refused for whose it is.
    Everybodys(&'static str),
}

/// The parts of each path that has some, in their order.
///
/// # Panics
/// For a path that is not known: say what its parts are.
pub fn parts(path: &str) -> Vec<(&'static str, Part)> {
    use Part::{Everybodys, Number, Theirs};
    let resource = path.trim_start_matches("/api").trim_start_matches("/v1/");
    let known: &[(&str, &[(&str, Part)])] = &[
        // A model is seen by whoever may use it; a tuned one by its owner, as `models` tests.
        ("models/", &[("*id", Everybodys("mock/mock-chat"))]),
        ("responses/", &[("id", Theirs("response"))]),
        ("videos/", &[("id", Theirs("video"))]),
        ("files/", &[("id", Theirs("picture"))]),
        ("batches/", &[("id", Theirs("batch"))]),
        ("fine_tuning/jobs/", &[("id", Theirs("training"))]),
        ("generations/{id}/outputs/", &[("id", Theirs("generation")), ("index", Number)]),
        ("generations/", &[("id", Theirs("generation"))]),
        ("templates/", &[("id", Theirs("template"))]),
        (
            "webhook-endpoints/{id}/deliveries/",
            &[("id", Theirs("endpoint")), ("delivery", Theirs("delivery"))],
        ),
        ("webhook-endpoints/", &[("id", Theirs("endpoint"))]),
        ("provider-keys/", &[("instance", Everybodys("mock"))]),
        ("conversations/{id}/messages/", &[("id", Theirs("conversation")), ("message", Theirs("message"))]),
        ("conversations/", &[("id", Theirs("conversation"))]),
        ("auth/sessions/", &[("id", Theirs("session"))]),
        ("links/{id}/", &[("id", Theirs("link"))]),
        // Who has the address has the permission.
        ("/links/{token}", &[("token", Everybodys("AAAA"))]),
        ("/shares/{token}", &[("token", Everybodys("AAAA"))]),
        ("/hooks/{token}", &[("token", Everybodys("AAAA"))]),
        ("usage/", &[("id", Theirs("usage"))]),
        ("keys/", &[("id", Theirs("key"))]),
        ("users/", &[("id", Theirs("user-id"))]),
        // The operator's.
        ("plugins/", &[("publisher", Everybodys("atelier")), ("name", Everybodys("openai"))]),
    ];
    if !path.contains('{') {
        return Vec::new();
    }
    let found = known.iter().find(|(prefix, parts)| {
        resource.starts_with(prefix) && parts.iter().all(|(name, _)| path.contains(&format!("{{{name}}}")))
    });
    let (_, parts) = found.unwrap_or_else(|| panic!("{path}: say in `paths.rs` what its parts are"));
    assert_eq!(path.matches('{').count(), parts.len(), "{path}: say in `paths.rs` what its parts are");
    parts.to_vec()
}

/// The path with what `owner` has, but for one part that is replaced.
pub fn filled(path: &str, owner: &Person, replaced: Option<(&str, &str)>) -> String {
    let mut whole = path.to_owned();
    for (name, part) in parts(path) {
        let own = match part {
            Part::Theirs(kind) => owner.thing(kind),
            Part::Number => "0",
            Part::Everybodys(example) => example,
        };
        let put = replaced.filter(|(wanted, _)| *wanted == name).map_or(own, |(_, other)| other);
        whole = whole.replace(&format!("{{{name}}}"), put);
    }
    whole
}
