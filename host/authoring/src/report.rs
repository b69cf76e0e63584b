//! What a suite found, as a table for people and as JSON for machines.

use std::fmt;
use std::time::Duration;

use atelier_domain::manifest::Manifest;
use atelier_runtime::{Profile, Used};
use serde::Serialize;

/// One check.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The interface, or `package`, `secrets`, `limits`.
    pub about: String,
    /// A sentence about behaviour.
    pub check: String,
    pub passed: bool,
    pub expected: String,
    pub found: String,
}

/// What the calls of one interface used at most, beside what they were granted.
#[derive(Clone, Debug, Serialize)]
pub struct LimitUse {
    pub interface: String,
    pub calls: u32,
    pub limits: Vec<LimitRow>,
}

/// One limit.
#[derive(Clone, Debug, Serialize)]
pub struct LimitRow {
    pub what: &'static str,
    pub used: u64,
    pub granted: u64,
}

/// All that a suite found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    pub plugin: String,
    pub version: String,
    pub rows: Vec<Row>,
    pub limits: Vec<LimitUse>,
}

impl Report {
    /// Of a plugin.
    pub fn new(manifest: &Manifest) -> Self {
        Self { plugin: manifest.id.clone(), version: manifest.version.clone(), ..Self::default() }
    }

    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.rows.iter().all(|row| row.passed)
    }
}

impl LimitUse {
    /// What was used of a profile.
    pub fn new(interface: &str, calls: u32, cpu: Duration, used: Used, profile: &Profile) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let row = |what, used: u64, granted: u64| LimitRow { what, used, granted };
        let limits = vec![
            row("memory bytes", used.memory_bytes as u64, profile.memory_bytes as u64),
            row("cpu ms", ms(cpu), ms(profile.cpu)),
            row("host calls", used.host_calls, profile.host_calls),
            row("requests", u64::from(used.requests), u64::from(profile.requests)),
            row("response bytes", used.response_bytes, profile.response_bytes),
            row("blob bytes", used.blob_bytes, profile.blob_bytes),
            row("log bytes", used.log_bytes as u64, profile.log_bytes as u64),
        ];
        Self { interface: interface.to_owned(), calls, limits }
    }

    /// The limit of which the largest share was used, in percent.
    pub fn tightest(&self) -> Option<(&LimitRow, u64)> {
        let share = |row: &LimitRow| row.used.saturating_mul(100) / row.granted.max(1);
        self.limits.iter().map(|row| (row, share(row))).max_by_key(|(_, percent)| *percent)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.plugin, self.version)?;
        let about = self.rows.iter().map(|row| row.about.len()).max().unwrap_or_default();
        let check = self.rows.iter().map(|row| row.check.chars().count()).max().unwrap_or_default();
        for row in &self.rows {
            let mark = if row.passed { "ok  " } else { "FAIL" };
            writeln!(
                f,
                "  {mark}  {:about$}  {:check$}  expected {}; {}",
                row.about, row.check, row.expected, row.found
            )?;
        }
        if !self.limits.is_empty() {
            writeln!(f, "\n  The most that one call used, of what it was granted:")?;
        }
        for usage in &self.limits {
            let cells: Vec<_> = usage
                .limits
                .iter()
                .map(|row| {
                    format!(
                        "{} {} of {}",
                        row.what,
                        amount(row.what, row.used),
                        amount(row.what, row.granted)
                    )
                })
                .collect();
            writeln!(f, "  {:about$}  {} ({} calls)", usage.interface, cells.join(", "), usage.calls)?;
        }
        let failed = self.rows.iter().filter(|row| !row.passed).count();
        match failed {
            0 => write!(f, "\n  {} checks passed", self.rows.len()),
            _ => write!(f, "\n  {failed} of {} checks FAILED", self.rows.len()),
        }
    }
}

/// Bytes in the unit that reads best; other counts as they are.
fn amount(what: &str, count: u64) -> String {
    match count {
        _ if !what.ends_with("bytes") => count.to_string(),
        0..10_240 => count.to_string(),
        10_240..10_485_760 => format!("{} Ki", count >> 10),
        _ => format!("{} Mi", count >> 20),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_check_says_what_was_expected_and_what_came() {
        let row = Row {
            about: "chat".to_owned(),
            check: "a 429 is told".to_owned(),
            passed: false,
            expected: "rate-limited".to_owned(),
            found: "internal".to_owned(),
        };
        let report = Report { rows: vec![row], ..Report::default() };
        let text = report.to_string();
        assert!(!report.passed());
        assert!(text.contains("FAIL  chat  a 429 is told  expected rate-limited; internal"), "{text}");
        assert!(text.contains("1 of 1 checks FAILED"), "{text}");
        assert_eq!(amount("memory bytes", 3 << 20), "3072 Ki");
    }
}
