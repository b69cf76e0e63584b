//! Reads what a plugin's file says of itself, before anything of it is compiled or run.

use atelier_domain::manifest::{MANIFEST_BYTES_MAX, Manifest, ManifestError};
use wasmparser::{Encoding, Parser, Payload, WasmFeatures};

use crate::v0_1::exports::{PACKAGE, VERSION};

/// The custom section that holds the manifest.
pub const MANIFEST_SECTION: &str = "atelier:manifest";
/// The most bytes of a plugin's file.
pub const FILE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// The contract version that manifests name.
pub const WIT_VERSION: &str = "0.1";
/// Interfaces of the contract that a component may import.
const IMPORTS: [&str; 13] = [
    "types",
    "blobs",
    "http",
    "log",
    "clock",
    "random",
    "cache",
    "quota",
    "progress",
    "chat-types",
    "speech-types",
    "transcription-types",
    "job-types",
];
/// WASI packages that components of other languages may import; they find an empty world behind them.
const WASI: [&str; 7] = [
    "wasi:cli/",
    "wasi:clocks/",
    "wasi:filesystem/",
    "wasi:http/",
    "wasi:io/",
    "wasi:random/",
    "wasi:sockets/",
];

/// Why a file is not a plugin that this host can run.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    #[error("the file has {0} bytes; a plugin has {FILE_BYTES_MAX} at most")]
    TooLarge(usize),
    #[error("the file is not a valid WebAssembly component: {0}")]
    Corrupt(String),
    #[error("the file is a core WebAssembly module; build it into a component (`atelier plugin build`)")]
    CoreModule,
    #[error(
        "the component has no manifest section {MANIFEST_SECTION:?}; build it with `atelier plugin build`"
    )]
    NoManifest,
    #[error(
        "the component has more than one manifest section {MANIFEST_SECTION:?}: which counts would be ambiguous"
    )]
    SecondManifest,
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error(
        "the component is made for atelier:provider@{found}, and this host speaks {WIT_VERSION}: \
         rebuild it with a plugin SDK of version {WIT_VERSION}"
    )]
    OtherVersion { found: String },
    #[error("the component imports {import:?}, which no plugin is given")]
    ImportDenied { import: String },
    #[error("the component does not export {PACKAGE}catalog@{VERSION}, which every plugin must")]
    NoCatalog,
}

/// A plugin's file, read and checked, but not yet trusted.
#[derive(Clone, Debug)]
pub struct Package {
    pub manifest: Manifest,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    /// Exported interfaces of the contract, e.g. `chat`.
    pub capabilities: Vec<String>,
    pub imports: Vec<String>,
    pub needs_wasi: bool,
    /// Making an instance runs code of its own: a module or component in it has a start function.
    pub starts: bool,
}

#[derive(Default)]
struct Outline {
    imports: Vec<String>,
    exports: Vec<String>,
    manifest: Option<Vec<u8>>,
    starts: bool,
}

impl Package {
    /// Reads a file. Its whole structure is validated.
    ///
    /// # Errors
    /// The first rule it breaks.
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let Examination { package, mistakes } = examine(bytes);
        match (mistakes.into_iter().next(), package) {
            (None, Some(package)) => Ok(package),
            (Some(mistake), _) => Err(mistake),
            (None, None) => Err(PackageError::NoManifest),
        }
    }
}

/// What a file is, and everything that keeps it from being a plugin for this host.
#[derive(Debug)]
pub struct Examination {
    /// Present as soon as the manifest could be read, mistakes or not.
    pub package: Option<Package>,
    /// In the order of their gravity; none: the file is a plugin.
    pub mistakes: Vec<PackageError>,
}

/// Reads a file and finds every rule that it breaks, as far as each can be looked at.
pub fn examine(bytes: &[u8]) -> Examination {
    let hopeless = |mistake| Examination { package: None, mistakes: vec![mistake] };
    if bytes.len() > FILE_BYTES_MAX {
        return hopeless(PackageError::TooLarge(bytes.len()));
    }
    let outline = match outline(bytes) {
        Ok(outline) => outline,
        Err(mistake) => return hopeless(mistake),
    };
    let mut mistakes = Vec::new();
    let capabilities = capabilities(&outline.exports, &mut mistakes);
    let needs_wasi = check_imports(&outline.imports, &mut mistakes);
    let manifest = match outline.manifest.as_deref().map(Manifest::read) {
        Some(Ok(manifest)) => Some(manifest),
        Some(Err(mistake)) => {
            mistakes.push(mistake.into());
            None
        }
        None => {
            mistakes.push(PackageError::NoManifest);
            None
        }
    };
    if let Some(manifest) = &manifest {
        mistakes.extend(manifest.mistakes().into_iter().map(PackageError::from));
        if manifest.wit != WIT_VERSION {
            note(&mut mistakes, PackageError::OtherVersion { found: manifest.wit.clone() });
        }
    }
    let is_other = mistakes.iter().any(|mistake| matches!(mistake, PackageError::OtherVersion { .. }));
    if !is_other && !capabilities.iter().any(|name| name == "catalog") {
        mistakes.push(PackageError::NoCatalog);
    }
    let package = manifest.map(|manifest| Package {
        manifest,
        digest: blake3::hash(bytes).to_hex().to_string(),
        capabilities,
        imports: outline.imports,
        needs_wasi,
        starts: outline.starts,
    });
    Examination { package, mistakes }
}

fn corrupt(error: wasmparser::BinaryReaderError) -> PackageError {
    PackageError::Corrupt(error.to_string())
}

/// Collects the outermost component's imports, exports and manifest; what is nested belongs to the component alone.
fn outline(bytes: &[u8]) -> Result<Outline, PackageError> {
    let mut outline = Outline::default();
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(corrupt)? {
            Payload::Version { encoding: Encoding::Module, .. } if depth == 0 => {
                return Err(PackageError::CoreModule);
            }
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::StartSection { .. } | Payload::ComponentStartSection { .. } => outline.starts = true,
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    outline.imports.push(import.map_err(corrupt)?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    outline.exports.push(export.map_err(corrupt)?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) if depth == 0 && section.name() == MANIFEST_SECTION => {
                let data = section.data();
                if data.len() > MANIFEST_BYTES_MAX {
                    return Err(ManifestError::TooLarge(data.len()).into());
                }
                if outline.manifest.replace(data.to_vec()).is_some() {
                    return Err(PackageError::SecondManifest);
                }
            }
            _ => {}
        }
    }
    wasmparser::Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(corrupt)?;
    Ok(outline)
}

/// `Some(interface)` if the name is an interface of our contract in our version.
fn interface(name: &str) -> Result<Option<&str>, PackageError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    match rest.split_once('@') {
        Some((interface, VERSION)) => Ok(Some(interface)),
        Some((_, found)) => Err(PackageError::OtherVersion { found: found.to_owned() }),
        None => Err(PackageError::OtherVersion { found: "(none)".to_owned() }),
    }
}

fn capabilities(exports: &[String], mistakes: &mut Vec<PackageError>) -> Vec<String> {
    let mut capabilities = Vec::new();
    for name in exports {
        match interface(name) {
            Ok(Some(interface)) => capabilities.push(interface.to_owned()),
            Ok(None) => {}
            Err(mistake) => note(mistakes, mistake),
        }
    }
    capabilities
}

/// Whether it needs WASI.
fn check_imports(imports: &[String], mistakes: &mut Vec<PackageError>) -> bool {
    let mut needs_wasi = false;
    for name in imports {
        let known = match interface(name) {
            Ok(Some(interface)) => IMPORTS.contains(&interface),
            Ok(None) => {
                let wasi = WASI.iter().any(|package| name.starts_with(package));
                needs_wasi |= wasi;
                wasi
            }
            Err(mistake) => {
                note(mistakes, mistake);
                continue;
            }
        };
        if !known {
            mistakes.push(PackageError::ImportDenied { import: name.clone() });
        }
    }
    needs_wasi
}

/// Another version shows in each interface, and is one mistake.
fn note(mistakes: &mut Vec<PackageError>, mistake: PackageError) {
    let text = mistake.to_string();
    if !mistakes.iter().any(|known| known.to_string() == text) {
        mistakes.push(mistake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_plugins_are_refused_with_what_to_do() {
        let module = b"\0asm\x01\0\0\0";
        let component = b"\0asm\x0d\0\x01\0";
        assert!(matches!(Package::read(b"not wasm"), Err(PackageError::Corrupt(_))));
        assert!(matches!(Package::read(module), Err(PackageError::CoreModule)));
        assert!(matches!(Package::read(component), Err(PackageError::NoManifest)));
        assert!(matches!(Package::read(&component[..6]), Err(PackageError::Corrupt(_))));
        let section = b"\0\x13\x10atelier:manifest{}";
        let twice = [component.as_slice(), section, section].concat();
        assert!(matches!(Package::read(&twice), Err(PackageError::SecondManifest)));
    }

    #[test]
    fn another_version_of_the_contract_is_named() {
        let error = interface("atelier:provider/chat@0.9.0").expect_err("other version").to_string();
        assert!(error.contains("0.9.0") && error.contains("rebuild"), "{error}");
        let mut mistakes = Vec::new();
        assert!(check_imports(&["wasi:io/poll@0.2.3".to_owned()], &mut mistakes) && mistakes.is_empty());
        let denied = ["evil:host/files".to_owned(), "atelier:provider/http@0.9.0".to_owned()];
        assert!(!check_imports(&denied, &mut mistakes));
        assert_eq!(mistakes.len(), 2, "each is told: {mistakes:?}");
    }
}
