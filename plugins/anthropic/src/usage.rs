//! Token counts as usage lines. The provider's counts do not overlap (what a cache served or kept is not in `input_tokens`), and
//! neither do the lines: those of one meter add up to the total.

use atelier_plugin_sdk::{UsageLine, usage};
use serde::Deserialize;
use usage::meter::{INPUT_TOKENS, OUTPUT_TOKENS};

/// A meter of this provider's.
const WEB_SEARCHES: &str = "web-searches";

/// The `usage` of a message. In a stream each report replaces what it names: the counts are cumulative.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
    output_tokens_details: Option<OutputDetails>,
    server_tool_use: Option<ServerTools>,
}

/// How long the cached tokens are kept.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    thinking_tokens: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ServerTools {
    web_search_requests: Option<u64>,
}

impl Usage {
    /// What a later report of the same message says.
    pub fn update(&mut self, later: Self) {
        fn newer<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        newer(&mut self.input_tokens, later.input_tokens);
        newer(&mut self.output_tokens, later.output_tokens);
        newer(&mut self.cache_read_input_tokens, later.cache_read_input_tokens);
        newer(&mut self.cache_creation_input_tokens, later.cache_creation_input_tokens);
        newer(&mut self.cache_creation, later.cache_creation);
        newer(&mut self.output_tokens_details, later.output_tokens_details);
        newer(&mut self.server_tool_use, later.server_tool_use);
    }

    pub fn lines(&self) -> Vec<UsageLine> {
        let mut lines = Vec::with_capacity(4);
        let mut part = |meter: &str, quantity: u64, attribute: (&str, &str)| {
            if quantity > 0 {
                lines.push(usage::line(meter, quantity, &[attribute]));
            }
        };
        part(INPUT_TOKENS, self.cache_read_input_tokens.unwrap_or(0), ("cached", "true"));
        let kept = self.cache_creation_input_tokens.unwrap_or(0);
        let kept_1h = self.cache_creation.as_ref().and_then(|kept| kept.ephemeral_1h_input_tokens);
        let kept_1h = kept_1h.unwrap_or(0).min(kept);
        part(INPUT_TOKENS, kept - kept_1h, ("cache-write", "5m"));
        part(INPUT_TOKENS, kept_1h, ("cache-write", "1h"));
        let output = self.output_tokens.unwrap_or(0);
        let thought = self.output_tokens_details.as_ref().and_then(|details| details.thinking_tokens);
        let thought = thought.unwrap_or(0).min(output);
        part(OUTPUT_TOKENS, thought, ("reasoning", "true"));
        lines.insert(0, usage::line(INPUT_TOKENS, self.input_tokens.unwrap_or(0), &[]));
        lines.push(usage::line(OUTPUT_TOKENS, output - thought, &[]));
        let searches = self.server_tool_use.as_ref().and_then(|tools| tools.web_search_requests);
        lines.extend(searches.filter(|count| *count > 0).map(|count| usage::line(WEB_SEARCHES, count, &[])));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(usage: &Usage) -> Vec<String> {
        let attributes = |line: &UsageLine| {
            line.attributes.iter().map(|pair| format!(" {}={}", pair.name, pair.value)).collect::<String>()
        };
        usage
            .lines()
            .iter()
            .map(|line| format!("{} {}{}", line.meter, line.quantity, attributes(line)))
            .collect()
    }

    fn usage(json: &str) -> Usage {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn plain_cached_kept_and_thought_tokens_are_told_apart() {
        let usage = usage(
            r#"{"input_tokens":20,"cache_read_input_tokens":300,"cache_creation_input_tokens":50,
                "cache_creation":{"ephemeral_5m_input_tokens":40,"ephemeral_1h_input_tokens":10},
                "output_tokens":100,"output_tokens_details":{"thinking_tokens":60},
                "server_tool_use":{"web_search_requests":2},"service_tier":"standard"}"#,
        );
        assert_eq!(
            flat(&usage),
            [
                "input-tokens 20",
                "input-tokens 300 cached=true",
                "input-tokens 40 cache-write=5m",
                "input-tokens 10 cache-write=1h",
                "output-tokens 60 reasoning=true",
                "output-tokens 40",
                "web-searches 2",
            ]
        );
    }

    #[test]
    fn a_later_report_replaces_what_it_names() {
        let mut usage = usage(r#"{"input_tokens":20,"cache_read_input_tokens":5,"output_tokens":1}"#);
        usage.update(self::usage(r#"{"output_tokens":15,"server_tool_use":null}"#));
        assert_eq!(flat(&usage), ["input-tokens 20", "input-tokens 5 cached=true", "output-tokens 15"]);
    }

    #[test]
    fn counts_that_contradict_each_other_never_exceed_the_total() {
        let usage = usage(
            r#"{"input_tokens":1,"cache_creation_input_tokens":5,"cache_creation":{"ephemeral_1h_input_tokens":9},
                "output_tokens":3,"output_tokens_details":{"thinking_tokens":7}}"#,
        );
        assert_eq!(
            flat(&usage),
            [
                "input-tokens 1",
                "input-tokens 5 cache-write=1h",
                "output-tokens 3 reasoning=true",
                "output-tokens 0"
            ]
        );
    }
}
