//! `xtask plugins` on a workspace of its own, with a plugin that depends on no other crate.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use minisign::PublicKeyBox;
use tempfile::TempDir;
use wit_component::StringEncoding;
use wit_parser::Resolve;

const WIT: &str = "package atelier:provider@0.1.0;
    interface catalog { count: func() -> u32; }
    world sample { export catalog; }";

/// What a bindings generator would write: the export under its canonical name, and the world's metadata.
const SOURCE: &str = r#"
#[unsafe(link_section = "component-type:sample")]
#[used]
static METADATA: [u8; include_bytes!("metadata.bin").len()] = *include_bytes!("metadata.bin");

#[unsafe(export_name = "atelier:provider/catalog@0.1.0#count")]
pub extern "C" fn count() -> u32 {
    7
}
"#;

const ROOT: &str = r#"
[workspace]
resolver = "3"
members = ["plugins/sample"]
[profile.plugin]
inherits = "release"
panic = "abort"
strip = "debuginfo"
"#;

const CRATE: &str = r#"
[package]
name = "sample-plugin"
version = "0.0.0"
edition = "2024"
[lib]
crate-type = ["cdylib"]
"#;

/// A workspace with one plugin, and a cache folder.
struct Fixture {
    dir: TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let fixture = Self { dir };
        let mut resolve = Resolve::default();
        let package = resolve.push_str("sample.wit", WIT).expect("the interface parses");
        let world = resolve.select_world(&[package], None).expect("there is one world");
        let metadata = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
            .expect("it has metadata");
        fixture.write("Cargo.toml", ROOT);
        fixture.write("wit/0.1/sample.wit", WIT);
        fixture.write("plugins/sample/Cargo.toml", CRATE);
        fixture.write("plugins/sample/manifest.toml", "version = \"1.0.0\"\nname = \"sample\"\n");
        fixture.write("plugins/sample/src/lib.rs", SOURCE);
        fixture.write("plugins/sample/src/metadata.bin", metadata);
        fixture
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join("workspace").join(path)
    }

    fn xtask(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("--root")
            .arg(self.path(""))
            .args(arguments)
            .env("ATELIER_CACHE", self.dir.path().join("cache"))
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("xtask runs")
    }

    /// Run `plugins`, which must succeed, and return what it said.
    fn build(&self) -> String {
        let output = self.xtask(&["plugins"]);
        let said = said(&output);
        assert!(output.status.success(), "{said}");
        said
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn verifies(fixture: &Fixture, file: &Path) {
    let printed = fixture.xtask(&["dev-key"]).stdout;
    let key_path = String::from_utf8(printed).expect("a path");
    let key = fs::read_to_string(key_path.trim()).expect("the public key");
    let key = PublicKeyBox::from_string(&key).and_then(PublicKeyBox::into_public_key).expect("a public key");
    let signature = fs::read_to_string(format!("{}.minisig", file.display())).expect("a signature");
    plugin_package::verify(&key, &signature, &fs::read(file).expect("the file")).expect("it verifies");
}

#[test]
fn a_plugin_becomes_a_signed_component_and_is_built_again_only_when_its_inputs_change() {
    let fixture = Fixture::new();
    let first = fixture.build();
    assert!(first.contains("sample 1.0.0: building"), "{first}");
    let file = fixture.path("target/plugins/sample-1.0.0.wasm");
    let bytes = fs::read(&file).expect("the plugin file");
    let manifest = plugin_package::manifest_of(&bytes).expect("a component").expect("a manifest");
    assert_eq!(manifest, br#"{"name":"sample","version":"1.0.0","wit":"0.1"}"#);
    verifies(&fixture, &file);

    let second = fixture.build();
    assert!(second.contains("sample 1.0.0 is up to date"), "{second}");
    assert!(fixture.xtask(&["plugins", "--check"]).status.success());

    // A file that something else replaced, a lost signature, another source: each makes it stale.
    for damage in [
        &(|| fs::write(&file, b"torn").expect("writes")) as &dyn Fn(),
        &|| fs::remove_file(format!("{}.minisig", file.display())).expect("removes"),
        &|| fixture.write("plugins/sample/src/lib.rs", SOURCE.replace('7', "8")),
    ] {
        damage();
        let check = fixture.xtask(&["plugins", "--check"]);
        assert_eq!(check.status.code(), Some(1), "{}", said(&check));
        assert!(said(&check).contains("sample 1.0.0 is not up to date"), "{}", said(&check));
        fixture.build();
        verifies(&fixture, &file);
    }
}

#[test]
fn a_new_version_replaces_the_file_of_the_old_one() {
    let fixture = Fixture::new();
    fixture.build();
    fixture.write("plugins/sample/manifest.toml", "version = \"1.1.0\"\nname = \"sample\"\n");
    fixture.build();
    let mut names: Vec<_> = fs::read_dir(fixture.path("target/plugins"))
        .expect("the folder of plugins")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert_eq!(names, ["sample-1.1.0.wasm", "sample-1.1.0.wasm.minisig"]);
}

#[test]
fn mistakes_are_named_with_what_to_do() {
    let unknown = Fixture::new().xtask(&["plugins", "--only", "nobody"]);
    assert!(said(&unknown).contains("there is no plugin `nobody`; there are: sample"), "{}", said(&unknown));

    let fixture = Fixture::new();
    fixture.write("plugins/sample/Cargo.toml", CRATE.replace("[lib]\ncrate-type = [\"cdylib\"]\n", ""));
    let output = fixture.xtask(&["plugins"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("crate-type = [\"cdylib\"]"), "{}", said(&output));

    fs::remove_file(fixture.path("plugins/sample/manifest.toml")).expect("removes");
    let output = fixture.xtask(&["plugins"]);
    assert!(said(&output).contains("manifest.toml"), "{}", said(&output));
}

#[cfg(unix)]
#[test]
fn the_development_key_is_made_once_and_its_secret_half_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;

    let fixture = Fixture::new();
    let first = fixture.xtask(&["dev-key"]).stdout;
    let public = PathBuf::from(String::from_utf8(first.clone()).expect("a path").trim());
    let before = fs::read(&public).expect("the public key");
    assert_eq!(fixture.xtask(&["dev-key"]).stdout, first);
    assert_eq!(fs::read(&public).expect("the public key"), before);
    let secret = fs::metadata(public.with_extension("key")).expect("the secret key");
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
}
