//! Prices: the operator's, by model and meter.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{MicroCredits, TooMuch};
use crate::generation::usage::UsageLine;

/// Prices are for this many units of a meter.
const UNITS: u128 = 1_000_000;

/// The price of a meter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceLine {
    /// See [`UsageLine::meter`].
    pub meter: String,
    /// What the usage must say for this price to hold, e.g. `cached` = `true`.
    pub attributes: Vec<(String, String)>,
    /// For a million units.
    pub per_million: MicroCredits,
}

impl PriceLine {
    fn fits(&self, line: &UsageLine) -> bool {
        self.meter == line.meter
            && self.attributes.iter().all(|attribute| line.attributes.contains(attribute))
    }

    /// Rounded up to a whole micro-credit, once.
    fn cost(&self, quantity: u64) -> Result<MicroCredits, TooMuch> {
        MicroCredits::try_from((u128::from(quantity) * u128::from(self.per_million.get())).div_ceil(UNITS))
    }
}

/// The prices of a call or job when it began. Without lines it is free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriceSnapshot(Vec<PriceLine>);

/// What usage costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Costing {
    pub total: MicroCredits,
    /// There is a line for which there is no price: it costs nothing here.
    pub is_unpriced: bool,
}

impl PriceSnapshot {
    /// Of these prices.
    pub fn new(lines: Vec<PriceLine>) -> Self {
        Self(lines)
    }

    /// Whether nothing costs anything.
    pub fn is_free(&self) -> bool {
        self.0.iter().all(|price| price.per_million.is_zero())
    }

    /// Whether usage says anything of what is to be paid: it has a line that has a price.
    pub fn measures(&self, usage: &[UsageLine]) -> bool {
        usage.iter().any(|line| self.0.iter().any(|price| price.fits(line)))
    }

    /// By meter.
    pub fn lines(&self) -> &[PriceLine] {
        &self.0
    }

    /// What the usage costs. Each line has the price with the most attributes that fit it; of several, the highest.
    ///
    /// # Errors
    /// It is more money than there can be.
    pub fn cost(&self, usage: &[UsageLine]) -> Result<Costing, TooMuch> {
        let mut costing = Costing::default();
        if self.is_free() {
            return Ok(costing);
        }
        for line in usage {
            let fitting = self.0.iter().filter(|price| price.fits(line));
            match fitting.max_by_key(|price| (price.attributes.len(), price.per_million)) {
                Some(price) => costing.total = costing.total.plus(price.cost(line.quantity)?)?,
                None => costing.is_unpriced |= line.quantity > 0,
            }
        }
        Ok(costing)
    }
}

/// What the operator says of a model's price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPrice {
    pub snapshot: Arc<PriceSnapshot>,
    /// The most that a job or call costs whose provider does not say how much it may use.
    pub hold: Option<MicroCredits>,
}

/// All prices.
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    by_model: HashMap<String, Arc<ModelPrice>>,
    /// By what their models' ids begin with; the longest first.
    by_prefix: Vec<(String, Arc<ModelPrice>)>,
}

/// A pattern is neither a model's id nor the beginning of one with `*` behind it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    #[error("must be a model id such as \"openai/gpt-4o\", \"openai/*\" or \"*\"")]
    Malformed,
    #[error("{0:?} has a price already")]
    Twice(String),
}

impl PriceBook {
    /// Adds a price for a model, or for all whose id begins as the pattern does before its `*`.
    ///
    /// # Errors
    /// The pattern is malformed, or there already.
    pub fn add(&mut self, pattern: &str, price: ModelPrice) -> Result<(), BadPattern> {
        let price = Arc::new(price);
        match pattern.strip_suffix('*') {
            Some(prefix) if prefix.contains('*') => Err(BadPattern::Malformed),
            Some(prefix) if self.by_prefix.iter().any(|(known, _)| known == prefix) => {
                Err(BadPattern::Twice(pattern.to_owned()))
            }
            Some(prefix) => {
                self.by_prefix.push((prefix.to_owned(), price));
                self.by_prefix.sort_by_key(|(known, _)| std::cmp::Reverse(known.len()));
                Ok(())
            }
            None if pattern.contains('*') || pattern.parse::<crate::id::ModelId>().is_err() => {
                Err(BadPattern::Malformed)
            }
            None if self.by_model.contains_key(pattern) => Err(BadPattern::Twice(pattern.to_owned())),
            None => {
                self.by_model.insert(pattern.to_owned(), price);
                Ok(())
            }
        }
    }

    /// The price of a model: its own, else that of the longest pattern.
    pub fn of(&self, model: &str) -> Option<&Arc<ModelPrice>> {
        let by_prefix = || self.by_prefix.iter().find(|(prefix, _)| model.starts_with(prefix.as_str()));
        self.by_model.get(model).or_else(|| by_prefix().map(|(_, price)| price))
    }

    /// Whether no model has a price.
    pub fn is_empty(&self) -> bool {
        self.by_model.is_empty() && self.by_prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(meter: &str, attributes: &[(&str, &str)], per_million: u64) -> PriceLine {
        PriceLine {
            meter: meter.to_owned(),
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            per_million: MicroCredits::new(per_million).expect("small"),
        }
    }

    fn usage(meter: &str, quantity: u64, attributes: &[(&str, &str)]) -> UsageLine {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        UsageLine { attributes: attributes.collect(), ..UsageLine::new(meter, quantity) }
    }

    #[test]
    fn each_line_is_rounded_up_once_at_the_price_that_fits_best() {
        let prices = PriceSnapshot::new(vec![
            price("input-tokens", &[], 150_000),
            price("input-tokens", &[("cached", "true")], 75_000),
            price("output-tokens", &[], 600_000),
        ]);
        let lines = [
            usage("input-tokens", 10, &[]),
            usage("input-tokens", 10, &[("cached", "true")]),
            usage("output-tokens", 3, &[("reasoning", "true")]),
        ];
        // 1.5, 0.75 and 1.8 micro-credits.
        let costing = prices.cost(&lines).expect("small");
        assert_eq!((costing.total.get(), costing.is_unpriced), (2 + 1 + 2, false));
        let more = prices.cost(&[usage("images", 1, &[])]).expect("nothing");
        assert_eq!((more.total.get(), more.is_unpriced), (0, true));
    }

    #[test]
    fn a_cost_beyond_all_money_is_refused_and_never_wraps() {
        let prices = PriceSnapshot::new(vec![price("images", &[], MicroCredits::MAX.get())]);
        assert_eq!(prices.cost(&[usage("images", u64::MAX, &[])]), Err(TooMuch));
        let half = usage("images", 600_000, &[]);
        assert!(prices.cost(std::slice::from_ref(&half)).is_ok());
        assert_eq!(prices.cost(&[half.clone(), half]), Err(TooMuch), "the sum is checked too");
    }

    #[test]
    fn a_models_own_price_goes_before_patterns_and_longer_before_shorter() {
        let entry = |n: u64| ModelPrice {
            snapshot: Arc::new(PriceSnapshot::new(vec![price("images", &[], n)])),
            hold: None,
        };
        let mut book = PriceBook::default();
        for (pattern, n) in [("*", 1), ("openai/*", 2), ("openai/gpt-4o*", 3), ("openai/gpt-4o", 4)] {
            book.add(pattern, entry(n)).expect("new");
        }
        let found = |model: &str| book.of(model).map(|price| price.snapshot.lines()[0].per_million.get());
        assert_eq!(found("openai/gpt-4o"), Some(4));
        assert_eq!(found("openai/gpt-4o-mini"), Some(3));
        assert_eq!(found("openai/dall-e-3"), Some(2));
        assert_eq!(found("local/x"), Some(1));
        assert_eq!(book.add("openai/*", entry(5)), Err(BadPattern::Twice("openai/*".to_owned())));
        for bad in ["", "gpt", "a*b*", "*/x", "Open AI/x"] {
            assert_eq!(book.add(bad, entry(5)), Err(BadPattern::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_line_costs_its_exact_price_or_less_than_a_micro_credit_more(quantity in 0u64..1_000_000_000, per_million in 0u64..1_000_000_000) {
            let prices = PriceSnapshot::new(vec![price("m", &[], per_million)]);
            let exact = u128::from(quantity) * u128::from(per_million);
            let told = u128::from(prices.cost(&[usage("m", quantity, &[])]).expect("within").total.get()) * UNITS;
            prop_assert!(told >= exact && told < exact + UNITS);
        }
    }
}
