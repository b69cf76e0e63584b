//! How long to wait before something is tried again: exponential backoff with full jitter (AWS Architecture Blog, "Exponential
//! Backoff And Jitter"), so that jobs which failed together do not come back together.

use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::id::JobId;

/// The bound of the first pause; each further one doubles.
const FIRST: Duration = Duration::from_secs(1);
const DOUBLINGS_MAX: u32 = 5;
/// No pause is shorter.
const LEAST: Duration = Duration::from_millis(50);

/// The pause before a job's next attempt after `failures` in a row. A provider that says how long to wait is taken at its word, and
/// the jitter comes on top.
pub(super) fn pause(job: JobId, failures: u32, error: &ProviderError) -> Duration {
    match error.retry_after() {
        Some(told) => told + part_of(FIRST, job, failures),
        None => {
            let bound = FIRST * 2u32.pow(failures.saturating_sub(1).min(DOUBLINGS_MAX));
            part_of(bound, job, failures).max(LEAST)
        }
    }
}

/// When to ask about a job that was open at the start: not about all of them at once.
pub(super) fn spread(job: JobId) -> Duration {
    part_of(FIRST * 2, job, 0)
}

/// Anything from nothing to all of a pause, evenly over jobs and failures, and the same for each of them.
fn part_of(bound: Duration, job: JobId, failures: u32) -> Duration {
    let mut hasher = blake3::Hasher::new_derive_key("atelier 2026-11 retry jitter v1");
    hasher.update(job.as_bytes()).update(&failures.to_be_bytes());
    let mut bytes = [0; 4];
    hasher.finalize_xof().fill(&mut bytes);
    bound.mul_f64(f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use atelier_domain::failure::{Failure, FailureCode};

    use super::*;

    fn error(retry_after: Option<Duration>) -> ProviderError {
        let mut failure = Failure::new(FailureCode::Unavailable, "away");
        failure.retry_after = retry_after;
        ProviderError::Reported { instance: "a".to_owned(), failure: Box::new(failure) }
    }

    #[test]
    fn pauses_grow_to_a_bound_and_spread_over_all_of_it() {
        for (failures, bound_ms) in
            [(1, 1_000), (2, 2_000), (3, 4_000), (6, 32_000), (7, 32_000), (u32::MAX, 32_000)]
        {
            let pauses: Vec<u128> =
                (0..400).map(|_| pause(JobId::new(), failures, &error(None)).as_millis()).collect();
            assert!(pauses.iter().all(|pause| (50..=bound_ms).contains(pause)), "{failures}");
            for quarter in 0..4 {
                let within = |pause: &&u128| **pause * 4 / bound_ms == quarter;
                let count = pauses.iter().filter(within).count();
                assert!((50..=150).contains(&count), "{count} of 400 in quarter {quarter} after {failures}");
            }
        }
    }

    #[test]
    fn a_provider_that_says_how_long_is_taken_at_its_word() {
        let told = Duration::from_secs(7);
        for failures in 1..50 {
            let pause = pause(JobId::new(), failures, &error(Some(told)));
            assert!((told..=told + FIRST).contains(&pause), "{pause:?}");
        }
    }
}
