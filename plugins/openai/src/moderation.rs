//! Moderations (`POST /moderations`).

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::moderation::{Category, Input, Request, Response, Verdict};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, MediaSource, Moderation, json};
use serde::Deserialize;
use serde_json::value::RawValue;

const RESERVED: &[&str] = &["model", "input"];
const ANSWER_BYTES_MAX: u32 = 8 * 1024 * 1024;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    results: Vec<Judged<'a>>,
}

#[derive(Deserialize)]
struct Judged<'a> {
    flagged: bool,
    #[serde(borrow)]
    categories: &'a RawValue,
    #[serde(borrow)]
    category_scores: &'a RawValue,
    #[serde(borrow)]
    category_applied_input_types: Option<&'a RawValue>,
}

impl Moderation for OpenAi {
    fn moderate(context: CallContext, request: Request) -> Result<Response, Failure> {
        let api = Api::new(&context)?;
        let body = body(&request)?;
        // It costs nothing and changes nothing.
        let answer = api.send(api.post("/moderations").json_text(body)?.safe())?.bytes(ANSWER_BYTES_MAX)?;
        response(&answer)
    }
}

/// Texts are judged one by one; with an image among them, all inputs are judged together.
fn body(request: &Request) -> Result<json::Text<'_>, Failure> {
    let together = request.inputs.iter().any(|input| !matches!(input, Input::Text(_)));
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model).key("input").begin_array();
    for input in &request.inputs {
        match input {
            Input::Text(text) if together => {
                body.begin_object().field("type", "text").field("text", text).end_object();
            }
            Input::Text(text) => {
                body.value(text);
            }
            Input::Image(media) => {
                body.begin_object().field("type", "image_url").key("image_url").begin_object().key("url");
                match &media.source {
                    MediaSource::Url(url) => body.value(url),
                    MediaSource::Blob(blob) => {
                        let own = media.content_type.is_none().then(|| blob.content_type());
                        body.data_url(
                            media.content_type.as_ref().or(own.as_ref()).map_or("", String::as_str),
                            blob,
                        )
                    }
                };
                body.end_object().end_object();
            }
            Input::Other(other) if other.kind.starts_with("openai.") => {
                body.raw(&other.json);
            }
            Input::Other(other) => {
                let message = ["there is no content of the kind ", &other.kind, " at this provider"].concat();
                return Err(Failure::unsupported(message).with_param("inputs"));
            }
        }
    }
    body.end_array().merge(&request.options, RESERVED)?.end_object();
    Ok(body)
}

fn response(body: &[u8]) -> Result<Response, Failure> {
    let answer: Answer<'_> = json::parse(body)?;
    let verdicts = answer.results.iter().map(verdict).collect::<Result<Vec<_>, Failure>>()?;
    Ok(Response {
        id: answer.id,
        model: answer.model,
        verdicts,
        usage: vec![usage::line(meter::REQUESTS, 1, &[])],
    })
}

fn verdict(judged: &Judged<'_>) -> Result<Verdict, Failure> {
    let scores = members(judged.category_scores)?;
    let applied = judged.category_applied_input_types.map(members).transpose()?.unwrap_or_default();
    let value_of = |members: &[json::Member<'_>], name: &str| {
        members.iter().find(|member| member.name == name).map(|member| member.value.to_owned())
    };
    let mut categories = Vec::with_capacity(scores.len());
    for member in members(judged.categories)? {
        let score =
            value_of(&scores, &member.name).map(|text| json::parse_text(&text)).transpose()?.unwrap_or(0.0);
        let applied_to = value_of(&applied, &member.name).map(|text| json::parse_text(&text)).transpose()?;
        categories.push(Category {
            // Categories that are switched off are null.
            flagged: json::parse_text::<Option<bool>>(member.value)?.unwrap_or(false),
            score,
            applied_to: applied_to.unwrap_or_default(),
            name: member.name.into_owned(),
        });
    }
    Ok(Verdict { flagged: judged.flagged, categories, extra: None })
}

fn members(object: &RawValue) -> Result<Vec<json::Member<'_>>, Failure> {
    json::members(object.get())
        .ok_or_else(|| Failure::bad_response("the provider's categories are no object"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_plugin_sdk::Media;

    fn written(inputs: Vec<Input>) -> String {
        let request =
            Request { model: "omni-moderation-latest".to_owned(), inputs, options: "{}".to_owned() };
        body(&request).unwrap().into_string().unwrap()
    }

    #[test]
    fn texts_are_judged_alone_and_images_with_what_stands_beside_them() {
        assert_eq!(
            written(vec![Input::Text("a".into()), Input::Text("b".into())]),
            r#"{"model":"omni-moderation-latest","input":["a","b"]}"#
        );
        let image = Media::new(MediaSource::Url("https://x.example/i.png".into()), None);
        assert_eq!(
            written(vec![Input::Text("a".into()), Input::Image(image)]),
            r#"{"model":"omni-moderation-latest","input":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"https://x.example/i.png"}}]}"#
        );
    }

    #[test]
    fn categories_keep_their_scores_and_what_they_applied_to() {
        let body = r#"{"id":"modr-1","model":"omni-moderation-latest","results":[{"flagged":true,
            "categories":{"sexual":false,"violence":true,"illicit":null},
            "category_scores":{"sexual":2.3e-7,"violence":0.86,"illicit":0.1},
            "category_applied_input_types":{"sexual":["text"],"violence":["text","image"]}}]}"#;
        let response = response(body.as_bytes()).unwrap();
        let verdict = &response.verdicts[0];
        assert!(verdict.flagged);
        let violence = verdict.categories.iter().find(|category| category.name == "violence").unwrap();
        assert!(violence.flagged && (violence.score - 0.86).abs() < 1e-9);
        assert_eq!(violence.applied_to, ["text", "image"]);
        let illicit = verdict.categories.iter().find(|category| category.name == "illicit").unwrap();
        assert!(!illicit.flagged && illicit.applied_to.is_empty());
    }

    #[test]
    fn a_result_without_categories_is_a_bad_response() {
        let body =
            r#"{"id":"m","model":"m","results":[{"flagged":true,"categories":[],"category_scores":{}}]}"#;
        assert_eq!(response(body.as_bytes()).unwrap_err().code, "bad-response");
    }
}
