//! What a plugin says of itself, in its file or as its author wrote it.

use atelier_domain::manifest::Manifest;
use atelier_runtime::{Package, examine};
use plugin_package::Manifest as Written;
use semver::Version;

use crate::memory::measured;

/// What is reserved for the entries that a section claims to have, a million at most of each kind, before they are read (wasmparser).
const CLAIMED_BYTES_MAX: u64 = 256 << 20;

/// A manifest that is taken is written and read again as the same; whatever an author writes is packed into one, or refused.
pub fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::parse(bytes) {
        same_when_read_again(&manifest);
    }
    let packed = std::str::from_utf8(bytes).ok().and_then(|text| Written::from_toml(text).ok());
    if let Some(stamped) = packed.and_then(|written| written.stamped(&Version::new(0, 1, 0)).ok())
        && let Ok(manifest) = Manifest::parse(&stamped)
    {
        assert_eq!(manifest.wit, "0.1", "packaging says which contract it is");
        same_when_read_again(&manifest);
    }
}

fn same_when_read_again(manifest: &Manifest) {
    assert!(manifest.mistakes().is_empty());
    assert!(!manifest.publisher().is_empty(), "whose key must have signed it");
    let written = serde_json::to_vec(manifest).expect("what was read can be written");
    assert_eq!(&Manifest::parse(&written).expect("what was taken is taken again"), manifest);
}

/// A file that is taken for a plugin has one manifest, which its author's tools read too, and looking at it takes bounded memory.
pub fn plugin_file(bytes: &[u8]) {
    let (examined, held) = measured(|| examine(bytes));
    let bound = CLAIMED_BYTES_MAX + 512 * bytes.len() as u64;
    assert!(held <= bound, "{held} bytes for a file of {}", bytes.len());
    assert!(examined.package.is_some() || !examined.mistakes.is_empty(), "a refusal says why");
    let Ok(package) = Package::read(bytes) else { return };
    assert!(examined.mistakes.is_empty());
    same_when_read_again(&package.manifest);
    let shown = plugin_package::manifest_of(bytes).expect("a component").expect("a manifest");
    let shown = Manifest::parse(shown).expect("the manifest that was taken");
    assert_eq!(shown, package.manifest, "one manifest counts");
}
