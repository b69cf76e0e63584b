//! `POST /v1/embeddings` (OpenAI API, embeddings).

use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::usage::TokenTotals;
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::model::Task;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::chat_completions::off_thread;
use super::openapi::{Operation, Tag, words};
use super::{ApiError, Call, Reply, answer, body};

const INPUTS_MAX: usize = 2048;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EmbeddingRequest)]
struct Body {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    // One text or 1 to 2048, or the same as token numbers.
    #[schema(inline)]
    input: Input,
    #[schema(minimum = 1)]
    dimensions: Option<u32>,
    /// Base64 holds the little-endian bytes of 32-bit floats.
    #[schema(inline)]
    encoding_format: Option<Encoding>,
    user: Option<String>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    TokenLists(Vec<Vec<u32>>),
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Float,
    Base64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmbeddingList)]
struct List<'a> {
    #[schema(inline, value_type = ListWord)]
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    usage: Usage,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Embedding)]
struct Entry<'a> {
    #[schema(inline, value_type = EmbeddingWord)]
    object: &'static str,
    index: usize,
    #[schema(inline)]
    embedding: Vector<'a>,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
enum Vector<'a> {
    Float(&'a [f32]),
    Base64(String),
}

#[derive(Serialize, ToSchema)]
#[schema(as = EmbeddingUsage)]
struct Usage {
    prompt_tokens: u64,
    total_tokens: u64,
}

words! {
    ListWord: "list";
    EmbeddingWord: "embedding";
}

/// Turns texts into vectors.
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body = off_thread(bytes, |bytes| body::parse::<Body>(bytes)).await?;
    let inputs = match body.input {
        Input::Text(text) => vec![EmbeddingInput::Text(text)],
        Input::Texts(texts) => texts.into_iter().map(EmbeddingInput::Text).collect(),
        Input::Tokens(tokens) => vec![EmbeddingInput::Tokens(tokens)],
        Input::TokenLists(lists) => lists.into_iter().map(EmbeddingInput::Tokens).collect(),
    };
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(ApiError::invalid("input", format!("must have 1 to {INPUTS_MAX} entries")));
    }
    if body.dimensions == Some(0) {
        return Err(ApiError::invalid("dimensions", "must be at least 1"));
    }
    let caller = call.caller()?;
    let resolved = call.app.generations.resolve(caller, &body.model, Task::Embedding).await?;
    let request = EmbeddingRequest {
        model: String::new(),
        inputs,
        dimensions: body.dimensions,
        end_user: body.user,
        options: body.options.unwrap_or_else(empty_object),
    };
    let answered = call.app.generations.embed(caller, resolved, request).await?;
    let encoding = body.encoding_format.unwrap_or_default();
    let totals = TokenTotals::of(&answered.value.usage);
    let data = answered.value.vectors.iter().enumerate();
    let list = List {
        object: "list",
        data: data
            .map(|(index, vector)| Entry { object: "embedding", index, embedding: encode(vector, encoding) })
            .collect(),
        model: answered.model.id.as_str(),
        usage: Usage { prompt_tokens: totals.input, total_tokens: totals.input },
    };
    Ok(answer::json(&list)?.by(answered.model.id.as_str()).after(answered.provider_time))
}

/// Base64 holds the little-endian bytes of 32-bit floats.
fn encode(vector: &[f32], encoding: Encoding) -> Vector<'_> {
    match encoding {
        Encoding::Float => Vector::Float(vector),
        Encoding::Base64 => {
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            Vector::Base64(STANDARD.encode(bytes))
        }
    }
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let list = json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.0123, -0.0456]}],
        "model": "openai/text-embedding-3-small", "usage": {"prompt_tokens": 5, "total_tokens": 5}});
    Operation::new("createEmbedding", Tag::Embeddings, "Embed texts")
        .about("Turns one text or up to 2048 into vectors, in their order.")
        .takes::<Body>(json!({"model": "openai/text-embedding-3-small", "input": "A lighthouse in a storm."}))
        .answers::<List<'_>>(200, "A vector for each text.", list)
        .calls_provider()
}
