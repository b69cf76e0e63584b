//! Vectors of texts from an in-house encoder.

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::Json;
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::usage::UsageLine;
use atelier_inference::{self as inference, EmbeddingEngine};
use serde::Deserialize;
use serde_json::{Value, json};

use super::failure::{engine_error, reported};

/// Texts in one request, as many as the HTTP API takes.
pub(super) const BATCH_MAX: u32 = 2048;

/// The options as JSON Schema (2020-12), against which the host checks each request's.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "truncate": {
                "type": "boolean", "default": false,
                "description": "Cut a text to the first tokens that the model reads, instead of refusing it."
            }
        }
    })
}

/// Options that the schema let pass.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[serde(default)]
    truncate: bool,
}

/// Vectors of the inputs. What the model cannot do is refused, never silently left out.
pub(super) async fn embed(
    engine: &dyn EmbeddingEngine,
    request: EmbeddingRequest,
) -> Result<EmbeddingResponse, ProviderError> {
    let model = request.model.clone();
    // Loaded by now, or soon: only it knows its vectors.
    let dimensions = engine.warm().await.map_err(engine_error)?.dimensions;
    let request = engine_request(request, dimensions)?;
    let inference::Embeddings { vectors, tokens } = engine.embed(request).await.map_err(engine_error)?;
    let usage = vec![UsageLine::new("input-tokens", tokens as u64)];
    Ok(EmbeddingResponse { model, vectors, usage })
}

fn engine_request(
    request: EmbeddingRequest,
    dimensions: usize,
) -> Result<inference::EmbeddingRequest, ProviderError> {
    let model = &request.model;
    if let Some(wanted) = request.dimensions.filter(|wanted| *wanted as usize != dimensions) {
        let message = format!(
            "{model} gives vectors of {dimensions} numbers and was not trained to be cut to {wanted}"
        );
        return Err(reported(FailureCode::InvalidRequest, message, Some("dimensions")));
    }
    let Options { truncate } = options(&request.options)?;
    let inputs = request.inputs.into_iter().map(|input| match input {
        EmbeddingInput::Text(text) => Ok(inference::EmbeddingInput::Text(text)),
        EmbeddingInput::Tokens(ids) => Ok(inference::EmbeddingInput::Tokens(ids)),
        EmbeddingInput::Media(_) | EmbeddingInput::Other(_) => {
            let message = format!("{model} reads text alone");
            Err(reported(FailureCode::Unsupported, message, Some("input")))
        }
    });
    Ok(inference::EmbeddingRequest { inputs: inputs.collect::<Result<_, _>>()?, truncate })
}

fn options(options: &Json) -> Result<Options, ProviderError> {
    serde_json::from_str(options.get())
        .map_err(|error| reported(FailureCode::InvalidRequest, error.to_string(), Some("options")))
}
