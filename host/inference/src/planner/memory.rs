//! How much memory this machine has for us: the kernel's estimate, within the control group's limit.

use std::fs::File;
use std::io::Read;

/// Far more than these files have.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Bytes that can be taken without swapping, by `MemAvailable` of `/proc/meminfo` (proc(5)) and by what `memory.max` of
/// the control group leaves (kernel documentation, "Control Group v2"). None where the system says neither.
pub fn available_bytes() -> Option<u64> {
    let of_machine = read("/proc/meminfo").and_then(|text| from_meminfo(&text, "MemAvailable:"));
    let of_group = read("/sys/fs/cgroup/memory.max").and_then(|limit| {
        let limit: u64 = limit.trim().parse().ok()?; // `max`: no limit
        let used: u64 = read("/sys/fs/cgroup/memory.current")?.trim().parse().ok()?;
        Some(limit.saturating_sub(used))
    });
    [of_machine, of_group].into_iter().flatten().min()
}

fn from_meminfo(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_estimate_is_read_and_nonsense_is_not() {
        let text = "MemTotal:       16 kB\nMemAvailable:    3 kB\n";
        assert_eq!(from_meminfo(text, "MemAvailable:"), Some(3072));
        for wrong in ["", "MemAvailable: x kB", "MemAvailable: 3 MB", "MemAvailable: 18446744073709551615 kB"]
        {
            assert_eq!(from_meminfo(wrong, "MemAvailable:"), None, "{wrong}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_machine_says_how_much_it_has() {
        assert!(available_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
