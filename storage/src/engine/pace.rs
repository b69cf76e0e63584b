//! Work that nobody waits for gives way to threads that somebody waits for.
//!
//! Linux lets a thread that computes keep its core for some milliseconds, also where a request's thread was woken on it meanwhile: entering
//! calls into the books kept requests waiting for up to 5 ms (`ops/benchmarks.md`).

use std::cell::Cell;
use std::time::{Duration, Instant};

/// Steps between two moments at which the core is offered to others: about 50 µs.
const STEPS: u32 = 4;
/// How long a lock is held longer at most because its holder gives way.
const HOLDING_MAX: Duration = Duration::from_millis(5);

/// How a piece of work goes on.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Until when it gives way, if ever.
    until: Option<Instant>,
    steps: Cell<u32>,
}

impl Pace {
    /// Gives way until then, and goes on without pause afterwards.
    pub(crate) fn until(until: Option<Instant>) -> Self {
        Self { until, steps: Cell::new(0) }
    }

    /// The same for work that holds a lock from now on.
    pub(super) fn holding(until: Option<Instant>) -> Self {
        Self::until(until.map(|until| until.min(Instant::now() + HOLDING_MAX)))
    }

    /// To be called after each small step.
    pub(crate) fn step(&self) {
        if self.is_due() {
            std::thread::yield_now();
        }
    }

    fn is_due(&self) -> bool {
        let Some(until) = self.until else { return false };
        self.steps.set((self.steps.get() + 1) % STEPS);
        self.steps.get() == 0 && Instant::now() < until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(pace: &Pace) -> usize {
        (0..10 * STEPS).filter(|_| pace.is_due()).count()
    }

    #[test]
    fn it_gives_way_every_few_steps_until_its_time_is_over() {
        let hour = Some(Instant::now() + Duration::from_secs(3600));
        assert_eq!(pauses(&Pace::until(hour)), 10);
        assert_eq!(pauses(&Pace::until(Some(Instant::now()))), 0);
        assert_eq!(pauses(&Pace::until(None)), 0);
        let holding = Pace::holding(hour);
        assert!(holding.until.is_some_and(|until| until <= Instant::now() + HOLDING_MAX));
        std::thread::sleep(HOLDING_MAX);
        assert_eq!((pauses(&holding), pauses(&Pace::holding(None))), (0, 0));
    }
}
