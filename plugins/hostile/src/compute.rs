//! Attacks on processor, memory and stack.

use std::hint::black_box;

use atelier_plugin_sdk::{Failure, clock};

pub fn endless_loop() -> ! {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Never computes for long between two calls into the host.
pub fn endless_host_calls() -> ! {
    loop {
        black_box(clock::now_ms());
    }
}

/// Grows until it is refused, which ends a Rust program.
pub fn memory_bomb() -> ! {
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    loop {
        hoard.push(black_box(vec![1; 1 << 20]));
    }
}

pub fn deep_recursion() -> Result<(), Failure> {
    fn descend(depth: u64) -> u64 {
        if black_box(depth) == u64::MAX { 0 } else { black_box(descend(depth + 1)).wrapping_add(depth) }
    }
    Err(Failure::unsupported(format!("it returned {}", descend(0))))
}

pub fn trap() -> ! {
    panic!("as it was asked to")
}
