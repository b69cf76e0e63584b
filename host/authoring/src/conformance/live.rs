//! `transcription`, `embedding` and `moderation`: one request, one answer.

use atelier_domain::generation::embedding::EmbeddingResponse;
use atelier_domain::generation::moderation::ModerationResponse;
use atelier_domain::generation::transcription::TranscriptionEvent;

use super::chat::metered;
use super::subject::{Answer, Subject};
use super::{Suite, told};
use crate::bench::Testimony;
use crate::upstream::Fault;

impl Suite<'_> {
    pub(super) async fn transcription(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for (index, case) in self.cases.transcription.clone().into_iter().enumerate() {
            let subject = Subject::Transcription(Box::new(case.request(&self.folder)?));
            let how = match (case.translate, case.stream) {
                (true, _) => "translated",
                (false, true) => "streamed",
                (false, false) => "at once",
            };
            let expected = "pieces that make the text, times in order, usage";
            self.once("transcription", how, expected, index, subject, total, |answer| match answer {
                Answer::Transcription(events) => transcribed(events, case.word_times),
                _ => Err("no transcript".to_owned()),
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn embedding(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for (index, case) in self.cases.embedding.clone().into_iter().enumerate() {
            let (inputs, dimensions) = (case.inputs.len(), case.dimensions);
            let expected = match dimensions {
                Some(dimensions) => format!("{inputs} vectors of {dimensions} numbers, usage"),
                None => format!("{inputs} vectors of one length, usage"),
            };
            self.once("embedding", "embed", &expected, index, Subject::Embedding(case), total, |answer| {
                match answer {
                    Answer::Embedding(response) => embedded(response, inputs, dimensions),
                    _ => Err("no vectors".to_owned()),
                }
            })
            .await?;
        }
        Ok(())
    }

    pub(super) async fn moderation(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for (index, case) in self.cases.moderation.clone().into_iter().enumerate() {
            let inputs = case.inputs.len();
            let expected = format!("{inputs} verdicts, scores from 0 to 1");
            self.once(
                "moderation",
                "moderate",
                &expected,
                index,
                Subject::Moderation(case),
                total,
                |answer| match answer {
                    Answer::Moderation(response) => judged(response, inputs),
                    _ => Err("no verdicts".to_owned()),
                },
            )
            .await?;
        }
        Ok(())
    }

    /// The good answer, and for the first case all faults.
    #[expect(clippy::too_many_arguments, reason = "what is asked, how it is told, and how it is judged")]
    async fn once(
        &mut self,
        about: &'static str,
        how: &str,
        expected: &str,
        index: usize,
        subject: Subject,
        total: &mut Testimony,
        judge: impl FnOnce(&Answer) -> Result<String, String>,
    ) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::None).await?;
        let called = subject.call(&rig).await;
        let unknown = self.end(&rig, total);
        let outcome = match (unknown.first(), &called) {
            (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
            (None, Err(error)) => Err(told(error)),
            (None, Ok(answer)) => judge(answer),
        };
        let good = outcome.is_ok();
        self.verdict(about, &format!("{how}: it answers"), expected, outcome);
        if let (0, true, Ok(answer)) = (index, good, called) {
            self.faults(about, how, &subject, &answer.content(), total).await?;
        }
        Ok(())
    }
}

fn transcribed(events: &[TranscriptionEvent], word_times: bool) -> Result<String, String> {
    let Some((TranscriptionEvent::Finished(transcript), pieces)) = events.split_last() else {
        return Err("no end".to_owned());
    };
    let mut heard = String::new();
    for piece in pieces {
        match piece {
            TranscriptionEvent::Text(text) => heard.push_str(text),
            TranscriptionEvent::Logprobs(_)
            | TranscriptionEvent::Segment(_)
            | TranscriptionEvent::Other(_) => {}
            TranscriptionEvent::Finished(_) => return Err("two ends".to_owned()),
        }
    }
    if transcript.text.is_empty() {
        return Err("an empty text".to_owned());
    }
    if !heard.is_empty() && heard.trim() != transcript.text.trim() {
        return Err(format!("pieces {heard:?} of the text {:?}", transcript.text));
    }
    if word_times && transcript.words.is_empty() {
        return Err("no words with times".to_owned());
    }
    let words = transcript.words.iter().map(|word| (word.start_ms, word.end_ms));
    let segments = transcript.segments.iter().map(|segment| (segment.start_ms, segment.end_ms));
    if words.chain(segments).any(|(start, end)| start > end) {
        return Err("a word or segment that ends before it starts".to_owned());
    }
    if transcript.usage.is_empty() {
        return Err("no usage".to_owned());
    }
    let text: String = transcript.text.chars().take(40).collect();
    Ok(format!("{text:?} in {} pieces, {}", pieces.len(), metered(&transcript.usage)))
}

fn embedded(response: &EmbeddingResponse, inputs: usize, dimensions: Option<u32>) -> Result<String, String> {
    let length = response.vectors.first().map(Vec::len).unwrap_or_default();
    let found = format!("{} vectors of {length}, {}", response.vectors.len(), metered(&response.usage));
    let good = response.vectors.len() == inputs
        && length > 0
        && dimensions.is_none_or(|wanted| length == wanted as usize)
        && response.vectors.iter().all(|v| v.len() == length && v.iter().all(|number| number.is_finite()))
        && response.usage.iter().any(|line| line.quantity > 0);
    if good { Ok(found) } else { Err(found) }
}

fn judged(response: &ModerationResponse, inputs: usize) -> Result<String, String> {
    let scores: Vec<f64> = response
        .verdicts
        .iter()
        .flat_map(|verdict| verdict.categories.iter().map(|category| category.score))
        .collect();
    let found = format!("{} verdicts with {} scores", response.verdicts.len(), scores.len());
    let consistent = response
        .verdicts
        .iter()
        .all(|verdict| verdict.flagged || !verdict.categories.iter().any(|category| category.flagged));
    let good = response.verdicts.len() == inputs
        && !scores.is_empty()
        && scores.iter().all(|score| (0.0..=1.0).contains(score))
        && consistent;
    if good { Ok(found) } else { Err(found) }
}
