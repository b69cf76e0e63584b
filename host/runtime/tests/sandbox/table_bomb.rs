//! A guest that grows its tables. Rust has no way to say that, so its core module is written here by hand.

use std::sync::Arc;

use atelier_domain::failure::{Limit, ProviderError};
use atelier_runtime::{InstanceSettings, Package, SandboxedProvider};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::support::{Host, chat, config, profile};

/// The contract's exports by the canonical ABI: a context is too long for flat parameters, so each takes a pointer to it.
const MODULE: &str = r#"(module
    (memory (export "memory") 1)
    (table $bomb 1 funcref)
    (global $free (mut i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
        (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
        (global.set $free (i32.add (local.get $at) (local.get 3)))
        (local.get $at))
    (func (export "atelier:provider/catalog@0.1.0#describe") (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#discover") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#get-model") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#voices") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#check") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/chat@0.1.0#generate") (param i32) (result i32)
        (loop $again
            (br_if $again (i32.ne (table.grow $bomb (ref.null func) (i32.const 1000)) (i32.const -1))))
        unreachable))"#;

const WORLD: &str = "package dev:table-bomb;
    world bomb { export atelier:provider/catalog@0.1.0; export atelier:provider/chat@0.1.0; }";

pub const MANIFEST: &str = r#"{"id":"dev/by-hand","version":"0.1.0","wit":"0.1","name":"By hand"}"#;

/// A component of the contract from a core module's text.
pub fn component(module: &str) -> Vec<u8> {
    let mut resolve = Resolve::default();
    resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1")).expect("the contract");
    let package = resolve.push_str("bomb.wit", WORLD).expect("the world");
    let world = resolve.select_world(&[package], Some("bomb")).expect("the world");
    let mut core = wat::parse_str(module).expect("a module");
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata");
    ComponentEncoder::default()
        .module(&core)
        .and_then(|encoder| encoder.validate(true).encode())
        .expect("a component")
}

/// Appends a custom section.
pub fn with_section(mut component: Vec<u8>, name: &str, data: &[u8]) -> Vec<u8> {
    let length = |mut length: usize| {
        let mut bytes = Vec::new();
        while length > 0x7f {
            bytes.push(u8::try_from(length & 0x7f).expect("seven bits") | 0x80);
            length >>= 7;
        }
        bytes.push(u8::try_from(length).expect("seven bits"));
        bytes
    };
    let body = [length(name.len()), name.as_bytes().to_vec(), data.to_vec()].concat();
    component.push(0);
    component.extend(length(body.len()));
    component.extend(body);
    component
}

/// An instance of the plugin that a core module's text makes.
pub fn provider(host: &Host, module: &str) -> Arc<SandboxedProvider> {
    let bytes = with_section(component(module), "atelier:manifest", MANIFEST.as_bytes());
    let package = Package::read(&bytes).expect("a plugin");
    let file = host.artefacts.path().join("by-hand.wasm");
    std::fs::write(&file, &bytes).expect("written");
    let mut config = config("127.0.0.1:9");
    config.secrets.clear();
    let settings = InstanceSettings { config, manifest: package.manifest, file, digest: package.digest };
    SandboxedProvider::new(host.sandbox.clone(), settings).expect("a valid configuration")
}

#[tokio::test]
async fn a_guest_that_grows_its_tables_is_stopped() {
    let host = Host::new(profile());
    let provider = provider(&host, MODULE);
    let error = chat(&provider, "any", "").await.expect_error();
    assert!(matches!(error, ProviderError::LimitReached { limit: Limit::TableElements, .. }), "{error}");
}
