//! What libFuzzer says that it did (<https://llvm.org/docs/LibFuzzer.html#output>).

use std::fmt;

/// Figures of one run, as far as they were told: a target that ends with a finding tells only some.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    executions: Option<u64>,
    per_second: Option<u64>,
    /// Blocks and edges of code that were reached.
    coverage: Option<u64>,
    peak_mib: Option<u64>,
}

impl Report {
    /// Reads a run's output: the last of each figure counts.
    pub fn of(output: &str) -> Self {
        let mut report = Self::default();
        for line in output.lines() {
            let stat = |name: &str| line.strip_prefix("stat::")?.strip_prefix(name)?.trim().parse().ok();
            report.executions = stat("number_of_executed_units:").or(counted(line)).or(report.executions);
            report.per_second =
                stat("average_exec_per_sec:").or(after(line, "exec/s: ")).or(report.per_second);
            report.coverage = after(line, " cov: ").or(report.coverage);
            report.peak_mib = stat("peak_rss_mb:").or(after(line, " rss: ")).or(report.peak_mib);
        }
        report
    }
}

/// The number that a status line begins with.
fn counted(line: &str) -> Option<u64> {
    line.strip_prefix('#')?.split_whitespace().next()?.parse().ok()
}

/// The number behind a word of a status line.
fn after(line: &str, word: &str) -> Option<u64> {
    let rest = line.strip_prefix('#')?.split_once(word)?.1;
    rest[..rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = |figure: Option<u64>| figure.map_or_else(|| "?".to_owned(), |figure| figure.to_string());
        let [executions, per_second] = [self.executions, self.per_second].map(told);
        let [coverage, peak] = [self.coverage, self.peak_mib].map(told);
        write!(f, "{executions} executions, {per_second}/s, coverage {coverage}, {peak} MiB at most")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_each_figure_is_told() {
        let output = "INFO: Seed: 1\n#2\tINITED cov: 7 ft: 8 corp: 1/1b exec/s: 0 rss: 30Mb\n\
            #1024\tNEW    cov: 31 ft: 40 corp: 5/60b lim: 17 exec/s: 512 rss: 33Mb L: 9/17 MS: 1 CopyPart-\n\
            Done 4096 runs in 3 second(s)\nstat::number_of_executed_units: 4096\n\
            stat::average_exec_per_sec:     1365\nstat::peak_rss_mb:              34\n";
        let whole = Report::of(output);
        assert_eq!(whole.to_string(), "4096 executions, 1365/s, coverage 31, 34 MiB at most");
        let broken_off: Vec<_> = output.lines().take(3).collect();
        let report = Report::of(&broken_off.join("\n"));
        assert_eq!(report.to_string(), "1024 executions, 512/s, coverage 31, 33 MiB at most");
        assert_eq!(Report::of("").to_string(), "? executions, ?/s, coverage ?, ? MiB at most");
    }
}
