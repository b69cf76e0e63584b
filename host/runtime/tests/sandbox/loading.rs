//! Files that are plugins, files that are none, and how they are compiled.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::time::SystemClock;
use atelier_runtime::{CompileError, CompileLimits, Compiler, Package, PackageError, SandboxError};

use crate::support::{Host, assert_good, chat, hostile_file, profile};
use crate::table_bomb::{MANIFEST, component, with_section};

const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "atelier:provider/catalog@0.1.0#describe") (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#discover") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#get-model") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#voices") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#check") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/chat@0.1.0#generate") (param i32) (result i32) unreachable))"#;

fn plugin() -> Vec<u8> {
    with_section(component(MODULE), "atelier:manifest", MANIFEST.as_bytes())
}

fn refused(bytes: &[u8]) -> PackageError {
    Package::read(bytes).expect_err("this is no plugin")
}

#[test]
fn a_plugin_is_read_without_running_any_of_it() {
    let package = Package::read(&plugin()).expect("a plugin");
    assert_eq!(package.manifest.id, "dev/by-hand");
    assert!(package.capabilities.iter().any(|name| name == "chat"));
    assert!(!package.needs_wasi);
}

#[test]
fn a_file_cut_short_or_with_a_flipped_bit_is_corrupt_or_another_plugin_but_never_a_panic() {
    let whole = plugin();
    for length in (0..whole.len()).step_by(7) {
        assert!(Package::read(&whole[..length]).is_err(), "cut to {length}");
    }
    for position in (0..whole.len()).step_by(11) {
        let mut flipped = whole.clone();
        flipped[position] ^= 0x55;
        if let Ok(package) = Package::read(&flipped) {
            assert_ne!(package.digest, Package::read(&whole).expect("a plugin").digest);
        }
    }
    assert!(matches!(refused(&whole[..whole.len() / 2]), PackageError::Corrupt(_)));
}

#[test]
fn a_core_module_is_told_from_a_component() {
    let module = wat::parse_str(MODULE).expect("a module");
    assert!(matches!(refused(&module), PackageError::CoreModule));
}

#[test]
fn a_component_without_a_manifest_of_its_own_is_refused() {
    assert!(matches!(refused(&component(MODULE)), PackageError::NoManifest));
    // The manifest of a component inside it is not its own.
    let inner = with_section(b"\0asm\x0d\0\x01\0".to_vec(), "atelier:manifest", MANIFEST.as_bytes());
    let mut outer = component(MODULE);
    outer.extend([4, u8::try_from(inner.len()).expect("a short component")]);
    outer.extend(inner);
    assert!(matches!(refused(&outer), PackageError::NoManifest));
}

#[test]
fn a_component_of_another_version_of_the_contract_is_refused_and_told_which() {
    let text =
        "(component (instance $catalog) (export \"atelier:provider/catalog@0.7.0\" (instance $catalog)))";
    match refused(&wat::parse_str(text).expect("a component")) {
        PackageError::OtherVersion { found } => assert_eq!(found, "0.7.0"),
        error => panic!("{error}"),
    }
    let manifest = MANIFEST.replace("\"wit\":\"0.1\"", "\"wit\":\"0.7\"");
    match refused(&with_section(component(MODULE), "atelier:manifest", manifest.as_bytes())) {
        PackageError::OtherVersion { found } => assert_eq!(found, "0.7"),
        error => panic!("{error}"),
    }
}

#[test]
fn a_component_that_imports_something_foreign_is_refused_and_told_what() {
    for import in ["evil:host/files@1.0.0", "wasi-like:cli/run@0.2.0", "atelier:provider/secrets@0.1.0"] {
        let bytes =
            wat::parse_str(format!("(component (import \"{import}\" (instance)))")).expect("a component");
        match refused(&bytes) {
            PackageError::ImportDenied { import: found } => assert_eq!(found, import),
            error => panic!("{error}"),
        }
    }
}

#[test]
fn a_component_without_a_catalog_is_refused() {
    let bytes = wat::parse_str("(component)").expect("a component");
    assert!(matches!(
        refused(&with_section(bytes, "atelier:manifest", MANIFEST.as_bytes())),
        PackageError::NoCatalog
    ));
}

#[tokio::test]
async fn a_component_whose_interface_has_another_shape_does_not_load() {
    let bytes = wat::parse_str(
        "(component (instance $empty) (export \"atelier:provider/catalog@0.1.0\" (instance $empty)))",
    )
    .expect("a component");
    let host = Host::new(profile());
    let error = host
        .sandbox
        .load(&with_section(bytes, "atelier:manifest", MANIFEST.as_bytes()))
        .expect_err("no shape");
    assert!(matches!(error, SandboxError::Link(_)), "{error}");
}

#[tokio::test]
async fn instances_of_one_file_share_what_was_loaded() {
    let host = Host::new(profile());
    let bytes = std::fs::read(hostile_file()).expect("the plugin's file");
    let first = host.sandbox.load(&bytes).expect("loads");
    let second = host.sandbox.load(&bytes).expect("loads");
    assert!(Arc::ptr_eq(&first, &second));
    let (one, two) = (host.instance("127.0.0.1:9"), host.instance("127.0.0.1:9"));
    assert_good(&one).await;
    assert_good(&two).await;
    // Whoever makes instances in advance holds it for a moment.
    for _ in 0..1_000 {
        if Arc::strong_count(&first) == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Held by this test twice, and by both instances.
    assert_eq!(Arc::strong_count(&first), 4);
    let compiled = std::fs::read_dir(host.artefacts.path().join("compiled")).expect("the folder").count();
    assert_eq!(compiled, 1, "one artefact, nothing left over");
}

#[tokio::test]
async fn a_file_that_is_not_the_one_installed_is_not_run() {
    let host = Host::new(profile());
    let copy = host.artefacts.path().join("copy.wasm");
    let bytes = std::fs::read(hostile_file()).expect("the plugin's file");
    let package = Package::read(&bytes).expect("a plugin");
    std::fs::write(&copy, with_section(bytes, "one more section", b"")).expect("written");
    let settings = atelier_runtime::InstanceSettings {
        config: crate::support::config("127.0.0.1:9"),
        manifest: package.manifest,
        file: copy,
        digest: package.digest,
    };
    let provider =
        atelier_runtime::SandboxedProvider::new(Arc::clone(&host.sandbox), settings).expect("valid");
    match chat(&provider, "good", "").await.expect_error() {
        ProviderError::Unavailable { reason, .. } => assert!(reason.contains("not the file"), "{reason}"),
        error => panic!("{error}"),
    }
}

/// The compiling child of these tests, an example of this crate.
fn child(memory_bytes: u64) -> Compiler {
    let test = std::env::current_exe().expect("the test's own path");
    let program: PathBuf =
        test.parent().and_then(|deps| deps.parent()).expect("a target folder").join("examples/compile_child");
    assert!(
        program.is_file(),
        "{} is missing: run `cargo build -p atelier-runtime --examples`",
        program.display()
    );
    let limits = CompileLimits { memory_bytes, time: Duration::from_secs(60) };
    Compiler::Child { program, arguments: vec![OsString::from("compile")], limits }
}

#[tokio::test]
async fn a_component_compiled_by_a_child_process_runs() {
    let host = Host::with(profile(), child(4 << 30), Arc::new(SystemClock::default()));
    assert_good(&host.instance("127.0.0.1:9")).await;
    let compiled = std::fs::read_dir(host.artefacts.path().join("compiled")).expect("the folder").count();
    assert_eq!(compiled, 1, "one artefact, nothing left over");
}

#[tokio::test]
async fn a_compiling_child_without_enough_memory_fails_alone() {
    let host = Host::with(profile(), child(24 << 20), Arc::new(SystemClock::default()));
    let bytes = std::fs::read(hostile_file()).expect("the plugin's file");
    let error = host.sandbox.load(&bytes).expect_err("24 MiB are too few");
    assert!(matches!(error, SandboxError::Compile(CompileError::Rejected(_))), "{error}");
    let left = std::fs::read_dir(host.artefacts.path().join("compiled")).expect("the folder").count();
    assert_eq!(left, 0, "nothing is left over");
}
