//! Vectors (`POST /vectors`).

use atelier_plugin_sdk::embedding::{Input, Request as Wanted, Response};
use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Embedding, Failure};
use serde::{Deserialize, Serialize};

use crate::Acme;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u32 = 16 << 20;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    inputs: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<u32>,
}

#[derive(Deserialize)]
struct Answer {
    model: String,
    vectors: Vec<Vec<f32>>,
    tokens: u64,
}

impl Embedding for Acme {
    fn embed(context: CallContext, request: Wanted) -> Result<Response, Failure> {
        let inputs = request.inputs.iter().map(|input| match input {
            Input::Text(text) => Ok(text.as_str()),
            _ => Err(Failure::unsupported("this provider takes text only").with_param("input")),
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let body = Body { model: &request.model, inputs, dimensions: request.dimensions };
        let url = format!("{}/vectors", context.base_url);
        let response = Request::post(url).json(&body)?.charging().send()?.success()?;
        let answer: Answer = response.json(ANSWER_BYTES_MAX)?;
        if answer.vectors.len() != request.inputs.len() {
            return Err(Failure::bad_response("the provider gave another number of vectors than inputs"));
        }
        let usage = vec![usage::line(meter::INPUT_TOKENS, answer.tokens, &[])];
        Ok(Response { model: answer.model, vectors: answer.vectors, usage })
    }
}
