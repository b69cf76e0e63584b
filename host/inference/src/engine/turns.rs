//! Whose request is next.

use std::collections::HashMap;

/// When tenants had their last turns: a request is admitted of whoever has the fewest running, and of those of whoever was last admitted
/// the longest ago. So one with many requests waits behind itself.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// Counts turns.
    clock: u64,
    last: HashMap<u64, u64>,
}

impl Turns {
    /// The place in `waiting` of the request that is next; of one tenant's the first. Both are the tenants of requests, in order of
    /// arrival.
    pub(super) fn next(
        &self,
        waiting: impl Iterator<Item = u64>,
        running: impl Iterator<Item = u64>,
    ) -> Option<usize> {
        let mut counts: HashMap<u64, usize> = HashMap::new();
        for tenant in running {
            *counts.entry(tenant).or_default() += 1;
        }
        let rank = |tenant: &u64| (counts.get(tenant).copied(), self.last.get(tenant).copied());
        waiting.enumerate().min_by_key(|(_, tenant)| rank(tenant)).map(|(place, _)| place)
    }

    /// Count a turn of `tenant`, and forget those who neither run nor wait.
    pub(super) fn take(&mut self, tenant: u64, is_here: impl Fn(u64) -> bool) {
        self.clock += 1;
        self.last.retain(|tenant, _| is_here(*tenant));
        self.last.insert(tenant, self.clock);
    }
}

#[cfg(test)]
mod tests {
    use super::Turns;

    /// The order in which `waiting` are admitted, with so many places and each ended before the next is admitted.
    fn order(turns: &mut Turns, waiting: &[(u64, char)], places: usize) -> String {
        let mut waiting = waiting.to_vec();
        let mut running: Vec<u64> = Vec::new();
        let mut told = String::new();
        while let Some(next) = turns.next(waiting.iter().map(|(tenant, _)| *tenant), running.iter().copied())
        {
            let (tenant, name) = waiting.remove(next);
            told.push(name);
            running.push(tenant);
            if running.len() == places {
                running.remove(0);
            }
            turns.take(tenant, |other| {
                running.contains(&other) || waiting.iter().any(|(tenant, _)| *tenant == other)
            });
        }
        told
    }

    #[test]
    fn tenants_take_turns_and_each_ones_requests_come_in_order() {
        let waiting = [(1, 'a'), (1, 'b'), (1, 'c'), (2, 'd'), (2, 'e'), (3, 'f')];
        for places in 1..4 {
            assert_eq!(order(&mut Turns::default(), &waiting, places), "adfbec", "{places}");
        }
    }

    #[test]
    fn one_tenant_is_served_in_order() {
        let mut turns = Turns::default();
        assert_eq!(order(&mut turns, &[(1, 'a'), (1, 'b'), (1, 'c')], 2), "abc");
        assert_eq!(turns.next([].into_iter(), [1].into_iter()), None);
    }

    #[test]
    fn whoever_left_is_forgotten() {
        let mut turns = Turns::default();
        (0..100).for_each(|tenant| turns.take(tenant, |other| other == 7));
        assert_eq!(turns.last.len(), 2);
    }
}
