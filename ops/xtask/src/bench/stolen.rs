//! What a machine's host took of its cores' time: figures of a run in which it took much are not those of the machine.

use std::fs;

/// The cores' time since the machine was started, in ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreTime {
    all: u64,
    stolen: u64,
}

impl CoreTime {
    /// Now; `None` where the system does not tell.
    pub fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    /// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal (proc_stat(5)).
    fn parse(text: &str) -> Option<Self> {
        let line = text.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line.split_whitespace().take(8).map_while(|tick| tick.parse().ok()).collect();
        let (stolen, _) = ticks.split_last().filter(|_| ticks.len() == 8)?;
        Some(Self { all: ticks.iter().sum(), stolen: *stolen })
    }

    /// The share that was stolen since then, in percent.
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let all = self.all.saturating_sub(earlier.all).max(1);
        self.stolen.saturating_sub(earlier.stolen) as f64 / all as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_all_time_since() {
        let at = |idle: u64, steal: u64| {
            let text = format!("cpu  100 0 50 {idle} 0 0 0 {steal} 7 7\ncpu0 1 2 3");
            CoreTime::parse(&text).expect("eight figures")
        };
        assert_eq!(at(1_075, 25).stolen_since(at(1_000, 0)), 25.0);
        assert_eq!(at(1_000, 0).stolen_since(at(1_000, 0)), 0.0);
        assert_eq!(CoreTime::parse("cpu 1 2 3"), None, "an older system");
        assert_eq!(CoreTime::parse(""), None);
    }
}
