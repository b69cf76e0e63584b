//! What can be known of the CUDA kernels without a card: they compile, they are kept, and a machine without a driver says so.

#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use atelier_inference::Precision;
use atelier_inference::gguf::Encoding;
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
    assert_eq!(files, std::slice::from_ref(&path), "nothing else is left");
    assert_ne!(cache.path(compiler, Program::Rows, Generation::Hopper), path);
    assert_ne!(cache.path(Compiler { version: (13, 1) }, Program::Rows, Generation::Ampere), path);
}

#[test]
fn cards_before_ampere_are_refused_by_name() {
    assert_eq!(Generation::of(8).expect("Ampere"), Generation::Ampere);
    assert_eq!(Generation::of(12).expect("newer"), Generation::Hopper);
    assert!(Generation::of(7).expect_err("Turing").to_string().contains("8.0 (Ampere)"));
}

/// Where there is a card the same call must succeed: either way something is held against the machine.
#[test]
fn a_machine_without_a_driver_is_told_so() {
    let has_driver =
        ["/proc/driver/nvidia/version", "/dev/nvidiactl"].iter().any(|path| Path::new(path).exists());
    match Cuda::open(0) {
        Ok(_) => assert!(has_driver, "a card without a driver"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("CUDA: "), "{text}");
            assert!(
                has_driver || text.contains("no NVIDIA driver (libcuda.so.1): install version 580"),
                "{text}"
            );
        }
    }
}

/// Models name no device: this compiles where the kernels fit them.
#[test]
fn a_text_model_is_made_of_these_kernels_as_of_any() {
    fn bytes<K: Kernels>() -> u64 {
        assert!(std::any::type_name::<Llama<K>>().contains("Cuda"));
        K::matrix_bytes(Encoding::Q4_1, 576, 1536, Precision::Fast)
    }
    assert_eq!(bytes::<Cuda>(), 576 * 1536 / 32 * 20, "as many bytes as in the file");
}

/// The device's decoders, compiled by the machine's own C++ compiler, give the numbers of the decoders in Rust to a rounding.
#[test]
fn blocks_mean_on_the_card_what_they_mean_on_the_host() {
    const COLUMNS: usize = 512;
    const ROWS: usize = 64;
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let cases: String = (0..ENCODINGS.len()).map(|e| format!("case {e}: run<{e}>(); break;")).collect();
    let source = format!(
        r#"{TYPES}{DECODERS}
        #include <stdio.h>
        #include <stdlib.h>
        template <int E> void run() {{
            static uint8_t row[8 * {COLUMNS}];
            uint64_t bytes = row_bytes<E>({COLUMNS});
            while (fread(row, 1, bytes, stdin) == bytes)
                for (uint32_t chunk = 0; chunk < {COLUMNS} / 8; chunk++) {{
                    float out[8];
                    decode8<E>(row, chunk, {COLUMNS}, out);
                    fwrite(out, 4, 8, stdout);
                }}
        }}
        int main(int, char** words) {{ switch (atoi(words[1])) {{ {cases} }} }}"#
    );
    std::fs::write(at("decode.cc"), source).expect("written");
    // Without contraction: Rust multiplies and adds in two steps.
    let built = Command::new("c++")
        .args([
            "-std=c++17",
            "-O1",
            "-fno-strict-aliasing",
            "-ffp-contract=off",
            "-Wno-unused-function",
            "-o",
        ])
        .args([at("decode"), at("decode.cc")])
        .output()
        .expect("a C++ compiler is needed (Debian: `apt-get install g++`)");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    for (number, encoding) in ENCODINGS.into_iter().enumerate() {
        let blocks = ROWS * COLUMNS / encoding.block_size();
        let mut state = 7 + number as u32;
        let bytes: Vec<u8> = (0..blocks * encoding.block_bytes())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        std::fs::write(at("bytes"), &bytes).expect("written");
        let input = std::fs::File::open(at("bytes")).expect("opened");
        let ran = Command::new(at("decode")).arg(number.to_string()).stdin(input).output().expect("it runs");
        let mut right = vec![0.0_f32; ROWS * COLUMNS];
        encoding.decode(&bytes, &mut right);
        let found: Vec<f32> =
            ran.stdout.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(found.len(), right.len(), "{encoding:?}");
        for (place, (found, right)) in found.iter().zip(&right).enumerate() {
            // Scales meet in another order: a rounding apart. Random halves are infinite or no number at times.
            let near = (found - right).abs() <= 4e-7 * right.abs().max(found.abs()) || found == right;
            let same =
                near || found.is_nan() && !right.is_finite() || !found.is_finite() && !right.is_finite();
            assert!(same, "{encoding:?} at {place}: {found}, not {right}");
        }
    }
}
