//! `[sandbox]`: what one call into a plugin may use. No limit has a default in code: the file that `atelier init` writes
//! names each.

use super::Section;

/// Limits of calls into plugins, each per call unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    pub memory_mib: u64,
    pub table_elements: u64,
    pub stack_kib: u64,
    pub cpu_ms: u64,
    pub wall_ms: u64,
    pub response_mib: u64,
    pub blob_mib: u64,
    pub log_kib: u64,
    pub open_requests: u64,
    pub requests: u64,
    pub handles: u64,
    pub host_call_memory_mib: u64,
    pub host_calls: u64,
    /// Over all plugins.
    pub concurrent_calls: u64,
    /// Over all plugins.
    pub slow_lane_calls: u64,
    pub slow_lane_threads: u64,
    /// Per instance.
    pub cache_mib: u64,
}

impl Sandbox {
    pub(super) fn read(section: &mut Section) -> Self {
        Self {
            memory_mib: section.required_number("memory_mib", 1..=4096),
            table_elements: section.required_number("table_elements", 1..=10_000_000),
            stack_kib: section.required_number("stack_kib", 64..=8192),
            cpu_ms: section.required_number("cpu_ms", 1..=3_600_000),
            wall_ms: section.required_number("wall_ms", 1..=86_400_000),
            response_mib: section.required_number("response_mib", 1..=4096),
            blob_mib: section.required_number("blob_mib", 1..=65_536),
            log_kib: section.required_number("log_kib", 1..=65_536),
            open_requests: section.required_number("open_requests", 1..=1024),
            requests: section.required_number("requests", 1..=100_000),
            handles: section.required_number("handles", 1..=1_000_000),
            host_call_memory_mib: section.required_number("host_call_memory_mib", 1..=4096),
            host_calls: section.required_number("host_calls", 1..=1_000_000_000),
            concurrent_calls: section.required_number("concurrent_calls", 1..=100_000),
            slow_lane_calls: section.required_number("slow_lane_calls", 1..=10_000),
            slow_lane_threads: section.required_number("slow_lane_threads", 1..=256),
            cache_mib: section.required_number("cache_mib", 1..=65_536),
        }
    }
}
