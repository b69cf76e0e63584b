//! What the models cost: for the host's configuration, and to check what it charged.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::book::Kind;

/// The prices of one model, or of all that begin alike.
#[derive(Debug)]
struct Price {
    model: &'static str,
    /// Micro-credits for a million units of each meter. Odd on purpose: costs are rounded up once for each line.
    per_million: &'static [(&'static str, u64)],
    /// Set aside for a job of which nobody knows what it will use.
    hold: Option<u64>,
}

const PRICES: [Price; 5] = [
    Price { model: "calls/*", per_million: &[("compute-ms", 2_000_003)], hold: Some(5_000) },
    Price { model: "polls/sora-2", per_million: &[("video-ms", 9_999_999)], hold: None },
    Price {
        model: "polls/gpt-image-1",
        per_million: &[
            ("images", 5_000_000_000),
            ("input-tokens", 1_000_000),
            ("output-tokens;modality=image", 1_999_999),
        ],
        hold: None,
    },
    Price {
        model: "polls/mock-chat",
        per_million: &[("input-tokens", 3_000_000), ("output-tokens", 15_000_000)],
        hold: None,
    },
    Price { model: "steady/*", per_million: &[("video-ms", 2_499_999)], hold: None },
];
const UNITS: u128 = 1_000_000;
/// The longest answer that a chat asks for.
pub const CHAT_TOKENS_MAX: u64 = 64;
/// Words that the mock upstream puts before a chat's text in its answer.
const GREETING_WORDS: u64 = 4;

/// A line of usage, as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Usage {
    pub meter: String,
    pub quantity: u64,
    pub attributes: BTreeMap<String, String>,
}

/// The prices as the configuration has them.
pub fn tables() -> Value {
    let table = |price: &Price| {
        let lines = price.per_million.iter();
        let lines = lines.map(|(meter, cost)| ((*meter).to_owned(), Value::Integer(cost.cast_signed())));
        let mut table = Table::new();
        table.insert("model".to_owned(), price.model.into());
        table.insert("per_million".to_owned(), Value::Table(lines.collect()));
        if let Some(hold) = price.hold {
            table.insert("hold".to_owned(), Value::Integer(hold.cast_signed()));
        }
        Value::Table(table)
    };
    Value::Array(PRICES.iter().map(table).collect())
}

fn of(model: &str) -> Option<&'static Price> {
    PRICES.iter().find(|price| match price.model.strip_suffix('*') {
        Some(prefix) => model.starts_with(prefix),
        None => price.model == model,
    })
}

/// What usage of a model costs, in micro-credits; a meter without a price costs nothing.
pub fn cost(model: &str, usage: &[Usage]) -> u64 {
    let Some(price) = of(model) else { return 0 };
    let of_line = |line: &Usage| {
        let fitting = price.per_million.iter().filter(|(meter, _)| fits(meter, line));
        let best = fitting.max_by_key(|(meter, _)| meter.matches(';').count());
        let cost =
            best.map_or(0, |(_, cost)| (u128::from(line.quantity) * u128::from(*cost)).div_ceil(UNITS));
        u64::try_from(cost).unwrap_or(u64::MAX)
    };
    usage.iter().map(of_line).sum()
}

/// Whether a price, `meter;name=value;…`, is one of such usage.
fn fits(price: &str, line: &Usage) -> bool {
    let mut parts = price.split(';');
    let has = |part: &str| {
        part.split_once('=')
            .is_some_and(|(name, value)| line.attributes.get(name).is_some_and(|is| is == value))
    };
    parts.next() == Some(line.meter.as_str()) && parts.all(has)
}

/// What the mock upstream makes for each kind of job, and so what the job costs.
pub fn job_cost(kind: Kind) -> u64 {
    match kind {
        Kind::Called => cost("calls/mock/image", &[line("compute-ms", 1_500)]),
        Kind::Polled => cost("polls/sora-2", &[line("video-ms", 4_000)]),
        Kind::Steady => cost("steady/steady", &[line("video-ms", 4_000)]),
        Kind::Image => {
            let mut tokens = line("output-tokens", 1_056);
            tokens.attributes.insert("modality".to_owned(), "image".to_owned());
            cost("polls/gpt-image-1", &[line("images", 1), line("input-tokens", 1), tokens])
        }
        Kind::Chat | Kind::Plain | Kind::Grant | Kind::Refund => 0,
    }
}

/// What is set aside for each kind of job: what its plugin estimates, else the price's hold.
pub fn job_most(kind: Kind) -> u64 {
    match kind {
        Kind::Called => of("calls/mock/image").and_then(|price| price.hold).unwrap_or_default(),
        Kind::Image => {
            // The most tokens that an image of unknown quality takes (`plugins/openai/src/media/images.rs`).
            let mut tokens = line("output-tokens", 6_240);
            tokens.attributes.insert("modality".to_owned(), "image".to_owned());
            cost("polls/gpt-image-1", &[line("images", 1), tokens])
        }
        Kind::Polled | Kind::Steady => job_cost(kind),
        Kind::Chat | Kind::Plain | Kind::Grant | Kind::Refund => 0,
    }
}

fn line(meter: &str, quantity: u64) -> Usage {
    Usage { meter: meter.to_owned(), quantity, attributes: BTreeMap::new() }
}

/// What a chat with such a text costs that was answered to its end.
pub fn chat_cost(text: &str) -> u64 {
    let words = text.split_whitespace().count() as u64;
    chat(words, words + GREETING_WORDS)
}

/// The most that is set aside for it: a token has a byte at least, and a message a frame of four tokens.
pub fn chat_most(text: &str) -> u64 {
    chat((4 + text.len().div_ceil(4) as u64) * 4, CHAT_TOKENS_MAX)
}

fn chat(input: u64, output: u64) -> u64 {
    cost("polls/mock-chat", &[line("input-tokens", input), line("output-tokens", output)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_rounded_up_once() {
        assert_eq!(job_cost(Kind::Called), 3_001);
        assert_eq!(job_cost(Kind::Polled), 40_000);
        assert_eq!(job_cost(Kind::Steady), 10_000);
        assert_eq!(job_cost(Kind::Image), 5_000 + 1 + 2_112);
        assert_eq!(chat_cost("one two"), 2 * 3 + 6 * 15);
        assert!(chat_most("one two") > chat_cost("one two"));
    }

    #[test]
    fn a_price_with_an_attribute_is_for_usage_that_has_it() {
        let plain = Usage { meter: "output-tokens".to_owned(), quantity: 9, attributes: BTreeMap::new() };
        assert_eq!(cost("polls/gpt-image-1", &[plain]), 0);
        assert_eq!(cost("nobody/knows", &[]), 0);
    }
}
