//! Aliases: the operator's own names for models, with what else may answer.

use std::collections::HashMap;

use crate::id::ModelId;

/// A model that an alias leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasTarget {
    pub model: ModelId,
    /// Its share of the requests: this many of the sum of all. Of 0, it only steps in where others fail.
    pub weight: u32,
}

/// An operator's name for models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// In the order in which they step in for each other.
    pub targets: Vec<AliasTarget>,
    /// Only administrators may use it, or know of it.
    pub is_for_administrators: bool,
}

/// Why something is no alias.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAlias {
    #[error("it needs 1 to {} targets", Alias::TARGETS_MAX)]
    Targets,
    #[error("none of its targets has a weight above 0")]
    Weightless,
    #[error("a weight is {} at most", Alias::WEIGHT_MAX)]
    TooHeavy,
    #[error("{0} is among its targets twice")]
    Twice(ModelId),
    #[error("{0} is another alias: an alias leads to models alone, so that none goes in a circle")]
    Alias(String),
    #[error(
        "there is no instance {instance}, which its target {model} needs: the configured ones are {known}"
    )]
    Instance { instance: String, model: ModelId, known: String },
}

impl Alias {
    pub const TARGETS_MAX: usize = 8;
    pub const WEIGHT_MAX: u32 = 1_000_000;

    /// An alias of one model, for everyone.
    pub fn of(model: ModelId) -> Self {
        Self { targets: vec![AliasTarget { model, weight: 1 }], is_for_administrators: false }
    }

    /// Checks what can be told without asking anybody.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), InvalidAlias> {
        if !(1..=Self::TARGETS_MAX).contains(&self.targets.len()) {
            return Err(InvalidAlias::Targets);
        }
        if self.targets.iter().any(|target| target.weight > Self::WEIGHT_MAX) {
            return Err(InvalidAlias::TooHeavy);
        }
        if self.targets.iter().all(|target| target.weight == 0) {
            return Err(InvalidAlias::Weightless);
        }
        for (i, target) in self.targets.iter().enumerate() {
            if self.targets[..i].iter().any(|other| other.model == target.model) {
                return Err(InvalidAlias::Twice(target.model.clone()));
            }
        }
        Ok(())
    }

    /// Whether all instances that it needs are among these.
    ///
    /// # Errors
    /// One is not.
    pub fn check_instances(&self, known: &[&str]) -> Result<(), InvalidAlias> {
        let is_known = |target: &&AliasTarget| known.contains(&target.model.instance());
        match self.targets.iter().find(|target| !is_known(target)) {
            None => Ok(()),
            Some(target) => Err(InvalidAlias::Instance {
                instance: target.model.instance().to_owned(),
                model: target.model.clone(),
                known: known.join(", "),
            }),
        }
    }

    /// The targets in the order in which they are asked: first the one whose share `drawn` falls into, then the others.
    pub fn order(&self, drawn: u64) -> Vec<&ModelId> {
        let sum: u64 = self.targets.iter().map(|target| u64::from(target.weight)).sum();
        let mut left = if sum == 0 { 0 } else { drawn % sum };
        let first = self.targets.iter().position(|target| {
            let is_it = left < u64::from(target.weight);
            left = left.saturating_sub(u64::from(target.weight));
            is_it
        });
        let first = first.unwrap_or(0);
        let others = (0..self.targets.len()).filter(|place| *place != first);
        std::iter::once(first).chain(others).map(|place| &self.targets[place].model).collect()
    }
}

/// Aliases by name.
pub type Aliases = HashMap<String, Alias>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn alias(targets: &[(&str, u32)]) -> Alias {
        let target = |(model, weight): &(&str, u32)| AliasTarget {
            model: model.parse().expect("an id"),
            weight: *weight,
        };
        Alias { targets: targets.iter().map(target).collect(), is_for_administrators: false }
    }

    #[test]
    fn what_is_no_alias_is_refused_with_the_rule_it_breaks() {
        let good = alias(&[("a/x", 1), ("b/y", 0)]);
        assert_eq!(good.check(), Ok(()));
        assert_eq!(alias(&[]).check(), Err(InvalidAlias::Targets));
        assert_eq!(alias(&[("a/x", 0)]).check(), Err(InvalidAlias::Weightless));
        assert_eq!(alias(&[("a/x", 1_000_001)]).check(), Err(InvalidAlias::TooHeavy));
        assert!(matches!(alias(&[("a/x", 1), ("a/x", 2)]).check(), Err(InvalidAlias::Twice(_))));
        let nine: Vec<_> =
            ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "a/9"].map(|id| (id, 1)).to_vec();
        assert_eq!(alias(&nine).check(), Err(InvalidAlias::Targets));
        assert_eq!(good.check_instances(&["a", "b"]), Ok(()));
        let missing = good.check_instances(&["a", "local"]).expect_err("no instance").to_string();
        assert!(missing.contains("no instance b") && missing.contains("a, local"), "{missing}");
    }

    proptest! {
        #[test]
        fn every_target_is_asked_once_and_the_first_by_its_share(weights in proptest::collection::vec(0u32..50, 1..8), drawn: u64) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let names: Vec<String> = (0..weights.len()).map(|i| format!("i{i}/m")).collect();
            let targets: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
            let alias = alias(&targets);
            let order = alias.order(drawn);
            let mut sorted: Vec<_> = order.iter().map(|id| id.as_str()).collect();
            let place = names.iter().position(|name| name == sorted[0]).expect("a target");
            prop_assert!(weights[place] > 0, "a target without a share is never first");
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), names.len());
        }

        #[test]
        fn shares_are_exact_over_a_whole_round(weights in proptest::collection::vec(0u32..20, 1..8)) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let names: Vec<String> = (0..weights.len()).map(|i| format!("i{i}/m")).collect();
            let targets: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
            let alias = alias(&targets);
            let sum: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
            let mut counts = vec![0u32; weights.len()];
            for drawn in 0..sum {
                let first = alias.order(drawn)[0].as_str().to_owned();
                counts[names.iter().position(|name| *name == first).expect("a target")] += 1;
            }
            prop_assert_eq!(counts, weights);
        }
    }
}
