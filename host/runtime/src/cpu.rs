//! CPU time of one call, counted around each of its polls, so that waiting costs nothing.
//!
//! The thread's clock of CPU time asks the kernel, which would be a twentieth of a short call. A poll is therefore timed on the
//! wall until the guest has been seen computing at a tick, and by the thread's clock from then on; where calls compute anyway, by the
//! thread's clock throughout. On the wall a poll counts for a tick at most: beyond that it did not compute, or it would have been seen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::engine::TICK;
use crate::host_state::Used;

fn read(clock: ClockId) -> Duration {
    let now = clock_gettime(clock);
    Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// CPU time that the current thread has used.
fn thread_cpu() -> Duration {
    read(ClockId::ThreadCPUTime)
}

/// Time since some moment, that never goes back.
fn wall() -> Duration {
    read(ClockId::Monotonic)
}

/// How the running poll is timed.
#[derive(Clone, Copy, Debug, Default)]
enum Timing {
    #[default]
    NotRunning,
    /// Since then on the wall.
    Wall(Duration),
    /// It had used `before` when its thread had used `cpu`.
    Thread { before: Duration, cpu: Duration },
}

impl Timing {
    /// What the poll has used.
    fn used(self) -> Duration {
        match self {
            Timing::NotRunning => Duration::ZERO,
            Timing::Wall(started) => wall().saturating_sub(started).min(TICK),
            Timing::Thread { before, cpu } => before + thread_cpu().saturating_sub(cpu),
        }
    }
}

/// What is known of a guest that computes, at a tick.
#[derive(Clone, Copy, Debug)]
pub struct AtTick {
    /// Since the first tick within this poll, or since it began where it is timed by the thread's clock from there.
    pub since_first: Duration,
    /// In the whole call.
    pub call: Duration,
}

/// The CPU clock of one call, shared with its epoch callback.
#[derive(Debug, Default)]
pub struct CpuMeter {
    /// Nanoseconds used by the polls that have ended.
    used: AtomicU64,
    poll: Mutex<Timing>,
    overran: AtomicBool,
    /// What the call's state had counted when it was dropped.
    used_up: Mutex<Used>,
}

impl CpuMeter {
    fn poll(&self) -> MutexGuard<'_, Timing> {
        self.poll.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called before a poll; `exactly` where calls compute.
    pub(crate) fn begin_poll(&self, exactly: bool) {
        *self.poll() = if exactly {
            Timing::Thread { before: Duration::ZERO, cpu: thread_cpu() }
        } else {
            Timing::Wall(wall())
        };
    }

    /// To be called after it, in the same thread.
    pub(crate) fn end_poll(&self) {
        let used = std::mem::take(&mut *self.poll()).used();
        self.used.fetch_add(u64::try_from(used.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// To be called in a poll when a tick has passed since the guest's last one.
    pub fn tick(&self) -> AtTick {
        let mut poll = self.poll();
        let (cpu, so_far) = (thread_cpu(), poll.used());
        let since_first = match *poll {
            Timing::Thread { cpu: first, .. } => cpu.saturating_sub(first),
            Timing::Wall(_) | Timing::NotRunning => {
                *poll = Timing::Thread { before: so_far, cpu };
                Duration::ZERO
            }
        };
        AtTick { since_first, call: self.used() + so_far }
    }

    /// CPU time used by finished polls.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }

    /// Notes what the call used beside CPU time. Its state does so at its end, however that comes.
    pub fn note_used_up(&self, used: Used) {
        *self.used_up.lock().unwrap_or_else(PoisonError::into_inner) = used;
    }

    /// What the call used; nothing as long as its state lives, as that of a call given up in the slow lane does.
    pub fn used_up(&self) -> Used {
        *self.used_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called by the epoch callback: the guest has not paused for a tick.
    pub fn note_overrun(&self) {
        self.overran.store(true, Ordering::Relaxed);
    }

    pub(crate) fn has_overrun(&self) -> bool {
        self.overran.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    /// Computes until the thread's clock says so.
    fn compute(time: Duration) {
        let started = thread_cpu();
        while thread_cpu() - started < time {
            std::hint::spin_loop();
        }
    }

    fn polled(meter: &CpuMeter, exactly: bool, body: impl FnOnce()) -> Duration {
        let before = meter.used();
        meter.begin_poll(exactly);
        body();
        meter.end_poll();
        meter.used() - before
    }

    #[test]
    fn a_short_poll_counts_as_long_as_it_lasts() {
        let (started, meter) = (Instant::now(), CpuMeter::default());
        let used = polled(&meter, false, || compute(TICK / 4));
        assert!(TICK / 4 <= used && used <= started.elapsed(), "{used:?}");
        assert!(used <= TICK, "{used:?}");
    }

    #[test]
    fn what_a_poll_waits_is_not_counted_beyond_a_tick() {
        let meter = CpuMeter::default();
        let waits = || std::thread::sleep(20 * TICK);
        assert_eq!(polled(&meter, false, waits), TICK);
        let exactly = polled(&meter, true, waits);
        assert!(exactly < 20 * TICK, "{exactly:?}");
    }

    #[test]
    fn a_guest_that_computes_is_counted_from_its_first_tick_on() {
        let meter = CpuMeter::default();
        let mut seen = Vec::new();
        let used = polled(&meter, false, || {
            for _ in 0..3 {
                compute(TICK);
                seen.push(meter.tick());
            }
            compute(10 * TICK);
        });
        assert_eq!(seen[0].since_first, Duration::ZERO);
        assert!(seen[1].since_first >= TICK && seen[2].since_first >= 2 * TICK, "{seen:?}");
        assert!(seen[2].call >= 3 * TICK && used >= 13 * TICK, "{seen:?}, {used:?}");
        // The next poll is a new one, and the call goes on.
        let more = polled(&meter, false, || {
            compute(TICK);
            seen.push(meter.tick());
        });
        assert!(seen[3].since_first.is_zero() && seen[3].call >= used + TICK && more >= TICK, "{seen:?}");
    }
}
