//! Compiled components: made once at install (and after an engine upgrade) in a child with bounded resources, kept in a
//! private folder under digest and engine version. An artefact from outside is never loaded.

use std::ffi::OsString;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::base_config;
use crate::limits::Profile;

/// Why a component could not be compiled or its artefact not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    #[error("the component does not compile: {0}")]
    Rejected(String),
    #[error("compiling took longer than {} s", .0.as_secs())]
    Timeout(Duration),
    #[error("the folder for compiled components cannot be used: {0}")]
    Folder(#[from] io::Error),
}

/// What compiling may use.
#[derive(Clone, Copy, Debug)]
pub struct CompileLimits {
    /// Address space of the child, in bytes.
    pub memory_bytes: u64,
    /// Wall-clock and CPU time.
    pub time: Duration,
}

/// Where and how components are compiled.
#[derive(Clone, Debug)]
pub enum Compiler {
    /// By a program that is called with these arguments, then the path to read, the path to write, the stack size, the memory
    /// limit and the time limit, and calls [`compile_in_this_process`].
    Child { program: PathBuf, arguments: Vec<OsString>, limits: CompileLimits },
    /// By this process: for tests and tools.
    InProcess,
}

/// The cache of compiled components.
#[derive(Clone, Debug)]
pub struct Artefacts {
    folder: PathBuf,
    compiler: Compiler,
    stack_bytes: usize,
    engine_tag: String,
}

impl Artefacts {
    /// Opens the private folder, making it if need be.
    ///
    /// # Errors
    /// It cannot be made private.
    pub fn open(folder: &Path, compiler: Compiler, profile: &Profile, engine: &Engine) -> io::Result<Self> {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700))?;
        let mut hasher = Blake3Hasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine_tag = hasher.0.finalize().to_hex()[..16].to_owned();
        Ok(Self { folder: folder.to_owned(), compiler, stack_bytes: profile.stack_bytes, engine_tag })
    }

    /// The compiled form of a component's file, compiled now if it never was. Blocks.
    ///
    /// # Errors
    /// It does not compile, within its limits.
    pub fn compiled(&self, digest: &str, bytes: &[u8]) -> Result<PathBuf, CompileError> {
        let path = self.folder.join(format!("{digest}-{}.cwasm", self.engine_tag));
        if path.exists() {
            return Ok(path);
        }
        // A name of its own for each attempt: a file that two write, and one of them has already mapped, would pull the pages
        // from under the code that runs in it.
        static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
        let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
        let scratch = self.folder.join(format!("{digest}-{}-{attempt}.tmp", std::process::id()));
        let made = self.compile(bytes, &scratch);
        if let Err(error) = made {
            // What was written so far is of no use; that it may not exist is no problem.
            let _ = std::fs::remove_file(&scratch);
            return Err(error);
        }
        std::fs::rename(&scratch, &path)?;
        Ok(path)
    }

    fn compile(&self, bytes: &[u8], output: &Path) -> Result<(), CompileError> {
        match &self.compiler {
            Compiler::InProcess => compile(bytes, output, self.stack_bytes),
            Compiler::Child { program, arguments, limits } => {
                let input = output.with_extension("wasm");
                std::fs::write(&input, bytes)?;
                let made = run_child(program, arguments, &input, output, self.stack_bytes, *limits);
                std::fs::remove_file(&input)?;
                made
            }
        }
    }
}

fn run_child(
    program: &Path,
    arguments: &[OsString],
    input: &Path,
    output: &Path,
    stack_bytes: usize,
    limits: CompileLimits,
) -> Result<(), CompileError> {
    let mut child = std::process::Command::new(program)
        .args(arguments)
        .args([input, output])
        .args([stack_bytes.to_string(), limits.memory_bytes.to_string(), limits.time.as_secs().to_string()])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let started = std::time::Instant::now();
    // The child prints one line at most, so its pipe cannot fill while nobody reads.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() > limits.time {
            child.kill()?;
            child.wait()?;
            return Err(CompileError::Timeout(limits.time));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    if status.success() {
        return Ok(());
    }
    let mut message = String::new();
    if let Some(stderr) = child.stderr.take() {
        io::Read::read_to_string(&mut io::Read::take(stderr, 4_096), &mut message)?;
    }
    let message = message.trim();
    Err(CompileError::Rejected(if message.is_empty() { status.to_string() } else { message.to_owned() }))
}

/// The compiling child's work: bounds itself, reads a component, writes its artefact.
///
/// # Errors
/// It does not compile.
pub fn compile_in_this_process(
    input: &Path,
    output: &Path,
    stack_bytes: usize,
    limits: CompileLimits,
) -> Result<(), CompileError> {
    let bounded = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::As, bounded(limits.memory_bytes)).map_err(io::Error::from)?;
    // Cores compile in parallel, so that CPU time may exceed wall time.
    setrlimit(Resource::Cpu, bounded(limits.time.as_secs().saturating_mul(8).max(1)))
        .map_err(io::Error::from)?;
    compile(&std::fs::read(input)?, output, stack_bytes)
}

fn compile(bytes: &[u8], output: &Path, stack_bytes: usize) -> Result<(), CompileError> {
    let rejected = |error: wasmtime::Error| CompileError::Rejected(format!("{error:#}"));
    let engine = Engine::new(&base_config(stack_bytes)).map_err(rejected)?;
    let artefact = engine.precompile_component(bytes).map_err(rejected)?;
    let mut file = std::fs::File::create(output)?;
    io::Write::write_all(&mut file, &artefact)?;
    file.sync_all()?;
    Ok(())
}

/// Loads an artefact that this host compiled.
///
/// # Errors
/// It is not of this engine, or too large for the engine's pool.
#[allow(unsafe_code, reason = "wasmtime trusts what it deserialises; only our own artefacts come here")]
pub fn load(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `compile` above, in this process or its child, into a folder that only this host's user
    // can enter, and renamed when whole. Nothing from outside is ever put there.
    unsafe { Component::deserialize_file(engine, path) }
}

struct Blake3Hasher(blake3::Hasher);

impl Hasher for Blake3Hasher {
    fn finish(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.0.finalize().as_bytes()[..8]);
        u64::from_le_bytes(first)
    }
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }
}
