//! The in-house encoder as a model of the instance `local`.

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::Json;
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{ModelInfo, ModelLimits, ModelStatus, Task};
use atelier_inference::{self as inference, EmbeddingEngine};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{engine_error, reported};

/// Its id within the instance.
pub const EMBEDDING_MODEL: &str = "all-minilm-l6-v2";
/// Tokens of one text and numbers of a vector, as its weights say.
const CONTEXT_TOKENS: u64 = 256;
const DIMENSIONS: u32 = 384;
/// Texts in one request, as many as the HTTP API takes.
const BATCH_MAX: u32 = 2048;

/// How it is described.
pub(super) fn model() -> ModelInfo {
    let description = "A small English sentence encoder that runs on this machine's CPU: vectors of 384 numbers, of length 1.";
    ModelInfo {
        id: EMBEDDING_MODEL.to_owned(),
        name: "all-MiniLM-L6-v2".to_owned(),
        description: Some(description.to_owned()),
        status: ModelStatus::Available,
        tasks: vec![Task::Embedding],
        input_modalities: vec!["text".to_owned()],
        features: Vec::new(),
        limits: ModelLimits {
            context_tokens: Some(CONTEXT_TOKENS),
            batch: Some(BATCH_MAX),
            ..ModelLimits::default()
        },
        options_schema: Some(schema()),
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

/// The options as JSON Schema (2020-12), against which the host checks each request's.
fn schema() -> Value {
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
    let request = engine_request(request)?;
    let inference::Embeddings { vectors, tokens } = engine.embed(request).await.map_err(engine_error)?;
    let usage = vec![UsageLine::new("input-tokens", tokens as u64)];
    Ok(EmbeddingResponse { model: EMBEDDING_MODEL.to_owned(), vectors, usage })
}

fn engine_request(request: EmbeddingRequest) -> Result<inference::EmbeddingRequest, ProviderError> {
    if let Some(wanted) = request.dimensions.filter(|wanted| *wanted != DIMENSIONS) {
        let message = format!(
            "{EMBEDDING_MODEL} gives vectors of {DIMENSIONS} numbers and was not trained to be cut to {wanted}"
        );
        return Err(reported(FailureCode::InvalidRequest, message, Some("dimensions")));
    }
    let Options { truncate } = options(&request.options)?;
    let inputs = request.inputs.into_iter().map(|input| match input {
        EmbeddingInput::Text(text) => Ok(inference::EmbeddingInput::Text(text)),
        EmbeddingInput::Tokens(ids) => Ok(inference::EmbeddingInput::Tokens(ids)),
        EmbeddingInput::Media(_) | EmbeddingInput::Other(_) => {
            let message = format!("{EMBEDDING_MODEL} reads text alone");
            Err(reported(FailureCode::Unsupported, message, Some("input")))
        }
    });
    Ok(inference::EmbeddingRequest { inputs: inputs.collect::<Result<_, _>>()?, truncate })
}

fn options(options: &Json) -> Result<Options, ProviderError> {
    serde_json::from_str(options.get())
        .map_err(|error| reported(FailureCode::InvalidRequest, error.to_string(), Some("options")))
}
