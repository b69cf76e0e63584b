//! Every plugin of this repository keeps what the contract promises, and one that does not is found out.

use serde_json::Value;

use crate::{built, plugin, root, stdout, succeeded};

fn passes(name: &str) {
    let file = built(name);
    let checked = plugin([std::ffi::OsStr::new("check"), file.as_os_str()]);
    assert!(succeeded(&checked).contains("It can be installed"), "{}", stdout(&checked));
    let dir = root().join("plugins").join(name);
    let output = plugin([std::ffi::OsStr::new("test"), dir.as_os_str(), "--file".as_ref(), file.as_os_str()]);
    println!("{}", succeeded(&output));
}

#[test]
fn openai_keeps_the_contract() {
    passes("openai");
}

#[test]
fn anthropic_keeps_the_contract() {
    passes("anthropic");
}

#[test]
fn replicate_keeps_the_contract() {
    passes("replicate");
}

#[test]
fn elevenlabs_keeps_the_contract() {
    passes("elevenlabs");
}

#[test]
fn gemini_in_python_keeps_the_contract() {
    passes("gemini-python");
}

#[test]
fn compatible_in_javascript_keeps_the_contract() {
    passes("compatible-js");
}

#[test]
fn a_plugin_that_breaks_its_promises_fails_with_what_was_expected_and_what_came() {
    let file = built("hostile");
    let folder = tempfile::tempdir().expect("a folder");
    let output = plugin([
        "test".as_ref(),
        folder.path().as_os_str(),
        "--json".as_ref(),
        "--file".as_ref(),
        file.as_os_str(),
    ]);
    assert!(!output.status.success(), "{}", stdout(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let rows = report["rows"].as_array().expect("rows");
    let failed: Vec<_> = rows.iter().filter(|row| row["passed"] == false).collect();
    assert!(!failed.is_empty() && failed.len() < rows.len(), "{report}");
    for row in failed {
        for member in ["about", "check", "expected", "found"] {
            assert!(row[member].as_str().is_some_and(|text| !text.is_empty()), "{row}");
        }
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_at_once() {
    let component = std::fs::read(built("hostile")).expect("the plugin");
    let mut wrong = component;
    for (from, to) in [
        (b"\"id\":\"dev/hostile\"".as_slice(), b"\"id\":\"Dev/hostile\"".as_slice()),
        (b"\"version\":\"0.1.0\"", b"\"version\":\"0.1-0\""),
        (b"\"wit\":\"0.1\"", b"\"wit\":\"7.1\""),
    ] {
        let at = wrong.windows(from.len()).rposition(|window| window == from).expect("in the manifest");
        wrong[at..at + to.len()].copy_from_slice(to);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("wrong.wasm");
    std::fs::write(&file, wrong).expect("written");
    let output = plugin(["check".as_ref(), file.as_os_str(), "--json".as_ref()]);
    assert!(!output.status.success());
    let findings: Value = serde_json::from_slice(&output.stdout).expect("findings");
    let mistakes = findings["mistakes"].to_string();
    assert_eq!(findings["mistakes"].as_array().map(Vec::len), Some(3), "{mistakes}");
    for told in ["publisher/name", "semantic version", "7.1"] {
        assert!(mistakes.contains(told), "{told}: {mistakes}");
    }
    let asked = findings["permissions"].to_string();
    assert!(asked.contains("use the secret api-key as a bearer token"), "{asked}");
}
