//! `[money]` and `[[price]]`.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::money::{MicroCredits, ModelPrice, PriceBook, PriceLine, PriceSnapshot};
use atelier_service::ledger::{Accounting, LedgerSettings};
use figment::value::Value;

use super::Section;
use super::events::DAY;

/// Meters in one price.
const LINES_MAX: usize = 64;

/// How money is kept, prices apart.
#[derive(Clone, Debug)]
pub struct Money {
    accounting: Accounting,
    job_hold: MicroCredits,
    call_hold: MicroCredits,
    allowance: MicroCredits,
    usage_kept_for: Duration,
}

impl Money {
    pub(super) fn read(section: &mut Section) -> Self {
        let usual = LedgerSettings::default();
        let accounting = match section.text("accounting").as_deref() {
            None | Some("record") => Accounting::Record,
            Some("enforce") => Accounting::Enforce,
            // Not guessed: both guesses cost somebody money.
            Some(_) => {
                section.wrong("accounting", "must be \"record\" or \"enforce\"");
                usual.accounting
            }
        };
        let mut amount = |key, usual: MicroCredits| {
            let found = section.number(key, usual.get(), 1..=MicroCredits::MAX.get());
            MicroCredits::new(found).unwrap_or(usual)
        };
        let (job_hold, call_hold, allowance) = (
            amount("job_hold", usual.job_hold),
            amount("call_hold", usual.call_hold),
            amount("allowance", usual.allowance),
        );
        let usage_kept_for = DAY * section.number("usage_days", 90, 1..=3650) as u32;
        Self { accounting, job_hold, call_hold, allowance, usage_kept_for }
    }

    /// With the prices. Credits that nothing could be bought with are a mistake.
    pub(super) fn with(self, prices: Vec<Price>, root: &mut Section) -> LedgerSettings {
        let mut book = PriceBook::default();
        for (i, Price { model, price }) in prices.into_iter().enumerate() {
            if let Err(why) = book.add(&model, price) {
                root.wrong(&format!("price[{i}].model"), why.to_string());
            }
        }
        if self.accounting == Accounting::Enforce && book.is_empty() {
            root.wrong(
                "money.accounting",
                "is \"enforce\", and no model has a price, so that every call would be refused: add [[price]] tables, \
                 for instance model = \"local/*\" with free = true",
            );
        }
        let Self { accounting, job_hold, call_hold, allowance, usage_kept_for } = self;
        LedgerSettings { accounting, prices: book, job_hold, call_hold, allowance, usage_kept_for }
    }
}

/// One `[[price]]`.
#[derive(Debug)]
pub(super) struct Price {
    model: String,
    price: ModelPrice,
}

impl Price {
    pub(super) fn read(section: &mut Section) -> Option<Self> {
        let model = section.text("model");
        if model.is_none() {
            section.wrong("model", "is missing: a model id, or the beginning of some with * behind it");
        }
        let is_free = section.flag("free", false);
        let lines = section.map("per_million", amount);
        let hold = section.optional_number("hold", 1..=MicroCredits::MAX.get());
        let hold = hold.and_then(|hold| MicroCredits::new(hold).ok());
        if is_free != lines.is_empty() {
            section.wrong("per_million", "say either free = true or what a million units of each meter cost");
        }
        if lines.len() > LINES_MAX {
            section.wrong("per_million", format!("has more than {LINES_MAX} meters"));
        }
        let mut parsed = Vec::with_capacity(lines.len());
        for (meter, per_million) in lines {
            match line(&meter, per_million) {
                Some(line) => parsed.push(line),
                None => section.wrong(
                    &format!("per_million.{meter}"),
                    "must be a meter such as input-tokens, or one with attributes: \"input-tokens;cached=true\"",
                ),
            }
        }
        let price = ModelPrice { snapshot: Arc::new(PriceSnapshot::new(parsed)), hold };
        Some(Self { model: model?, price })
    }
}

fn amount(value: &Value) -> Result<MicroCredits, String> {
    let number = value.to_u128().or_else(|| value.to_i128().and_then(|number| u128::try_from(number).ok()));
    number.and_then(|number| MicroCredits::try_from(number).ok()).ok_or_else(|| {
        format!("must be whole micro-credits for a million units, from 0 to {}", MicroCredits::MAX.get())
    })
}

/// `meter` or `meter;name=value;…`.
fn line(text: &str, per_million: MicroCredits) -> Option<PriceLine> {
    let mut parts = text.split(';').map(str::trim);
    let meter = parts.next().filter(|meter| !meter.is_empty())?.to_owned();
    let attributes = parts.map(|part| {
        let (name, value) = part.split_once('=')?;
        (!name.is_empty()).then(|| (name.trim().to_owned(), value.trim().to_owned()))
    });
    Some(PriceLine { meter, attributes: attributes.collect::<Option<_>>()?, per_million })
}
