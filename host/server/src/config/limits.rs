//! `[limits]`: how often callers may ask, by class.

use std::time::Duration;

use atelier_service::limits::{Class, Rate};

use super::Section;

/// A rate for each class.
#[derive(Clone, Debug)]
pub struct Limits {
    rates: [Rate; Class::ALL.len()],
}

impl Limits {
    /// The rate of a class.
    pub fn rate(&self, class: Class) -> Rate {
        self.rates[class as usize]
    }

    pub(super) fn read(section: &mut Section) -> Self {
        let rates = Class::ALL.map(|class| {
            let usual = class.usual();
            section.section(class.as_str(), |rate| Rate {
                requests: rate.number("requests", usual.requests, 1..=1_000_000_000_000),
                window: Duration::from_secs(rate.number("seconds", usual.window.as_secs(), 1..=86_400)),
            })
        });
        Self { rates }
    }
}
