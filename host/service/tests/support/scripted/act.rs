//! One step of a job, as the script says.

use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::media::{MediaOutput, Outcome, Output, OutputSource, Step, Ticket};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::provider::{CallContext, ChargeJournal};

use super::{Act, Repeatable, Scripted, failure};

impl Scripted {
    async fn charge<'c>(&self, context: &'c CallContext, repeatable: Repeatable) -> &'c dyn ChargeJournal {
        let journal = context.journal.as_deref().expect("a job's call has a journal");
        journal.charging(repeatable).await.expect("it is noted");
        self.charged.notify_one();
        journal
    }

    pub(super) async fn act(&self, context: &CallContext) -> Result<Step, ProviderError> {
        let act = self.acts.lock().expect("no panic").pop_front().expect("the script goes on");
        match act {
            Act::Done(text) => {
                let outcome = Outcome {
                    outputs: vec![Output::Text(text.to_owned())],
                    usage: vec![UsageLine::new("images", 1)],
                };
                Ok(Step::Done(outcome))
            }
            Act::Model(id) => {
                let outputs = vec![Output::Model(id.to_owned())];
                Ok(Step::Done(Outcome { outputs, usage: Vec::new() }))
            }
            Act::Film(bytes) => {
                let film = MediaOutput {
                    source: OutputSource::Blob(Blob::in_memory("video/mp4", bytes.into())),
                    content_type: None,
                    revised_prompt: None,
                    seed: None,
                    attributes: vec![("video-id".to_owned(), "film-1".to_owned())],
                };
                Ok(Step::Done(Outcome { outputs: vec![Output::Media(film)], usage: Vec::new() }))
            }
            Act::Made(content_type, bytes) => {
                let blob = Blob::in_memory(content_type, bytes.into());
                Ok(made(OutputSource::Blob(blob), Some(content_type)))
            }
            Act::Linked(url) => Ok(made(OutputSource::Remote(url.to_owned()), None)),
            Act::DoneUsing(usage) => {
                Ok(Step::Done(Outcome { outputs: vec![Output::Text("made".to_owned())], usage }))
            }
            Act::Pending => Ok(Step::Pending(Ticket {
                state: b"at the provider".to_vec(),
                state_version: 1,
                poll_after_ms: 100,
                progress: Some(0.5),
                accepts_webhook: false,
                provider_id: None,
            })),
            Act::Waiting(id) => Ok(waiting(id)),
            Act::WaitingLater(id) => {
                self.submitted.notify_one();
                self.released.notified().await;
                Ok(waiting(id))
            }
            Act::Fail(code) => Err(failure(code)),
            Act::ChargeAndHang(repeatable) => {
                self.charge(context, repeatable).await;
                std::future::pending().await
            }
            Act::ChargeAndMake(output) => {
                self.charge(context, false).await;
                self.released.notified().await;
                Ok(Step::Done(Outcome { outputs: vec![output], usage: Vec::new() }))
            }
            Act::ChargeLater(text) => {
                self.submitted.notify_one();
                self.released.notified().await;
                let journal = context.journal.as_deref().expect("a job's call has a journal");
                journal.charging(false).await.map_err(|_| failure(FailureCode::Internal))?;
                Ok(Step::Done(Outcome { outputs: vec![Output::Text(text.to_owned())], usage: Vec::new() }))
            }
            Act::ChargeAndFail(code, status) => {
                let journal = self.charge(context, false).await;
                if status == 429 {
                    // As the sandbox does.
                    journal.withdrawn(false);
                }
                let mut failure = Failure::new(code, "as the script says");
                failure.http_status = Some(status);
                Err(ProviderError::Reported { instance: "scripted".to_owned(), failure: Box::new(failure) })
            }
            Act::ChargeAndLose(repeatable) => {
                self.charge(context, repeatable).await;
                Err(failure(FailureCode::Unavailable))
            }
            Act::FailEchoing(code) => {
                let prompt = self.prompt();
                let quoted = serde_json::to_string(&prompt).expect("JSON");
                let mut failure = Failure::new(code, format!("bad prompt: {quoted}"));
                failure.param = Some(prompt.clone());
                failure.provider_detail = Some(prompt);
                Err(ProviderError::Reported { instance: "scripted".to_owned(), failure: Box::new(failure) })
            }
            Act::DoneEchoing => {
                let prompt = self.prompt();
                let media = MediaOutput {
                    source: OutputSource::Blob(Blob::in_memory("image/png", "a picture".into())),
                    content_type: Some("image/png".to_owned()),
                    revised_prompt: Some(prompt.clone()),
                    seed: Some(7),
                    attributes: vec![("prompt".to_owned(), prompt.clone())],
                };
                let mut images = UsageLine::new("images", 1);
                images.attributes = vec![("prompt".to_owned(), prompt)];
                Ok(Step::Done(Outcome { outputs: vec![Output::Media(media)], usage: vec![images] }))
            }
            Act::FindNobody => {
                self.charge(context, false).await.withdrawn(false);
                Err(failure(FailureCode::Unavailable))
            }
        }
    }
}

fn waiting(id: &str) -> Step {
    Step::Pending(Ticket {
        state: id.as_bytes().to_vec(),
        state_version: 1,
        poll_after_ms: 60_000,
        progress: None,
        accepts_webhook: true,
        provider_id: Some(id.to_owned()),
    })
}

/// Done, with one medium.
fn made(source: OutputSource, content_type: Option<&str>) -> Step {
    let made = MediaOutput {
        source,
        content_type: content_type.map(str::to_owned),
        revised_prompt: None,
        seed: None,
        attributes: Vec::new(),
    };
    Step::Done(Outcome { outputs: vec![Output::Media(made)], usage: Vec::new() })
}
