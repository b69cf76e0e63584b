//! What the in-house text model takes beyond the contract's members of a chat.

use std::collections::BTreeMap;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::Json;
use atelier_inference::{ChatRequest, LOGIT_BIASES_MAX, REPETITION_PENALTY_MAX};
use serde::Deserialize;
use serde_json::{Value, json};

/// The options as JSON Schema (2020-12), against which the host checks each request's.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "top_k": {
                "type": "integer", "minimum": 1, "maximum": u32::MAX,
                "description": "Draw from this many of the likeliest tokens."
            },
            "min_p": {
                "type": "number", "minimum": 0, "maximum": 1, "default": 0,
                "description": "Draw from the tokens that have at least this share of the likeliest one's probability."
            },
            "repetition_penalty": {
                "type": "number", "exclusiveMinimum": 0, "maximum": REPETITION_PENALTY_MAX, "default": 1,
                "description": "Makes tokens that stand in the prompt or the answer less likely, where it is above 1."
            },
            "logit_bias": {
                "type": "object", "maxProperties": LOGIT_BIASES_MAX,
                "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,8})$"},
                "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
                "description": "Added to the scores of tokens, by their ids; -100 rules a token out."
            }
        }
    })
}

/// Options that the schema let pass.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    top_k: Option<u32>,
    min_p: Option<f32>,
    repetition_penalty: Option<f32>,
    #[serde(default)]
    logit_bias: BTreeMap<u32, f32>,
}

/// Put a request's options into the engine's.
pub(super) fn apply(options: &Json, request: &mut ChatRequest) -> Result<(), ProviderError> {
    let options: Options = serde_json::from_str(options.get()).map_err(|error| {
        super::failure::reported(FailureCode::InvalidRequest, error.to_string(), Some("options"))
    })?;
    request.top_k = options.top_k;
    request.min_p = options.min_p.unwrap_or(request.min_p);
    request.repetition_penalty = options.repetition_penalty.unwrap_or(request.repetition_penalty);
    request.logit_bias = options.logit_bias.into_iter().collect();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::value::to_raw_value;

    use super::*;

    #[test]
    fn whatever_the_schema_lets_pass_is_understood_and_within_the_engine_s_limits() {
        let validator = jsonschema::validator_for(&schema()).expect("a schema");
        for (options, fits) in [
            (json!({}), true),
            (
                json!({"top_k": 1, "min_p": 1, "repetition_penalty": 10, "logit_bias": {"0": -100, "7": 99.5}}),
                true,
            ),
            (json!({"top_k": u32::MAX, "min_p": 0, "repetition_penalty": 0.5}), true),
            (json!({"top_k": 0}), false),
            (json!({"top_k": 4_294_967_296_u64}), false),
            (json!({"min_p": 1.1}), false),
            (json!({"repetition_penalty": 0}), false),
            (json!({"repetition_penalty": 11}), false),
            (json!({"logit_bias": {"cat": 1}}), false),
            (json!({"logit_bias": {"01": 1}}), false),
            (json!({"logit_bias": {"1": -101}}), false),
            (json!({"top_n": 1}), false),
        ] {
            assert_eq!(validator.is_valid(&options), fits, "{options}");
            let raw = to_raw_value(&options).expect("JSON");
            let mut request = ChatRequest::new([(atelier_inference::Role::User, "x")]);
            let understood = apply(&raw, &mut request).is_ok() && request.validate().is_ok();
            assert_eq!(understood, fits, "{options}");
        }
    }
}
