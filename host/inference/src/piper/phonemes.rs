//! eSpeak NG as a program of its own: a clause goes in, IPA comes out.
//!
//! It is under the GPL and never linked. Text goes by its standard input, never by an argument; it is stopped when it writes too
//! much or takes too long, and sees of our environment only what it needs to find itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;

use crate::error::PhonemizerError;

/// Bytes of a clause's phonemes: far more than the longest clause has, numbers spelt out included.
pub const PHONEMES_BYTES_MAX: usize = 64 << 10;
const DETAIL_BYTES_MAX: usize = 512;
/// What a program needs to find its libraries and its data.
const INHERITED: [&str; 3] = ["PATH", "LD_LIBRARY_PATH", "ESPEAK_DATA_PATH"];

/// Where eSpeak NG is, and how long it may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phonemizer {
    /// The program, by its path or by its name in `PATH`.
    pub program: PathBuf,
    /// Variables set for it, as `LD_LIBRARY_PATH` and `ESPEAK_DATA_PATH` where it lies in a folder of its own.
    pub envs: Vec<(OsString, OsString)>,
    /// For one clause; it takes some 10 ms.
    pub clause_time_max: Duration,
}

impl Default for Phonemizer {
    fn default() -> Self {
        Self {
            program: PathBuf::from("espeak-ng"),
            envs: Vec::new(),
            clause_time_max: Duration::from_secs(5),
        }
    }
}

impl Phonemizer {
    /// Whether the program is there and speaks a language.
    ///
    /// # Errors
    /// [`PhonemizerError`].
    pub async fn probe(&self, voice: &str) -> Result<(), PhonemizerError> {
        self.phonemes(voice, "a").await.map(drop)
    }

    /// The phonemes of one clause in IPA, words by spaces. Needs a tokio runtime with I/O and time; given up, it stops the program.
    ///
    /// # Errors
    /// [`PhonemizerError`].
    pub async fn phonemes(&self, voice: &str, clause: &str) -> Result<String, PhonemizerError> {
        let said = tokio::time::timeout(self.clause_time_max, self.run(voice, clause)).await;
        let ipa = said.unwrap_or_else(|_| {
            Err(PhonemizerError::TimedOut { program: self.name(), limit: self.clause_time_max })
        })?;
        Ok(cleaned(&ipa))
    }

    async fn run(&self, voice: &str, clause: &str) -> Result<String, PhonemizerError> {
        let missing = |error: std::io::Error| PhonemizerError::Missing {
            program: self.name(),
            reason: error.to_string(),
        };
        let mut child = self.command(voice).spawn().map_err(missing)?;
        let (Some(mut text), Some(phonemes), Some(errors)) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(missing(std::io::Error::other("it has no pipes")));
        };
        let write = async {
            // One that ends without reading says why by its status.
            let _ = text.write_all(clause.as_bytes()).await;
            let _ = text.write_all(b"\n").await;
            drop(text);
            Ok(())
        };
        let read = async {
            let ipa = read_at_most(phonemes, PHONEMES_BYTES_MAX + 1).await.map_err(missing)?;
            if ipa.len() > PHONEMES_BYTES_MAX {
                return Err(PhonemizerError::TooMuch { program: self.name(), bytes_max: PHONEMES_BYTES_MAX });
            }
            Ok(ipa)
        };
        let explain = async { drained(errors, DETAIL_BYTES_MAX).await.map_err(missing) };
        let ((), ipa, detail) = tokio::try_join!(write, read, explain)?;
        let status = child.wait().await.map_err(missing)?;
        let detail = String::from_utf8_lossy(&detail).split_whitespace().collect::<Vec<_>>().join(" ");
        let failed = |detail: String| PhonemizerError::Failed {
            program: self.name(),
            status: status.to_string(),
            detail,
        };
        if !status.success() {
            // What a loader says of a library that is not there.
            return Err(failed(detail));
        }
        String::from_utf8(ipa).map_err(|_| failed("what it wrote is not UTF-8".to_owned()))
    }

    fn command(&self, voice: &str) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(["-q", "--ipa", "-b", "1", "--stdin", "-v", voice])
            .env_clear()
            .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(self.envs.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }

    fn name(&self) -> String {
        self.program.display().to_string()
    }
}

async fn read_at_most(from: impl AsyncRead + Unpin, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(bytes_max as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// The first bytes; the others are read away, so that nobody waits to write them.
async fn drained(mut from: impl AsyncRead + Unpin, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let bytes = read_at_most(&mut from, bytes_max).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    Ok(bytes)
}

/// Lines become one, and marks of a change of language, `(fr)`, go: voices do not know them.
fn cleaned(ipa: &str) -> String {
    let mut depth = 0_u32;
    let spoken = ipa.chars().filter(|char| {
        depth += u32::from(*char == '(');
        let is_spoken = depth == 0;
        depth = depth.saturating_sub(u32::from(*char == ')'));
        is_spoken
    });
    spoken.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::cleaned;

    #[test]
    fn lines_are_joined_and_marks_of_languages_removed() {
        assert_eq!(cleaned("həlˈoʊ\n wˈɜːld\n"), "həlˈoʊ wˈɜːld");
        assert_eq!(cleaned("(fr)ʒˈe(en) fˈaɪn) x"), "ʒˈe fˈaɪn) x");
        assert_eq!(cleaned("\n \n"), "");
    }
}
