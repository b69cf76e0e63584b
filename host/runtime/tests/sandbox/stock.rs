//! Instances that are made before they are wanted.

use std::time::Duration;

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::provider::Provider as _;
use atelier_runtime::{Package, Profile};
use tokio::time::sleep;

use crate::support::{Host, context, profile};
use crate::table_bomb::{MANIFEST, component, provider, with_section};

/// A plugin whose check succeeds in memory that nobody has written to, and traps in any other. `start` runs while an instance is made.
fn module(start: &str) -> String {
    format!(
        r#"(module
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "atelier:provider/catalog@0.1.0#describe") (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#discover") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#get-model") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#voices") (param i32) (result i32) unreachable)
    (func (export "atelier:provider/catalog@0.1.0#check") (param i32) (result i32)
        (if (i32.load (i32.const 32768)) (then unreachable))
        (i32.store (i32.const 32768) (i32.const 1))
        (i32.const 40000))
    (func (export "atelier:provider/chat@0.1.0#generate") (param i32) (result i32) unreachable)
    {start})"#
    )
}

const SPIN: &str = "(func $spin (loop $again (br $again))) (start $spin)";

#[tokio::test]
async fn every_call_gets_memory_that_no_call_has_written_to() {
    let host = Host::new(profile());
    let provider = provider(&host, &module(""));
    for _ in 0..20 {
        provider.check(context(Duration::from_secs(60))).await.expect("clean memory");
        // Time for the stock to be filled, and for the used instance to be taken apart.
        sleep(Duration::from_millis(2)).await;
    }
    let at_once = (0..8).map(|_| provider.check(context(Duration::from_secs(60))));
    for checked in futures::future::join_all(at_once).await {
        checked.expect("clean memory");
    }
}

#[tokio::test]
async fn code_that_runs_while_an_instance_is_made_runs_in_calls_alone_and_by_their_clocks() {
    let bytes = with_section(component(&module(SPIN)), "atelier:manifest", MANIFEST.as_bytes());
    assert!(Package::read(&bytes).expect("a plugin").starts);
    let bytes = with_section(component(&module("")), "atelier:manifest", MANIFEST.as_bytes());
    assert!(!Package::read(&bytes).expect("a plugin").starts);
    let host = Host::new(Profile { cpu: Duration::from_millis(50), ..profile() });
    let spinning = provider(&host, &module(SPIN));
    for _ in 0..3 {
        let error = spinning.check(context(Duration::from_secs(60))).await.expect_err("it never begins");
        assert!(matches!(error, ProviderError::LimitReached { limit: Limit::CpuTime, .. }), "{error}");
    }
}
