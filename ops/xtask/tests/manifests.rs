//! What plugin authors write, as the host reads it: the manifests of this repository, and the examples in the SDK's documentation.

use std::path::{Path, PathBuf};

use atelier_domain::manifest::Manifest as HostManifest;
use plugin_package::Manifest;
use semver::Version;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn as_the_host_reads_it(toml: &str) -> Result<HostManifest, String> {
    let written = Manifest::from_toml(toml).map_err(|error| error.to_string())?;
    let stamped = written.stamped(&Version::new(0, 1, 0)).map_err(|error| error.to_string())?;
    HostManifest::parse(&stamped).map_err(|error| error.to_string())
}

#[test]
fn every_manifest_of_this_repository_is_one_that_the_host_takes() {
    let mut seen = 0;
    for folder in std::fs::read_dir(root().join("plugins")).expect("the plugins").flatten() {
        let file = folder.path().join("manifest.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        as_the_host_reads_it(&text).unwrap_or_else(|why| panic!("{}: {why}", file.display()));
        seen += 1;
    }
    assert!(seen >= 7, "{seen} manifests");
}

#[test]
fn the_sdks_examples_of_secrets_are_manifests_that_the_host_takes() {
    let source = std::fs::read_to_string(root().join("plugin-sdk/src/lib.rs")).expect("the SDK");
    let lines: Vec<&str> = source.lines().filter_map(|line| line.strip_prefix("//!")).collect();
    let begin = lines.iter().position(|line| line.trim() == "```toml").expect("an example");
    let length = lines[begin + 1..].iter().position(|line| line.trim() == "```").expect("its end");
    let example = lines[begin + 1..begin + 1 + length].join("\n");
    let head = "id = \"acme/chat\"\nversion = \"1.0.0\"\nname = \"Acme\"\n";
    let verifier = "\n[[secrets]]\nname = \"webhook-secret\"\nplace = \"webhook\"\n";
    let manifest = as_the_host_reads_it(&format!("{head}{example}{verifier}"));
    let manifest = manifest.unwrap_or_else(|why| panic!("{why}:\n{example}"));
    assert_eq!(manifest.secrets.iter().filter(|secret| secret.signs()).count(), 4, "one for each signer");
    assert!(manifest.webhook.is_some());
}
