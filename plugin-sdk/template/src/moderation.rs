//! Verdicts (`POST /verdicts`).

use std::collections::BTreeMap;

use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::moderation::{Category, Input, Request as Wanted, Response, Verdict};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, Moderation};
use serde::{Deserialize, Serialize};

use crate::Acme;

/// The largest answer, in bytes.
const ANSWER_BYTES_MAX: u32 = 4 << 20;
/// From this score on a category counts as found.
const FLAGGED_FROM: f64 = 0.5;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    inputs: Vec<&'r str>,
}

#[derive(Deserialize)]
struct Answer {
    id: String,
    model: String,
    /// One map of scores for each input.
    scores: Vec<BTreeMap<String, f64>>,
}

impl Moderation for Acme {
    fn moderate(context: CallContext, request: Wanted) -> Result<Response, Failure> {
        let inputs = request.inputs.iter().map(|input| match input {
            Input::Text(text) => Ok(text.as_str()),
            Input::Image(_) | Input::Other(_) => {
                Err(Failure::unsupported("this provider judges text only").with_param("input"))
            }
        });
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let url = format!("{}/verdicts", context.base_url);
        let body = Body { model: &request.model, inputs };
        let answer: Answer =
            Request::post(url).json(&body)?.charging().send()?.success()?.json(ANSWER_BYTES_MAX)?;
        Ok(Response {
            id: answer.id,
            model: answer.model,
            verdicts: answer.scores.into_iter().map(verdict).collect(),
            usage: vec![usage::line(meter::REQUESTS, 1, &[])],
        })
    }
}

fn verdict(scores: BTreeMap<String, f64>) -> Verdict {
    let categories: Vec<_> = scores
        .into_iter()
        .map(|(name, score)| Category {
            name,
            flagged: score >= FLAGGED_FROM,
            score,
            applied_to: vec!["text".to_owned()],
        })
        .collect();
    let flagged = categories.iter().any(|category| category.flagged);
    Verdict { flagged, categories, extra: None }
}
