//! The binary `atelier`: see [`atelier_server::cli`].

use std::process::ExitCode;

/// A request allocates a few hundred times; the system's allocator takes a tenth of its time for that (`ops/benchmarks.md`).
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    atelier_server::cli::run()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    const MIB: usize = 1 << 20;

    /// Bytes that this process has in memory: `VmRSS` of proc_pid_status(5).
    fn resident() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }

    #[test]
    fn freed_memory_goes_back_while_nobody_allocates() {
        atelier_server::heap::give_back_free_memory().unwrap();
        let before = resident();
        let burst: Vec<Vec<u8>> = (0..256).map(|_| vec![1; MIB / 4]).collect();
        assert!(resident() > before + 60 * MIB);
        drop(burst);
        let since = Instant::now();
        while resident() > before + 8 * MIB {
            assert!(
                since.elapsed() < Duration::from_secs(30),
                "{} MiB are kept",
                (resident() - before) / MIB
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}
