//! What can be known of the CUDA kernels without a card: they compile, they are kept, and a machine without a driver says so.

use std::path::PathBuf;

use atelier_inference::bert;
use atelier_inference::kernels::Kernels;
use atelier_inference::kernels::cuda::Cuda;
use atelier_inference::kernels::cuda::compiler::{Compiler, Generation, NVRTC};
use atelier_inference::kernels::cuda::ptx::PtxCache;
use atelier_inference::kernels::cuda::sources::{DECODERS, ENCODINGS, Program, TYPES};
use atelier_inference::llama::Llama;
use atelier_inference::weights;

fn compiler() -> Compiler {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let library = weights::fetch(&NVRTC, &cache_dir, |_| ()).expect("the compiler can be fetched");
    Compiler::open(&library).expect("it loads")
}

#[test]
fn every_program_compiles_for_every_generation_without_a_warning() {
    let compiler = compiler();
    for generation in [Generation::Ampere, Generation::Hopper] {
        for program in Program::all() {
            let compiled = compiler.compile(&program.source(), &generation.options()).expect("it compiles");
            assert_eq!(compiled.log.trim(), "", "{program:?} for {generation:?}");
            println!("{program:?} for {generation:?}: {} bytes", compiled.ptx.len());
            for kernel in program.kernels() {
                let entry = format!(".visible .entry {kernel}(");
                assert!(compiled.ptx.contains(&entry), "{program:?} has no {kernel}");
            }
            let entries = compiled.ptx.matches(".visible .entry").count();
            assert_eq!(entries, program.kernels().len(), "{program:?} has kernels that nothing names");
        }
    }
}

#[test]
fn a_program_that_does_not_compile_is_an_error_with_the_compiler_s_words() {
    let error = compiler().compile("__global__ void f() { nonsense; }", &[]).expect_err("it is refused");
    assert!(error.to_string().contains("nonsense"), "{error}");
}

#[test]
fn compiled_programs_are_kept_and_damaged_ones_made_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let (compiler, cache) = (compiler(), PtxCache::new(folder.path()));
    let get = || cache.get(compiler, Program::Rows, Generation::Ampere).expect("it compiles");
    let path = cache.path(compiler, Program::Rows, Generation::Ampere);
    let first = get();
    let kept = std::fs::read(&path).expect("it is kept");
    let modified = || std::fs::metadata(&path).expect("it is there").modified().expect("a time");
    let written = modified();
    assert_eq!(get(), first);
    assert_eq!(modified(), written, "a kept program is read, not written");
    let flipped = [&kept[..kept.len() - 5], &[kept[kept.len() - 5] ^ 1], &kept[kept.len() - 4..]].concat();
    for damage in [&kept[..kept.len() / 2], &flipped[..], &[0xff, 0xfe][..], b""] {
        std::fs::write(&path, damage).expect("damaged");
        assert_eq!(get(), first);
        assert_eq!(std::fs::read(&path).expect("it is there"), kept, "the damaged file is replaced");
    }
    let files: Vec<PathBuf> = std::fs::read_dir(folder.path().join("ptx"))
        .expect("read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files, [path.clone()], "nothing else is left");
    assert_ne!(cache.path(compiler, Program::Rows, Generation::Hopper), path);
    assert_ne!(cache.path(Compiler { version: (13, 1) }, Program::Rows, Generation::Ampere), path);
}

#[test]
fn cards_before_ampere_are_refused_by_name() {
    assert_eq!(Generation::of(8).expect("Ampere"), Generation::Ampere);
    assert_eq!(Generation::of(12).expect("newer"), Generation::Hopper);
    assert!(Generation::of(7).expect_err("Turing").to_string().contains("8.0 (Ampere)"));
}
