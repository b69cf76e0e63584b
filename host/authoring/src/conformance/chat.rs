//! `chat`: the events of an answer, whole and streamed.

use std::collections::BTreeMap;

use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};

use super::subject::{Answer, Subject};
use super::{Suite, told};
use crate::bench::Testimony;
use crate::cases::ChatCase;
use crate::upstream::Fault;

const ABOUT: &str = "chat";

impl Suite<'_> {
    pub(super) async fn chat(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        for (index, case) in self.cases.chat.clone().into_iter().enumerate() {
            for stream in [true, false] {
                if stream && !case.streams {
                    continue;
                }
                let how = match (stream, case.tool) {
                    (true, false) => "streamed",
                    (false, false) => "at once",
                    (true, true) => "streamed with a tool",
                    (false, true) => "at once with a tool",
                };
                let subject = Subject::Chat(case.clone(), stream);
                let content = self.answered(how, &case, &subject, total).await?;
                // One case has all its faults; more would tell no more.
                if let (0, Some(content)) = (index, content) {
                    self.faults(ABOUT, how, &subject, &content, total).await?;
                }
            }
        }
        Ok(())
    }

    /// The good answer; gives its content.
    async fn answered(
        &mut self,
        how: &str,
        case: &ChatCase,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<Option<String>> {
        let rig = self.bench.rig(Fault::None).await?;
        let called = subject.call(&rig).await;
        let (charges, unknown) = (rig.charges.count(), self.end(&rig, total));
        let check = format!("{how}: it answers");
        let expected =
            case.expect.as_ref().map_or_else(|| "an answer".to_owned(), |text| format!("{text:?}"));
        let answer = match (unknown.first(), called) {
            (Some(unknown), _) => {
                self.row(ABOUT, &check, &expected, false, format!("no recorded exchange for {unknown}"));
                return Ok(None);
            }
            (None, Err(error)) => {
                self.row(ABOUT, &check, &expected, false, told(&error));
                return Ok(None);
            }
            (None, Ok(answer)) => answer,
        };
        let Answer::Chat(events) = &answer else { return Ok(None) };
        let text: String = events
            .iter()
            .filter_map(|event| if let ChatEvent::Text(text) = event { Some(text.as_str()) } else { None })
            .collect();
        let good =
            case.expect.as_ref().is_none_or(|expected| *expected == text) && (case.tool || !text.is_empty());
        self.row(ABOUT, &check, &expected, good, format!("{text:?} in {} events", events.len()));
        self.verdict(ABOUT, &format!("{how}: its events are in order"), ORDER, in_order(events));
        self.verdict(ABOUT, &format!("{how}: usage is reported"), "input and output tokens", usage(events));
        if case.tool {
            let expected = "a call whose arguments are a JSON object, finished by tool-calls";
            self.verdict(ABOUT, &format!("{how}: the tool is called"), expected, tools(events));
        }
        let found = format!("{charges} announced");
        self.row(
            ABOUT,
            &format!("{how}: its request is charging"),
            "1 charging request",
            charges == 1,
            found,
        );
        Ok(Some(answer.content()))
    }
}

const ORDER: &str = "started once and first, finished once, nothing but usage after it";

fn in_order(events: &[ChatEvent]) -> Result<String, String> {
    let count = |wanted: fn(&ChatEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
    let started = count(|event| matches!(event, ChatEvent::Started { .. }));
    let finished = count(|event| matches!(event, ChatEvent::Finished(_)));
    if started != 1 || !matches!(events.first(), Some(ChatEvent::Started { .. })) {
        return Err(format!("{started} times started, first {:?}", events.first()));
    }
    if finished != 1 {
        return Err(format!("{finished} times finished"));
    }
    let end = events.iter().position(|event| matches!(event, ChatEvent::Finished(_))).unwrap_or_default();
    match events[end + 1..].iter().find(|event| !matches!(event, ChatEvent::Usage(_) | ChatEvent::Other(_))) {
        Some(late) => Err(format!("{late:?} after the end")),
        None => Ok("in order".to_owned()),
    }
}

fn usage(events: &[ChatEvent]) -> Result<String, String> {
    let last = events.iter().rev().find_map(|event| match event {
        ChatEvent::Usage(lines) => Some(lines.as_slice()),
        _ => None,
    });
    let Some(lines) = last else { return Err("none".to_owned()) };
    let TokenTotals { input, output, .. } = TokenTotals::of(lines);
    let text = format!("{input} in, {output} out");
    if input > 0 && output > 0 { Ok(text) } else { Err(metered(lines)) }
}

/// Usage lines in a few words.
pub(super) fn metered(lines: &[UsageLine]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| format!("{} {}", line.quantity, line.meter)).collect();
    if lines.is_empty() { "nothing metered".to_owned() } else { lines.join(", ") }
}

fn tools(events: &[ChatEvent]) -> Result<String, String> {
    let mut calls: BTreeMap<u32, (&str, String)> = BTreeMap::new();
    let mut reason = None;
    for event in events {
        match event {
            ChatEvent::ToolCallStart { index, name, id, .. } => {
                let is_first = calls.insert(*index, (name, String::new())).is_none();
                if id.is_empty() || !is_first {
                    return Err(format!("call {index} starts without an id, or twice"));
                }
            }
            ChatEvent::ToolCallDelta { index, arguments } => match calls.get_mut(index) {
                Some((_, text)) => text.push_str(arguments),
                None => return Err(format!("arguments of call {index}, which has not started")),
            },
            ChatEvent::Finished(finished) => reason = Some(finished.clone()),
            _ => {}
        }
    }
    let Some((name, arguments)) = calls.values().next() else { return Err("no call".to_owned()) };
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(arguments);
    match (object, reason) {
        (Err(error), _) => Err(format!("arguments {arguments:?}: {error}")),
        (Ok(_), Some(FinishReason::ToolCalls)) => Ok(format!("{name}({arguments})")),
        (Ok(_), reason) => Err(format!("{name}, finished by {reason:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> ChatEvent {
        ChatEvent::Started { id: "i".to_owned(), model: "m".to_owned() }
    }

    #[test]
    fn an_answer_out_of_order_is_told_from_one_in_order() {
        let end = || ChatEvent::Finished(FinishReason::Stop);
        let text = || ChatEvent::Text("t".to_owned());
        let usage = || ChatEvent::Usage(vec![UsageLine::new("input-tokens", 1)]);
        assert!(in_order(&[started(), text(), end(), usage()]).is_ok());
        for wrong in [
            vec![],
            vec![text(), started(), end()],
            vec![started(), text()],
            vec![started(), end(), end()],
            vec![started(), end(), text()],
            vec![started(), started(), end()],
        ] {
            assert!(in_order(&wrong).is_err(), "{wrong:?}");
        }
        assert!(super::usage(&[usage()]).is_err(), "no output tokens");
    }

    #[test]
    fn a_call_needs_a_start_and_arguments_that_parse() {
        let start = || ChatEvent::ToolCallStart {
            index: 0,
            id: "c".to_owned(),
            name: "n".to_owned(),
            signature: None,
        };
        let piece = |text: &str| ChatEvent::ToolCallDelta { index: 0, arguments: text.to_owned() };
        let end = || ChatEvent::Finished(FinishReason::ToolCalls);
        assert!(tools(&[start(), piece("{\"a\""), piece(":1}"), end()]).is_ok());
        assert!(tools(&[piece("{}"), end()]).is_err());
        assert!(tools(&[start(), piece("{\"a\""), end()]).is_err());
        assert!(tools(&[start(), piece("{}"), ChatEvent::Finished(FinishReason::Stop)]).is_err());
    }
}
