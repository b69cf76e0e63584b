//! What a person takes with them: all that is theirs, and nothing of anybody else's.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use atelier_domain::export::Section;
use reqwest::Method;
use serde_json::Value;
use zip::ZipArchive;

use crate::installed::answered;
use crate::world::{PASSWORD, PNG, Person, World};

/// The entries of an archive by their names.
type Archive = BTreeMap<String, Vec<u8>>;

async fn exported(world: &World, person: &Person, path: &str) -> Archive {
    let answer = world.request(person, Method::GET, path).send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let bytes = answer.bytes().await.expect("whole");
    let mut archive = ZipArchive::new(Cursor::new(bytes)).expect("an archive");
    let mut entries = Archive::new();
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).expect("an entry");
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("whole, and of its checksum");
        let name = entry.name().expect("text").into_owned();
        assert!(!entries.contains_key(&name), "{name} is there twice");
        entries.insert(name, content);
    }
    entries
}

/// The objects of a document.
fn objects(archive: &Archive, section: Section) -> Vec<Value> {
    let content = archive.get(section.document()).unwrap_or_else(|| panic!("{section:?} is not there"));
    let text = std::str::from_utf8(content).expect("text");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{section:?}: {line}")))
        .collect()
}

/// Where the API shows the same as a document does.
const SHOWN: [(Section, &str); 9] = [
    (Section::Files, "/v1/files"),
    (Section::FineTuning, "/v1/fine_tuning/jobs"),
    (Section::Batches, "/v1/batches"),
    (Section::Conversations, "/api/v1/conversations"),
    (Section::Links, "/api/v1/links"),
    (Section::WebhookEndpoints, "/api/v1/webhook-endpoints"),
    (Section::CreditEntries, "/api/v1/credits/entries"),
    (Section::Usage, "/api/v1/usage"),
    (Section::Keys, "/api/v1/keys"),
];

/// What of a person's things is named in which document.
const NAMED: [(Section, &[&str]); 12] = [
    (Section::Account, &["user-id", "user"]),
    (Section::Keys, &["key"]),
    (Section::Sessions, &["session"]),
    (Section::Files, &["picture", "words", "lines", "turns"]),
    (Section::Generations, &["generation"]),
    (Section::FineTuning, &["training"]),
    (Section::Batches, &["batch"]),
    (Section::Conversations, &["conversation"]),
    (Section::Messages, &["conversation", "message"]),
    (Section::Responses, &["response"]),
    (Section::WebhookDeliveries, &["delivery"]),
    (Section::Usage, &["usage"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_all_that_its_owner_has_and_nothing_of_anybody_else() {
    let world = World::start().await;
    let archive = exported(&world, &world.ada, "/api/v1/account/export").await;
    for section in Section::ALL {
        let found = objects(&archive, section);
        // Nobody here has a provider's key of their own.
        let is_empty = matches!(section, Section::ProviderKeys | Section::Audit);
        assert!(is_empty || !found.is_empty(), "{section:?}");
        let readme = String::from_utf8_lossy(&archive["README.txt"]).into_owned();
        assert!(readme.contains(section.document()) && readme.contains(section.about()), "{section:?}");
    }
    for (section, things) in NAMED {
        let text = String::from_utf8_lossy(&archive[section.document()]).into_owned();
        for thing in things {
            assert!(text.contains(world.ada.thing(thing)), "{section:?} lacks the {thing}: {text}");
        }
    }
    for (section, path) in SHOWN {
        let answer = world.request(&world.ada, Method::GET, path).send().await.expect("answered");
        let mut shown = answered(answer).await.1["data"].as_array().expect("a list").clone();
        let mut found = objects(&archive, section);
        for value in shown.iter_mut().chain(&mut found) {
            value.as_object_mut().expect("an object").remove("last_used");
        }
        assert_eq!(found, shown, "{section:?}");
    }
    // Content, under names that are made of ids alone.
    let (picture, painting) = (world.ada.thing("picture"), world.ada.thing("generation"));
    assert_eq!(archive[&format!("files/{picture}.png")], PNG);
    assert_eq!(archive[&format!("files/{}.txt", world.ada.thing("words"))], b"words");
    let path = format!("/api/v1/generations/{painting}/outputs/0");
    let output = world.request(&world.ada, Method::GET, &path).send().await.expect("answered");
    assert_eq!(
        archive[&format!("generations/{painting}/output-0.png")],
        output.bytes().await.expect("whole")
    );
    assert!(!archive.contains_key("missing.ndjson"));
    assert_eq!(objects(&archive, Section::Messages).len(), 2);
    assert!(objects(&archive, Section::Responses)[0]["answer"]["output"].is_array());

    for (name, content) in &archive {
        let text = String::from_utf8_lossy(content);
        for kind in [
            "user-id",
            "key",
            "session",
            "picture",
            "generation",
            "batch",
            "conversation",
            "endpoint",
            "link",
        ] {
            assert!(!text.contains(world.bob.thing(kind)), "{name} has bob's {kind}");
        }
        for secret in [world.ada.key.as_str(), PASSWORD, "whsec_", "sk-test-", "$argon2"] {
            assert!(!text.contains(secret), "{name} has a secret");
        }
    }
    // An administrator gets the same, and nobody else does.
    let path = format!("/api/v1/users/{}/export", world.ada.thing("user-id"));
    let same = exported(&world, &world.admin, &path).await;
    assert_eq!(same.keys().collect::<Vec<_>>(), archive.keys().collect::<Vec<_>>());
    assert_eq!(same[Section::Messages.document()], archive[Section::Messages.document()]);
    let refused = world.request(&world.bob, Method::GET, &path).send().await.expect("answered");
    assert_eq!(answered(refused).await.0, 403);
}
