//! A new plugin, as it is written.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{built, plugin, root, stderr, succeeded};

/// Cargo's target folder of this workspace: what the guests have in common is compiled there already.
fn target() -> PathBuf {
    built("openai").parent().and_then(Path::parent).expect("target/plugins").to_owned()
}

fn new(dir: &Path, capabilities: &str) {
    let sdk = root().join("plugin-sdk");
    let output = plugin([
        "new".as_ref(),
        dir.as_os_str(),
        "--id".as_ref(),
        "acme-labs/tiny".as_ref(),
        "--capabilities".as_ref(),
        capabilities.as_ref(),
        "--sdk".as_ref(),
        sdk.as_os_str(),
    ]);
    let told = succeeded(&output);
    assert!(told.contains("It uses the SDK at") && told.contains("atelier plugin build"), "{told}");
    // The versions that this repository is tested with, so that this test does not depend on the day.
    fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock")).expect("copied");
}

fn build(dir: &Path) -> PathBuf {
    let output = plugin(["build".as_ref(), dir.as_os_str(), "--target-dir".as_ref(), target().as_os_str()]);
    let printed = succeeded(&output);
    let file = PathBuf::from(printed.lines().last().expect("a path"));
    assert!(file.ends_with("target/plugins/tiny-0.1.0.wasm"), "{}", file.display());
    file
}

fn report(dir: &Path) -> Value {
    let output = plugin([OsStr::new("test"), dir.as_os_str(), "--json".as_ref()]);
    serde_json::from_str(&succeeded(&output)).expect("a report")
}

#[test]
fn a_new_plugin_builds_and_passes_check_and_test_and_can_be_signed_as_it_is_written() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("tiny");
    new(&dir, "chat,embedding,media,moderation,speech,transcription");
    let file = build(&dir);
    let checked = succeeded(&plugin([OsStr::new("check"), file.as_os_str()]));
    assert!(checked.contains("acme-labs/tiny 0.1.0") && !checked.contains("warning"), "{checked}");
    let all = report(&dir);
    let about = |name: &str| all["rows"].as_array().expect("rows").iter().any(|row| row["about"] == name);
    for interface in ["catalog", "chat", "embedding", "media", "moderation", "speech", "transcription"] {
        assert!(about(interface), "{interface} is not held against anything");
    }
    let chat = all["limits"].as_array().expect("limits").iter().find(|usage| usage["interface"] == "chat");
    let memory = &chat.expect("chat")["limits"][0];
    assert!(
        memory["used"].as_u64() > Some(0) && memory["used"].as_u64() < memory["granted"].as_u64(),
        "{memory}"
    );

    let key = folder.path().join("publisher");
    let signed = succeeded(&plugin(["sign".as_ref(), file.as_os_str(), "--key".as_ref(), key.as_os_str()]));
    assert!(signed.contains("publisher = \"acme-labs\""), "{signed}");
    let again = succeeded(&plugin(["sign".as_ref(), file.as_os_str(), "--key".as_ref(), key.as_os_str()]));
    assert_eq!(signed, again, "the same key signs again");

    // One capability alone leaves a whole plugin too.
    let single = folder.path().join("single");
    new(&single, "speech");
    build(&single);
    assert!(report(&single)["rows"].as_array().expect("rows").iter().all(|row| row["about"] != "chat"));
}

#[test]
fn what_cannot_be_begun_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let begun = |capabilities: &str, id: &str| {
        let dir = folder.path().join("refused");
        let output = plugin([
            "new".as_ref(),
            dir.as_os_str(),
            "--id".as_ref(),
            OsStr::new(id),
            "--capabilities".as_ref(),
            OsStr::new(capabilities),
        ]);
        assert!(!output.status.success() && !dir.exists(), "nothing is half-written");
        stderr(&output)
    };
    assert!(begun("chat,music", "acme-labs/tiny").contains("it has chat, embedding"));
    assert!(begun("chat", "Tiny").contains("publisher/name"));
    let test = plugin([OsStr::new("test"), root().join("plugins/openai").as_os_str()]);
    assert!(stderr(&test).contains("atelier plugin build"), "{}", stderr(&test));
}
