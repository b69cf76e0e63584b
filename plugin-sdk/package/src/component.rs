use std::collections::BTreeSet;

use semver::Version;
use wasm_encoder::{ComponentSection, CustomSection};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};
use wit_component::ComponentEncoder;

use crate::{MANIFEST_SECTION, Manifest, PackageError};

/// The package whose interfaces make a component a provider.
const PROVIDER_PREFIX: &str = "atelier:provider/";

/// Turn a core module, with the metadata that a bindings generator left in it, into a component.
///
/// # Errors
/// The module lacks that metadata, or imports something else than its world's interfaces (WASI, for instance).
pub fn componentize(module: &[u8]) -> Result<Vec<u8>, PackageError> {
    let encode = || ComponentEncoder::default().module(module)?.validate(true).encode();
    encode().map_err(|error| PackageError::Componentize(format!("{error:#}")))
}

/// Put `manifest`, stamped with the interface version the component uses, into `component`.
///
/// # Errors
/// The component is invalid, is not a provider, carries a manifest already, or contradicts the manifest's `wit`.
pub fn package(component: &[u8], manifest: &Manifest) -> Result<Vec<u8>, PackageError> {
    Validator::new_with_features(WasmFeatures::default()).validate_all(component)?;
    if manifest_of(component)?.is_some() {
        return Err(PackageError::ManifestPresent);
    }
    let json = manifest.stamped(&provider_version(component)?)?;
    let section = CustomSection { name: MANIFEST_SECTION.into(), data: json.into() };
    let mut packaged = component.to_vec();
    section.append_to_component(&mut packaged);
    Ok(packaged)
}

/// The manifest's JSON, if the component carries one.
///
/// # Errors
/// The bytes are not a component.
pub fn manifest_of(component: &[u8]) -> Result<Option<&[u8]>, PackageError> {
    for payload in outermost(component) {
        if let Payload::CustomSection(section) = payload?
            && section.name() == MANIFEST_SECTION
        {
            return Ok(Some(section.data()));
        }
    }
    Ok(None)
}

/// The version of `atelier:provider` whose interfaces the component imports and exports.
///
/// # Errors
/// It uses none, or more than one.
pub fn provider_version(component: &[u8]) -> Result<Version, PackageError> {
    let mut versions = BTreeSet::new();
    let mut note = |name: &str| {
        let version = name.strip_prefix(PROVIDER_PREFIX).and_then(|rest| rest.split_once('@'));
        if let Some(version) = version.and_then(|(_, version)| Version::parse(version).ok()) {
            versions.insert(version);
        }
    };
    for payload in outermost(component) {
        match payload? {
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    note(import?.name.name);
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    note(export?.name.name);
                }
            }
            _ => {}
        }
    }
    let mut found = versions.iter();
    match (found.next(), found.next()) {
        (None, _) => Err(PackageError::NoProviderInterface),
        (Some(version), None) => Ok(version.clone()),
        (Some(_), Some(_)) => {
            let all: Vec<_> = versions.iter().map(Version::to_string).collect();
            Err(PackageError::MixedProviderVersions(all.join(", ")))
        }
    }
}

/// The sections of the outermost component alone: modules and components nested in it are passed over.
fn outermost(component: &[u8]) -> impl Iterator<Item = wasmparser::Result<Payload<'_>>> {
    let mut depth = 0_usize;
    Parser::new(0).parse_all(component).filter(move |payload| {
        let inside = depth > 0;
        match payload {
            Ok(Payload::ModuleSection { .. } | Payload::ComponentSection { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth = depth.saturating_sub(1),
            _ => {}
        }
        !inside || payload.is_err()
    })
}
