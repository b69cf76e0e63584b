//! The plugin file, made from a hand-assembled core module and read back.

use minisign::KeyPair;
use plugin_package::{
    MANIFEST_SECTION, Manifest, PackageError, componentize, manifest_of, package, provider_version, sign,
    verify,
};
use semver::Version;
use wasm_encoder::{
    CodeSection, CustomSection, ExportKind, ExportSection, Function, FunctionSection, Instruction, Module,
    TypeSection, ValType,
};
use wit_component::StringEncoding;
use wit_parser::Resolve;

const MANIFEST: &str =
    "version = \"1.2.3\"\nname = \"sample\"\n[limits]\nmemory_bytes = 1048576\ncpu_ms = 50\n";

/// What a bindings generator and a compiler would leave behind: one exported function, and its world's metadata.
fn core_module(wit: &str, export: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("sample.wit", wit).expect("the sample interface parses");
    let world = resolve.select_world(&[package], None).expect("the sample has one world");
    let metadata = wit_component::metadata::encode(&resolve, world, StringEncoding::UTF8, None)
        .expect("the sample world has metadata");

    let mut types = TypeSection::new();
    types.ty().function([], [ValType::I32]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export(export, ExportKind::Func, 0);
    let mut body = Function::new([]);
    body.instruction(&Instruction::I32Const(7));
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&exports).section(&code);
    module.section(&CustomSection { name: "component-type:sample".into(), data: metadata.into() });
    module.finish()
}

fn provider_component() -> Vec<u8> {
    let wit = "package atelier:provider@0.3.1;
        interface catalog { count: func() -> u32; }
        world sample { export catalog; }";
    componentize(&core_module(wit, "atelier:provider/catalog@0.3.1#count")).expect("the sample componentizes")
}

#[test]
fn a_packaged_component_carries_its_manifest_with_the_interface_version_stamped() {
    let component = provider_component();
    assert_eq!(manifest_of(&component).expect("readable"), None);
    assert_eq!(provider_version(&component).expect("a provider"), Version::new(0, 3, 1));

    let file = package(&component, &Manifest::from_toml(MANIFEST).expect("valid")).expect("packages");
    let manifest = manifest_of(&file).expect("readable").expect("present");
    assert_eq!(
        std::str::from_utf8(manifest).expect("UTF-8"),
        r#"{"limits":{"cpu_ms":50,"memory_bytes":1048576},"name":"sample","version":"1.2.3","wit":"0.3"}"#
    );
    wasmparser::Validator::new().validate_all(&file).expect("still a valid component");
}

#[test]
fn equal_manifests_are_equal_bytes_whatever_the_order_of_their_keys() {
    let reordered =
        "name = \"sample\"\nlimits = { cpu_ms = 50, memory_bytes = 1048576 }\nversion = \"1.2.3\"\n";
    let provider = Version::new(0, 3, 1);
    let stamped =
        |text| Manifest::from_toml(text).and_then(|manifest| manifest.stamped(&provider)).expect("valid");
    assert_eq!(stamped(MANIFEST), stamped(reordered));
}

#[test]
fn a_component_is_packaged_only_once() {
    let manifest = Manifest::from_toml(MANIFEST).expect("valid");
    let file = package(&provider_component(), &manifest).expect("packages");
    assert!(matches!(package(&file, &manifest), Err(PackageError::ManifestPresent)));
}

#[test]
fn a_component_of_another_world_is_refused() {
    let wit = "package other:thing@1.0.0; interface catalog { count: func() -> u32; } world sample { export catalog; }";
    let component =
        componentize(&core_module(wit, "other:thing/catalog@1.0.0#count")).expect("componentizes");
    let manifest = Manifest::from_toml(MANIFEST).expect("valid");
    assert!(matches!(package(&component, &manifest), Err(PackageError::NoProviderInterface)));
}

#[test]
fn a_manifest_that_states_another_interface_version_is_refused() {
    let manifest = Manifest::from_toml("version = \"1.0.0\"\nwit = \"0.9\"\n").expect("valid");
    let error = package(&provider_component(), &manifest).expect_err("contradicts the component");
    assert!(error.to_string().contains("\"0.3\""), "{error}");
}

#[test]
fn a_manifest_without_a_semantic_version_or_with_a_value_json_lacks_is_refused() {
    for text in [
        "name = \"sample\"",
        "version = \"1\"",
        "version = 1",
        "version = \"1.0.0\"\nborn = 2020-01-01",
        "version = \"1.0.0\"\nlimit = { ratio = inf }",
        "version = ",
    ] {
        assert!(Manifest::from_toml(text).is_err(), "accepted: {text}");
    }
}

#[test]
fn a_module_without_interface_metadata_or_with_strange_bytes_is_refused() {
    assert!(matches!(componentize(&Module::new().finish()[..4]), Err(PackageError::Componentize(_))));
    let manifest = Manifest::from_toml(MANIFEST).expect("valid");
    assert!(matches!(package(b"not wasm", &manifest), Err(PackageError::InvalidComponent(_))));
    assert!(matches!(package(&Module::new().finish(), &manifest), Err(PackageError::NoProviderInterface)));
}

#[test]
fn a_manifest_inside_a_nested_module_is_not_the_plugins_manifest() {
    let mut module = core_module(
        "package atelier:provider@0.3.1; interface catalog { count: func() -> u32; } world sample { export catalog; }",
        "atelier:provider/catalog@0.3.1#count",
    );
    wasm_encoder::Section::append_to(
        &CustomSection { name: MANIFEST_SECTION.into(), data: br#"{"version":"9.9.9"}"#.as_slice().into() },
        &mut module,
    );
    let component = componentize(&module).expect("componentizes");
    assert_eq!(manifest_of(&component).expect("readable"), None);
}

#[test]
fn a_signature_holds_for_its_file_and_its_key_alone() {
    let pair = KeyPair::generate_unencrypted_keypair().expect("random numbers");
    let stranger = KeyPair::generate_unencrypted_keypair().expect("random numbers");
    let signature = sign(&pair, "dev", "sample-1.2.3.wasm", b"the file").expect("signs");

    verify(&pair.pk, &signature, b"the file").expect("verifies");
    assert!(verify(&pair.pk, &signature, b"another file").is_err());
    assert!(verify(&stranger.pk, &signature, b"the file").is_err());
    assert!(verify(&pair.pk, &signature.replace("publisher:dev", "publisher:eve"), b"the file").is_err());
    assert!(verify(&pair.pk, "no signature", b"the file").is_err());
}
