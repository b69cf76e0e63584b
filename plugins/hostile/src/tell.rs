//! Attacks on secrets, beside chat: what an upstream echoed in pieces is put together again, and told in every text of every
//! capability's result.

use atelier_plugin_sdk::chat::{ChatRequest, TokenLogprob, TopLogprob};
use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::job::{
    Cancellation, Estimate, Event, MediaOutput, Outcome, Output, OutputSource, Step, Ticket, Wake,
};
use atelier_plugin_sdk::transcription::{Segment, Transcript, TranscriptEvent, TranscriptSink, Word};
use atelier_plugin_sdk::{
    CallContext, Embedding, Failure, MediaJobs, Moderation, Other, TokenCount, Transcription, UsageLine,
    Webhook, embedding, media, moderation, pair, transcription, webhook,
};

use crate::Hostile;
use crate::dump::quoted;
use crate::steady;

/// The pieces of a text that the upstream tore across events, so that the host did not see what they make together.
fn pieces(context: &CallContext) -> Result<Vec<String>, Failure> {
    let mut events = Request::post(format!("{}/echo", context.base_url)).safe().send()?.sse(1 << 16);
    let mut pieces = Vec::new();
    while let Some(event) = events.next_event()? {
        pieces.push(event.data.to_owned());
    }
    Ok(pieces)
}

fn seen(context: &CallContext) -> Result<String, Failure> {
    Ok(pieces(context)?.concat())
}

fn usage(seen: &str) -> Vec<UsageLine> {
    vec![UsageLine { meter: seen.to_owned(), quantity: 1, attributes: vec![pair(seen, seen)] }]
}

fn object(seen: &str) -> Option<String> {
    Some(["{\"told\":", &quoted(seen), "}"].concat())
}

fn other(seen: &str) -> Other {
    Other { kind: seen.to_owned(), json: quoted(seen) }
}

fn logprobs(seen: &str) -> Vec<TokenLogprob> {
    let (token, bytes) = (seen.to_owned(), Some(seen.as_bytes().to_vec()));
    let top = vec![TopLogprob { token: token.clone(), logprob: 0.0, bytes: bytes.clone() }];
    vec![TokenLogprob { token, logprob: 0.0, bytes, top }]
}

impl TokenCount for Hostile {
    fn count(context: CallContext, _: ChatRequest) -> Result<u64, Failure> {
        let seen = seen(&context)?;
        Err(Failure {
            param: Some(seen.clone()),
            provider_detail: Some(quoted(&seen)),
            ..Failure::new("internal", seen)
        })
    }
}

impl Embedding for Hostile {
    fn embed(context: CallContext, request: embedding::Request) -> Result<embedding::Response, Failure> {
        let seen = seen(&context)?;
        let vectors = request.inputs.iter().map(|_| vec![0.0]).collect();
        Ok(embedding::Response { usage: usage(&seen), model: seen, vectors })
    }
}

impl Moderation for Hostile {
    fn moderate(context: CallContext, _: moderation::Request) -> Result<moderation::Response, Failure> {
        let seen = seen(&context)?;
        let category = moderation::Category {
            name: seen.clone(),
            flagged: true,
            score: 1.0,
            applied_to: vec![seen.clone()],
        };
        let verdict = moderation::Verdict { flagged: true, categories: vec![category], extra: object(&seen) };
        let usage = usage(&seen);
        Ok(moderation::Response { id: seen.clone(), model: seen, verdicts: vec![verdict], usage })
    }
}

impl Transcription for Hostile {
    fn transcribe(
        context: CallContext,
        _: transcription::Request,
        sink: TranscriptSink,
    ) -> Result<Transcript, Failure> {
        let pieces = pieces(&context)?;
        let seen = pieces.concat();
        let text = || seen.clone();
        let segment = || Segment {
            text: text(),
            start_ms: 0,
            end_ms: 1,
            speaker: Some(text()),
            avg_logprob: None,
            no_speech_probability: None,
            extra: object(&seen),
        };
        for piece in pieces {
            sink.send(&[TranscriptEvent::Text(piece)])?;
        }
        sink.send(&[
            TranscriptEvent::Logprobs(logprobs(&seen)),
            TranscriptEvent::Segment(segment()),
            TranscriptEvent::Other(other(&seen)),
        ])?;
        let word = Word { text: text(), start_ms: 0, end_ms: 1, speaker: Some(text()), extra: object(&seen) };
        Ok(Transcript {
            text: text(),
            language: Some(text()),
            duration_ms: None,
            words: vec![word],
            segments: vec![segment()],
            logprobs: logprobs(&seen),
            usage: usage(&seen),
            extra: object(&seen),
        })
    }
}

fn outcome(seen: &str) -> Outcome {
    let media = |source| MediaOutput {
        source,
        content_type: Some(seen.to_owned()),
        revised_prompt: Some(seen.to_owned()),
        seed: None,
        attributes: vec![pair(seen, seen)],
    };
    let url = || ["https://results.example/?key=", seen].concat();
    let outputs = vec![
        Output::Media(media(OutputSource::Remote(url()))),
        Output::Media(media(OutputSource::Guarded(url()))),
        Output::Text(seen.to_owned()),
        Output::Model(seen.to_owned()),
        Output::Other(other(seen)),
    ];
    Outcome { outputs, usage: usage(seen) }
}

impl MediaJobs for Hostile {
    fn estimate_usage(context: CallContext, request: media::Request) -> Result<Estimate, Failure> {
        if request.model == steady::MODEL {
            return Ok(steady::estimate());
        }
        Ok(usage(&seen(&context)?))
    }

    fn submit(context: CallContext, request: media::Request) -> Result<Step, Failure> {
        if request.model == steady::MODEL {
            return steady::submit(&context, &request);
        }
        Ok(Step::Pending(Ticket {
            state: Vec::new(),
            state_version: 1,
            poll_after_ms: 1,
            progress: Some(0.5),
            accepts_webhook: false,
            provider_id: Some(seen(&context)?),
        }))
    }

    fn resume(context: CallContext, state: Vec<u8>, _: Wake) -> Result<Step, Failure> {
        if !state.is_empty() {
            return steady::resume(&context, state);
        }
        Ok(Step::Done(outcome(&seen(&context)?)))
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        if !state.is_empty() {
            return Ok(Cancellation::Canceled(Vec::new()));
        }
        Ok(Cancellation::Finished(outcome(&seen(&context)?)))
    }
}

impl Webhook for Hostile {
    fn parse(_: CallContext, callback: webhook::Callback) -> Result<Vec<Event>, Failure> {
        let seen = String::from_utf8_lossy(&callback.body).into_owned();
        Ok(vec![Event { kind: seen.clone(), provider_id: Some(seen.clone()), json: quoted(&seen) }])
    }
}
