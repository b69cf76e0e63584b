//! A reasoning effort as this provider's `thinking` and `output_config.effort`.

use crate::api::{Api, Thinking};
use atelier_plugin_sdk::Failure;
use atelier_plugin_sdk::chat::ChatRequest;

/// The smallest budget that the API takes, in tokens.
const BUDGET_TOKENS_MIN: u32 = 1024;
/// The first version of Claude's that thinks adaptively.
const ADAPTIVE_SINCE: (u32, u32) = (4, 6);

/// What to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Wish<'r> {
    /// Nothing was asked for: the model's own default.
    Default,
    Off,
    /// As much as the model finds right, at an effort.
    Effort(&'r str),
    /// Up to so many tokens.
    Budget(u32),
}

/// What a request's effort means for its model. A budget is part of the answer's length, so at least a quarter is left for the
/// answer itself; a length that leaves no room for the smallest budget goes without thinking.
pub fn wish<'r>(api: &Api<'_>, request: &'r ChatRequest, max_tokens: u32) -> Result<Wish<'r>, Failure> {
    let Some(effort) = request.reasoning_effort.as_deref() else { return Ok(Wish::Default) };
    match api.thinking().unwrap_or_else(|| of_model(&request.model)) {
        Thinking::Adaptive => Ok(match effort {
            "none" => Wish::Off,
            "minimal" => Wish::Effort("low"),
            effort => Wish::Effort(effort),
        }),
        Thinking::Budget => {
            let tokens = match effort {
                "none" => return Ok(Wish::Default),
                "minimal" => BUDGET_TOKENS_MIN,
                "low" => 2_048,
                "medium" => 8_192,
                "high" => 24_576,
                "xhigh" | "max" => 49_152,
                _ => {
                    let message =
                        "this model knows the efforts none, minimal, low, medium, high, xhigh and max";
                    return Err(Failure::invalid("reasoning_effort", message));
                }
            };
            if max_tokens <= BUDGET_TOKENS_MIN {
                return Ok(Wish::Default);
            }
            let room = max_tokens / 4 * 3;
            Ok(Wish::Budget(tokens.min(room).max(BUDGET_TOKENS_MIN)))
        }
    }
}

/// How a model thinks, by the version in its id: `claude-opus-4-5-20251101`, `claude-3-7-sonnet-20250219`. A model without a
/// version is taken for a new one.
pub fn of_model(model: &str) -> Thinking {
    let mut numbers = model.split('-').skip_while(|word| !is_version(word));
    let Some(major) = numbers.next().and_then(|word| word.parse::<u32>().ok()) else {
        return Thinking::Adaptive;
    };
    let minor = numbers.next().filter(|word| is_version(word)).and_then(|word| word.parse().ok());
    if (major, minor.unwrap_or(0)) >= ADAPTIVE_SINCE { Thinking::Adaptive } else { Thinking::Budget }
}

/// Longer numbers are dates.
fn is_version(word: &str) -> bool {
    (1..=2).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::context;
    use crate::chat::body::tests::request;

    fn wished(model: &str, effort: &str, max_tokens: u32) -> Result<String, Failure> {
        let mut request = request(Vec::new());
        request.model = model.to_owned();
        request.reasoning_effort = Some(effort.to_owned());
        let context = context("{}");
        wish(&Api::new(&context)?, &request, max_tokens).map(|wish| format!("{wish:?}"))
    }

    #[test]
    fn a_model_s_version_tells_how_it_thinks() {
        for model in ["claude-sonnet-4-5-20250929", "claude-3-7-sonnet-20250219", "claude-haiku-4-5"] {
            assert_eq!(of_model(model), Thinking::Budget, "{model}");
        }
        for model in ["claude-opus-4-6", "claude-sonnet-5", "claude-fable-5-1", "claude-opus-10", "mock-chat"]
        {
            assert_eq!(of_model(model), Thinking::Adaptive, "{model}");
        }
        assert_eq!(of_model("claude-opus-4-20250514"), Thinking::Budget);
    }

    #[test]
    fn newer_models_take_the_effort_as_it_is() {
        assert_eq!(wished("claude-opus-5-5", "none", 100).unwrap(), "Off");
        assert_eq!(wished("claude-opus-5-5", "minimal", 100).unwrap(), "Effort(\"low\")");
        assert_eq!(wished("claude-opus-5-5", "xhigh", 100).unwrap(), "Effort(\"xhigh\")");
    }

    #[test]
    fn a_budget_leaves_room_for_the_answer() {
        assert_eq!(wished("claude-haiku-4-5", "none", 9_000).unwrap(), "Default");
        assert_eq!(wished("claude-haiku-4-5", "medium", 64_000).unwrap(), "Budget(8192)");
        assert_eq!(wished("claude-haiku-4-5", "high", 8_000).unwrap(), "Budget(6000)");
        assert_eq!(wished("claude-haiku-4-5", "low", 1_100).unwrap(), "Budget(1024)");
        assert_eq!(wished("claude-haiku-4-5", "low", 1_024).unwrap(), "Default");
        assert_eq!(
            wished("claude-haiku-4-5", "lots", 9_000).unwrap_err().param.as_deref(),
            Some("reasoning_effort")
        );
    }
}
