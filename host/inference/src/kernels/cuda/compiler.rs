//! NVRTC, NVIDIA's compiler as a library: CUDA C++ to PTX, which every later driver and card takes.
//!
//! A driver alone does not have it, so it is fetched by hash when CUDA is first used, as weights are; nothing of it is
//! linked or shipped (NVIDIA's licence lets users fetch it). Programs are compiled on the machine, not in advance: they
//! are made for the card's own generation, and a binary carries no code for cards that it never meets.

use std::ffi::{CStr, CString, c_char};
use std::path::Path;
use std::sync::OnceLock;

use cudarc::nvrtc::{result, sys};
use libloading::Library;

use crate::error::ModelError;
use crate::weights::{Source, SourceFile};

/// The compiler. 13.0: what it writes is read by drivers from 580 on.
pub const NVRTC: Source = Source {
    package: "nvidia-cuda-nvrtc",
    version: "13.0.88",
    wheel_sha256: "ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575",
    wheel_bytes: 90_215_200,
    files: &[
        SourceFile {
            member: "nvidia/cu13/lib/libnvrtc.so.13",
            name: "libnvrtc.so.13",
            sha256: "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11",
            bytes: 109_338_064,
        },
        SourceFile {
            member: "nvidia/cu13/lib/libnvrtc-builtins.so.13.0",
            name: "libnvrtc-builtins.so.13.0",
            sha256: "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2",
            bytes: 4_380_616,
        },
    ],
};

/// Generations of cards that programs are compiled for: Ampere and Ada by the first, Hopper and later by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// Compute capability 8.0.
    Ampere,
    /// Compute capability 9.0.
    Hopper,
}

impl Generation {
    /// The newest that a card of compute capability `major` runs.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for a card older than Ampere.
    pub fn of(major: i32) -> Result<Self, ModelError> {
        match major {
            ..8 => Err(ModelError::Unsupported {
                what: "CUDA compute capability",
                found: major.to_string(),
                known: "8.0 (Ampere) and later",
            }),
            8 => Ok(Self::Ampere),
            _ => Ok(Self::Hopper),
        }
    }

    /// The compiler's options.
    pub fn options(self) -> [&'static str; 2] {
        match self {
            Self::Ampere => ["--gpu-architecture=compute_80", "--std=c++17"],
            Self::Hopper => ["--gpu-architecture=compute_90", "--std=c++17"],
        }
    }
}

/// The loaded compiler.
#[derive(Clone, Copy, Debug)]
pub struct Compiler {
    /// Its version, major and minor.
    pub version: (i32, i32),
}

/// What the compiler made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    /// The program, in PTX.
    pub ptx: String,
    /// Warnings; empty where there are none.
    pub log: String,
}

impl Compiler {
    /// Load the compiler that lies in `folder`; once per process, the first folder stays.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the files cannot be loaded or are of another version.
    #[allow(unsafe_code, reason = "a shared library, verified by hash when it was fetched, is opened")]
    pub fn open(folder: &Path) -> Result<Self, ModelError> {
        static LOADED: OnceLock<Result<Vec<Library>, String>> = OnceLock::new();
        // The loader knows a library by its name once it is loaded: cudarc's own look for `libnvrtc.so.13` finds this one.
        let loaded = LOADED.get_or_init(|| {
            let files = ["libnvrtc-builtins.so.13.0", "libnvrtc.so.13"].map(|name| folder.join(name));
            // SAFETY: initialisers of NVIDIA's library, of known hash, want nothing of the process.
            files
                .iter()
                .map(|file| unsafe { Library::new(file) }.map_err(|error| error.to_string()))
                .collect()
        });
        loaded.as_ref().map_err(|error| failed(format!("NVRTC cannot be loaded: {error}")))?;
        // SAFETY: opens the same library again, by name.
        if !unsafe { sys::is_culib_present() } {
            return Err(failed("NVRTC is loaded and yet not found by its name".to_owned()));
        }
        let (mut major, mut minor) = (0, 0);
        // SAFETY: both numbers are written to while this runs.
        unsafe { sys::nvrtcVersion(&raw mut major, &raw mut minor) }
            .result()
            .map_err(|error| failed(format!("NVRTC does not tell its version: {error:?}")))?;
        match major {
            13 => Ok(Self { version: (major, minor) }),
            _ => Err(failed(format!("NVRTC has the version {major}.{minor}; 13 is needed"))),
        }
    }

    /// Compile one program.
    ///
    /// # Errors
    /// [`ModelError::Compute`] with what the compiler says.
    #[allow(unsafe_code, reason = "the compiler's functions are foreign")]
    pub fn compile(self, source: &str, options: &[&str]) -> Result<Compiled, ModelError> {
        let source = CString::new(source).map_err(|error| failed(error.to_string()))?;
        let program = result::create_program(&source, Some(c"atelier.cu"))
            .map_err(|error| failed(format!("NVRTC takes no program: {error:?}")))?;
        // SAFETY: the program was created above, its source still lives, and it is destroyed below, once.
        let (outcome, log, ptx, destroyed) = unsafe {
            let outcome = result::compile_program(program, options);
            let log = result::get_program_log(program);
            let ptx = outcome.and_then(|()| result::get_ptx(program));
            (outcome, log, ptx, result::destroy_program(program))
        };
        let log = log.map(|log| text(&log)).unwrap_or_default();
        outcome.map_err(|error| failed(format!("NVRTC refuses a program ({error:?}): {log}")))?;
        destroyed.map_err(|error| failed(format!("NVRTC keeps a program: {error:?}")))?;
        let ptx = ptx.map_err(|error| failed(format!("NVRTC gives no PTX: {error:?}")))?;
        Ok(Compiled { ptx: text(&ptx), log })
    }
}

/// Up to the zero that ends a C string.
fn text(bytes: &[c_char]) -> String {
    let bytes: &[u8] = bytemuck::cast_slice(bytes);
    CStr::from_bytes_until_nul(bytes).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

pub(super) fn failed(reason: String) -> ModelError {
    ModelError::Compute { reason: format!("CUDA: {reason}") }
}
