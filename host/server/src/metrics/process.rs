//! What the process itself uses, read when it is asked for; the names are those that Prometheus' own clients use.

use std::fs;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Counter, IntGauge};
use rustix::time::{ClockId, clock_gettime};

/// CPU time, memory, threads and open files of this process, from `/proc/self`.
pub(super) struct Process {
    cpu: Counter,
    resident: IntGauge,
    threads: IntGauge,
    files: IntGauge,
}

impl Process {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        Ok(Self {
            cpu: cpu()?,
            resident: IntGauge::new("process_resident_memory_bytes", "Resident memory in bytes.")?,
            threads: IntGauge::new("process_threads", "Threads of the process.")?,
            files: IntGauge::new("process_open_fds", "Open file descriptors.")?,
        })
    }
}

fn cpu() -> Result<Counter, prometheus::Error> {
    Counter::new("process_cpu_seconds_total", "CPU time of the process in seconds.")
}

impl Collector for Process {
    fn desc(&self) -> Vec<&Desc> {
        [self.cpu.desc(), self.resident.desc(), self.threads.desc(), self.files.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let spent = clock_gettime(ClockId::ProcessCPUTime);
        let mut all = Vec::new();
        // The system counts; a counter of its own for each answer says what it counted.
        if let Ok(cpu) = cpu() {
            cpu.inc_by(spent.tv_sec as f64 + spent.tv_nsec as f64 / 1e9);
            all.extend(cpu.collect());
        }
        // Where there is no `/proc`, there is nothing to tell, and a zero would be a lie.
        if let Ok(status) = fs::read_to_string("/proc/self/status") {
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                line.split_whitespace().next()?.parse::<i64>().ok()
            };
            if let Some(kib) = field("VmRSS:") {
                self.resident.set(kib * 1024);
                all.extend(self.resident.collect());
            }
            if let Some(threads) = field("Threads:") {
                self.threads.set(threads);
                all.extend(self.threads.collect());
            }
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            self.files.set(i64::try_from(open.count()).unwrap_or(i64::MAX));
            all.extend(self.files.collect());
        }
        all
    }
}
