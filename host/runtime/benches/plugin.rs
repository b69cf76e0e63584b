//! What the sandbox adds to a fresh instance: create, call and drop through the real path, against the same component in a bare
//! engine, in the same run. The budget is a ratio, so that the machine does not matter.

#[path = "../tests/sandbox/support.rs"]
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use atelier_domain::provider::Provider as _;
use criterion::Criterion;
use support::{Host, context, hostile_file, profile};
use tokio::runtime::Runtime;
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

/// The most that the real path may take, as a multiple of the bare engine's time.
const BUDGET: f64 = 1.3;
/// Calls of each kind whose medians the ratio compares.
const CALLS: usize = 20_000;

mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        world: "catalog-provider",
        exports: { default: async },
    });
}

use bindings::CatalogProviderPre;
use bindings::atelier::provider::types::CallContext;

/// The component in an engine with pooling and epochs, and nothing else.
struct Bare {
    engine: Engine,
    catalog: CatalogProviderPre<()>,
}

impl Bare {
    fn new() -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(16);
        pool.max_memory_size(profile().memory_bytes);
        let mut config = Config::new();
        config.epoch_interruption(true);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let component = Component::from_file(&engine, hostile_file())?;
        let mut linker = Linker::new(&engine);
        // The call that is measured calls nothing.
        linker.define_unknown_imports_as_traps(&component)?;
        let pre: InstancePre<()> = linker.instantiate_pre(&component)?;
        Ok(Self { catalog: CatalogProviderPre::new(pre)?, engine })
    }

    async fn call(&self) -> wasmtime::Result<()> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(1_000_000);
        let bindings = self.catalog.instantiate_async(&mut store).await?;
        let context = CallContext {
            call_id: "0198c0de-0000-7000-8000-000000000000".to_owned(),
            attempt: 1,
            idempotency_key: "test-key".to_owned(),
            remaining_ms: 60_000,
            instance: "hostile".to_owned(),
            base_url: "http://127.0.0.1:9".to_owned(),
            settings: "{}".to_owned(),
            callback_url: None,
            scope: "tenant".to_owned(),
        };
        let checked = bindings.atelier_provider_catalog().call_check(&mut store, &context).await?;
        black_box(checked).map_err(|failure| wasmtime::Error::msg(failure.message))
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Alternates between both in small groups, so that whatever else the machine does meets both.
fn ratio(runtime: &Runtime, bare: &Bare, real: &impl Fn() -> Duration) -> (Duration, Duration) {
    let (mut bare_times, mut real_times) = (Vec::with_capacity(CALLS), Vec::with_capacity(CALLS));
    while bare_times.len() < CALLS {
        for _ in 0..100 {
            let started = Instant::now();
            runtime.block_on(bare.call()).expect("the bare call works");
            bare_times.push(started.elapsed());
        }
        for _ in 0..100 {
            real_times.push(real());
        }
    }
    (median(bare_times), median(real_times))
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime");
    let bare = Bare::new().expect("a bare engine");
    let host = Host::new(profile());
    let provider = host.instance("127.0.0.1:9");
    let real = || {
        let started = Instant::now();
        runtime.block_on(provider.check(context(Duration::from_secs(60)))).expect("the real call works");
        started.elapsed()
    };
    real();

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("fresh instance: create, call, drop");
    group.bench_function("bare engine", |bencher| {
        bencher.to_async(&runtime).iter(|| async { bare.call().await.expect("the bare call works") });
    });
    group.bench_function("sandbox", |bencher| {
        bencher.to_async(&runtime).iter(|| async {
            provider.check(context(Duration::from_secs(60))).await.expect("the real call works");
        });
    });
    group.finish();
    criterion.final_summary();

    let (bare_median, real_median) = ratio(&runtime, &bare, &real);
    let ratio = real_median.as_secs_f64() / bare_median.as_secs_f64();
    let verdict = if ratio <= BUDGET { "within" } else { "OVER" };
    println!(
        "fresh instance, medians of {CALLS}: bare {bare_median:?}, sandbox {real_median:?}, \
         ratio {ratio:.2}, {verdict} the budget of {BUDGET}"
    );
    if ratio <= BUDGET { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
