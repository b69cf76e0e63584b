//! The published contract is what its recorded hash says.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn contract(root: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("--root")
        .arg(root)
        .arg("contract")
        .args(more)
        .env_remove("CARGO_MANIFEST_DIR")
        .output()
        .expect("it runs")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_contract_is_what_was_recorded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let output = contract(&root, &[]);
    assert!(output.status.success(), "{}", told(&output));
}

#[test]
fn a_change_is_refused_with_what_to_do_and_a_frozen_version_cannot_be_recorded_again() {
    let root = tempfile::tempdir().expect("a folder");
    let root = root.path();
    fs::create_dir_all(root.join("wit/0.9")).expect("a folder");
    fs::write(root.join("Cargo.toml"), "[workspace]\n").expect("written");
    let wit = root.join("wit/0.9/types.wit");
    fs::write(&wit, "package atelier:provider@0.9.0;\n").expect("written");
    assert!(!contract(root, &[]).status.success(), "nothing is recorded yet");
    assert!(contract(root, &["--record"]).status.success());
    assert!(contract(root, &[]).status.success());

    fs::write(&wit, "package atelier:provider@0.9.0;\ninterface more {}\n").expect("written");
    let changed = contract(root, &[]);
    assert!(!changed.status.success());
    assert!(told(&changed).contains("cargo xtask contract --record"), "{}", told(&changed));

    let versions = root.join("wit/versions.toml");
    let text = fs::read_to_string(&versions).expect("recorded").replace("frozen = false", "frozen = true");
    fs::write(&versions, text).expect("written");
    let frozen = contract(root, &["--record"]);
    assert!(!frozen.status.success());
    assert!(told(&frozen).contains("it is frozen"), "{}", told(&frozen));

    fs::remove_file(&wit).expect("removed");
    fs::remove_dir(root.join("wit/0.9")).expect("removed");
    fs::create_dir(root.join("wit/1.0")).expect("made");
    assert!(told(&contract(root, &[])).contains("wit/0.9 is gone"));
}
