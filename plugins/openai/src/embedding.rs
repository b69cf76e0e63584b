//! Embeddings (`POST /embeddings`).

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::embedding::{Input, Request, Response};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Embedding, Failure, base64, json};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

const RESERVED: &[&str] = &["model", "input", "dimensions", "encoding_format", "user"];
/// The largest answer, in bytes: 2,048 vectors of 3,072 numbers in base64, and room.
const ANSWER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The longest vector read, in bytes.
const VECTOR_BYTES_MAX: usize = 1024 * 1024;

#[derive(serde::Deserialize)]
struct Answer {
    data: Vec<Item>,
    #[serde(default)]
    model: String,
    usage: Option<Usage>,
}

#[derive(serde::Deserialize)]
struct Item {
    index: usize,
    embedding: Vector,
}

#[derive(serde::Deserialize)]
struct Usage {
    prompt_tokens: u64,
}

impl Embedding for OpenAi {
    fn embed(context: CallContext, request: Request) -> Result<Response, Failure> {
        let api = Api::new(&context)?;
        let body = body(&api, &request)?;
        let answer =
            api.send(api.post("/embeddings").json_text(body)?.charging())?.bytes(ANSWER_BYTES_MAX)?;
        response(&answer, request.inputs.len())
    }
}

fn body<'r>(api: &Api<'_>, request: &'r Request) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model).key("input").begin_array();
    let first_is_text = matches!(request.inputs.first(), Some(Input::Text(_)));
    for (index, input) in request.inputs.iter().enumerate() {
        let path = || ["inputs.", &index.to_string()].concat();
        match input {
            Input::Text(text) if first_is_text => body.value(text),
            Input::Tokens(tokens) if !first_is_text => body.value(tokens),
            Input::Media(_) | Input::Other(_) => {
                return Err(Failure::unsupported("this provider embeds text only").with_param(path()));
            }
            Input::Text(_) | Input::Tokens(_) => {
                return Err(Failure::invalid(
                    path(),
                    "this provider takes either texts or tokens in one call, not both",
                ));
            }
        };
    }
    body.end_array()
        .optional("dimensions", request.dimensions.as_ref())
        .optional("user", request.end_user.as_ref());
    body.field("encoding_format", api.embedding_encoding());
    body.merge(&request.options, RESERVED)?.end_object();
    Ok(body)
}

/// The vectors in the order of the inputs, each exactly once.
fn response(body: &[u8], inputs: usize) -> Result<Response, Failure> {
    let answer: Answer = json::parse(body)?;
    let mut vectors = vec![None; inputs];
    for item in answer.data {
        match vectors.get_mut(item.index) {
            Some(place @ None) => *place = Some(item.embedding.0),
            _ => return Err(Failure::bad_response("the provider sent a vector that belongs to no input")),
        }
    }
    let vectors: Option<Vec<Vec<f32>>> = vectors.into_iter().collect();
    let vectors =
        vectors.ok_or_else(|| Failure::bad_response("the provider left out the vector of an input"))?;
    let usage = answer.usage.map(|usage| usage::line(meter::INPUT_TOKENS, usage.prompt_tokens, &[]));
    Ok(Response { model: answer.model, vectors, usage: usage.into_iter().collect() })
}

/// A vector, as a list of numbers or as base64 of 32-bit floats: some servers give one whatever is asked for.
struct Vector(Vec<f32>);

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor).map(Self)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Vec<f32>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list of numbers or base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        base64::decode_f32s(text, VECTOR_BYTES_MAX).map_err(|failure| E::custom(failure.message))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut numbers = Vec::with_capacity(1536);
        while let Some(number) = items.next_element()? {
            if numbers.len() >= VECTOR_BYTES_MAX / 4 {
                return Err(A::Error::custom("the vector is longer than this call may take"));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::context;

    fn request(inputs: Vec<Input>) -> Request {
        Request {
            model: "text-embedding-3-small".to_owned(),
            inputs,
            dimensions: Some(256),
            end_user: Some("u".to_owned()),
            options: "{}".to_owned(),
        }
    }

    fn written(base_url: &str, inputs: Vec<Input>) -> Result<String, Failure> {
        let context = context(base_url, "{}");
        let request = request(inputs);
        body(&Api::new(&context)?, &request).map(|body| body.into_string().unwrap())
    }

    #[test]
    fn texts_or_tokens_are_sent_but_never_both() {
        assert_eq!(
            written("https://api.openai.com/v1", vec![Input::Text("a".into()), Input::Text("b".into())])
                .unwrap(),
            r#"{"model":"text-embedding-3-small","input":["a","b"],"dimensions":256,"user":"u","encoding_format":"base64"}"#
        );
        assert_eq!(
            written("http://localhost/v1", vec![Input::Tokens(vec![1, 2])]).unwrap(),
            r#"{"model":"text-embedding-3-small","input":[[1,2]],"dimensions":256,"user":"u","encoding_format":"float"}"#
        );
        let mixed = written("http://localhost/v1", vec![Input::Text("a".into()), Input::Tokens(vec![1])])
            .unwrap_err();
        assert_eq!((mixed.code.as_str(), mixed.param.as_deref()), ("invalid-request", Some("inputs.1")));
    }

    #[test]
    fn vectors_come_back_in_the_order_of_the_inputs_in_either_encoding() {
        let encoded = base64::encode(&[1.5f32.to_le_bytes(), (-2.0f32).to_le_bytes()].concat());
        let body = format!(
            r#"{{"object":"list","data":[{{"object":"embedding","index":1,"embedding":[0.25,1]}},{{"object":"embedding","index":0,"embedding":"{encoded}"}}],"model":"m","usage":{{"prompt_tokens":8,"total_tokens":8}}}}"#
        );
        let response = response(body.as_bytes(), 2).unwrap();
        assert_eq!(response.vectors, [[1.5, -2.0], [0.25, 1.0]]);
        assert_eq!((response.usage[0].meter.as_str(), response.usage[0].quantity), ("input-tokens", 8));
    }

    #[test]
    fn missing_doubled_and_surplus_vectors_are_a_bad_response() {
        for (data, inputs) in [
            (r#"[{"index":0,"embedding":[1]}]"#, 2),
            (r#"[{"index":0,"embedding":[1]},{"index":0,"embedding":[1]}]"#, 2),
            (r#"[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]}]"#, 1),
            (r#"[{"index":0,"embedding":"AAA"}]"#, 1),
            (r#"[{"index":0,"embedding":{}}]"#, 1),
        ] {
            let body = format!(r#"{{"data":{data},"model":"m"}}"#);
            assert_eq!(response(body.as_bytes(), inputs).unwrap_err().code, "bad-response", "{data}");
        }
    }
}
