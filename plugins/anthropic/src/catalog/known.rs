//! What Anthropic's documentation says of its models: <https://platform.claude.com/docs/en/models/overview> and
//! <https://platform.claude.com/docs/en/about-claude/pricing> (US dollars). What is not sure, or depends on a prompt's length, is
//! left out.

use atelier_plugin_sdk::catalog::{Limits, Model, Price, Status};
use atelier_plugin_sdk::pair;
use atelier_plugin_sdk::usage::meter::{INPUT_TOKENS, OUTPUT_TOKENS};

/// Options that this plugin's own fields do not cover; others are passed on as well.
const OPTIONS: &str = r#"{"type":"object","properties":{"top_k":{"type":"integer","minimum":0},"thinking":{"type":"object","required":["type"]},"output_config":{"type":"object"},"metadata":{"type":"object"},"service_tier":{"enum":["auto","standard_only"]},"cache_control":{"type":"object"},"container":{"type":["string","object"]},"context_management":{"type":"object"},"mcp_servers":{"type":"array","items":{"type":"object"}}}}"#;

/// A model's row. Prices are thousandths of a dollar per million tokens; 0: not told.
struct Row {
    id: &'static str,
    name: &'static str,
    context_tokens: u64,
    output_tokens: u64,
    input_price: u64,
    output_price: u64,
    status: Status,
}

const fn row(
    id: &'static str,
    name: &'static str,
    (context_tokens, output_tokens): (u64, u64),
    (input_price, output_price): (u64, u64),
) -> Row {
    Row { id, name, context_tokens, output_tokens, input_price, output_price, status: Status::Available }
}

const LONG: (u64, u64) = (1_000_000, 128_000);

static TABLE: &[Row] = &[
    row("claude-opus-5-5", "Claude Opus 5.5", LONG, (4_000, 20_000)),
    row("claude-sonnet-5-5", "Claude Sonnet 5.5", LONG, (2_000, 10_000)),
    // Its price depends on the prompt's length.
    row("claude-haiku-5-5", "Claude Haiku 5.5", LONG, (0, 0)),
    row("claude-fable-5-1", "Claude Fable 5.1", LONG, (10_000, 50_000)),
    row("claude-fable-5", "Claude Fable 5", LONG, (10_000, 50_000)),
    row("claude-sonnet-5", "Claude Sonnet 5", LONG, (2_000, 10_000)),
    row("claude-opus-4-8", "Claude Opus 4.8", LONG, (5_000, 25_000)),
    row("claude-haiku-4-5-20251001", "Claude Haiku 4.5", (200_000, 64_000), (1_000, 5_000)),
    Row {
        status: Status::Deprecated,
        ..row("claude-sonnet-4-5-20250929", "Claude Sonnet 4.5", (200_000, 64_000), (3_000, 15_000))
    },
];

/// All rows as models.
pub fn models() -> Vec<Model> {
    TABLE.iter().map(Row::model).collect()
}

/// A model by its id, or by its alias without a date.
pub fn find(id: &str) -> Option<Model> {
    let is_date = |rest: &str| rest.len() == 9 && rest[1..].bytes().all(|byte| byte.is_ascii_digit());
    let dated = |row: &&Row| row.id.strip_prefix(id).is_some_and(is_date);
    let row = TABLE.iter().find(|row| row.id == id).or_else(|| TABLE.iter().find(dated))?;
    Some(Model { id: id.to_owned(), ..row.model() })
}

/// A model of which only the id is known. All models answer in streams and take tools.
pub fn unknown(id: String) -> Model {
    Model {
        name: id.clone(),
        id,
        description: None,
        status: Status::Available,
        tasks: words(&["chat"]),
        input_modalities: Vec::new(),
        features: words(&["tools", "streaming"]),
        limits: Limits {
            context_tokens: None,
            output_tokens: None,
            input_characters: None,
            batch: None,
            media_bytes: None,
        },
        options_schema: Some(OPTIONS.to_owned()),
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

impl Row {
    fn model(&self) -> Model {
        let mut model = unknown(self.id.to_owned());
        model.name = self.name.to_owned();
        model.status = self.status;
        model.input_modalities = words(&["image", "file"]);
        model.features = words(&["tools", "structured-output", "thinking", "streaming"]);
        model.limits.context_tokens = Some(self.context_tokens);
        model.limits.output_tokens = Some(self.output_tokens);
        model.prices = self.prices();
        model
    }

    /// What a cache serves costs a tenth, what it keeps a quarter more, or twice as much for an hour.
    fn prices(&self) -> Vec<Price> {
        if self.input_price == 0 {
            return Vec::new();
        }
        let price = |meter: &str, attributes: &[(&str, &str)], usd_micros_per_million: u64| Price {
            meter: meter.to_owned(),
            attributes: attributes.iter().map(|(name, value)| pair(*name, *value)).collect(),
            usd_micros_per_million,
        };
        let (input, output) = (self.input_price * 1_000, self.output_price * 1_000);
        vec![
            price(INPUT_TOKENS, &[], input),
            price(INPUT_TOKENS, &[("cached", "true")], input / 10),
            price(INPUT_TOKENS, &[("cache-write", "5m")], input * 5 / 4),
            price(INPUT_TOKENS, &[("cache-write", "1h")], input * 2),
            price(OUTPUT_TOKENS, &[], output),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_id_and_by_alias() {
        assert_eq!(find("claude-haiku-4-5-20251001").unwrap().limits.output_tokens, Some(64_000));
        let alias = find("claude-haiku-4-5").unwrap();
        assert_eq!((alias.id.as_str(), alias.name.as_str()), ("claude-haiku-4-5", "Claude Haiku 4.5"));
        assert_eq!(find("claude-sonnet-5").unwrap().name, "Claude Sonnet 5");
        assert!(find("claude-haiku").is_none() && find("").is_none() && find("gpt-4o").is_none());
    }

    #[test]
    fn cached_tokens_have_prices_of_their_own() {
        let prices = find("claude-opus-5-5").unwrap().prices;
        let told: Vec<u64> = prices.iter().map(|price| price.usd_micros_per_million).collect();
        assert_eq!(told, [4_000_000, 400_000, 5_000_000, 8_000_000, 20_000_000]);
    }

    #[test]
    fn the_schema_of_the_options_is_json() {
        let schema: serde_json::Value = serde_json::from_str(OPTIONS).unwrap();
        assert_eq!(schema["type"], "object");
    }
}
