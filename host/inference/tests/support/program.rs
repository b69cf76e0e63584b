//! eSpeak NG, and programs that stand in for it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use atelier_inference::piper::Phonemizer;

/// A shell script in its place.
pub fn phonemizer(folder: &Path, script: &str) -> Phonemizer {
    let program = folder.join("phonemizer.sh");
    // By another process: a file that this one has open for writing cannot be run while a thread of it forks.
    let status = std::process::Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$2\"", "sh", script])
        .arg(&program)
        .status();
    assert!(status.expect("sh runs").success());
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("it is made a program");
    Phonemizer { program, ..Phonemizer::default() }
}

/// The program that `ATELIER_ESPEAK` names, which must work, or the one in `PATH`.
#[allow(dead_code, reason = "not every test that includes this asks for it")]
pub async fn espeak() -> Option<Phonemizer> {
    if let Some(program) = std::env::var_os("ATELIER_ESPEAK") {
        return Some(Phonemizer { program: program.into(), ..Phonemizer::default() });
    }
    let phonemizer = Phonemizer::default();
    phonemizer.probe("en-us").await.is_ok().then_some(phonemizer)
}
