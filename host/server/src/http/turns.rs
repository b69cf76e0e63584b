//! Calls of tools one after the other, for dialects that tell one item at a time: a provider may tell of several at once.

use atelier_domain::generation::chat::ChatEvent;

/// Holds back what belongs to a call whose turn it is not.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The call that is being told.
    open: Option<u32>,
    /// Those that have begun since, in their order.
    waiting: Vec<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    index: u32,
    start: ChatEvent,
    arguments: String,
}

impl Turns {
    /// What is to be told now: what has waited, and then the event, unless it waits itself.
    pub(super) fn take(&mut self, event: ChatEvent) -> (Vec<ChatEvent>, Option<ChatEvent>) {
        match event {
            ChatEvent::ToolCallStart { index, .. } if self.open.is_none_or(|open| open == index) => {
                self.open = Some(index);
                (Vec::new(), Some(event))
            }
            ChatEvent::ToolCallStart { index, .. } => {
                self.waiting.push(Waiting { index, start: event, arguments: String::new() });
                (Vec::new(), None)
            }
            ChatEvent::ToolCallDelta { index, .. } if self.open == Some(index) => (Vec::new(), Some(event)),
            ChatEvent::ToolCallDelta { index, arguments } => {
                match self.waiting.iter_mut().find(|call| call.index == index) {
                    Some(call) => call.arguments.push_str(&arguments),
                    None => tracing::warn!(index, "a provider tells more of a call that was told to its end"),
                }
                (Vec::new(), None)
            }
            // They end or measure the answer, and are no item of it.
            ChatEvent::Finished(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Logprobs(_)
            | ChatEvent::Other(_)
            | ChatEvent::Started { .. } => (Vec::new(), Some(event)),
            ChatEvent::Text(_) | ChatEvent::Refusal(_) | ChatEvent::Thinking(_) => (self.rest(), Some(event)),
        }
    }

    /// What still waits. No call is open any more.
    pub(super) fn rest(&mut self) -> Vec<ChatEvent> {
        self.open = None;
        let calls = std::mem::take(&mut self.waiting).into_iter();
        calls
            .flat_map(|Waiting { index, start, arguments }| {
                let arguments = Some(arguments).filter(|arguments| !arguments.is_empty());
                let delta = arguments.map(|arguments| ChatEvent::ToolCallDelta { index, arguments });
                std::iter::once(start).chain(delta)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(index: u32) -> ChatEvent {
        ChatEvent::ToolCallStart {
            index,
            id: format!("call-{index}"),
            name: "look".to_owned(),
            signature: None,
        }
    }

    fn delta(index: u32, arguments: &str) -> ChatEvent {
        ChatEvent::ToolCallDelta { index, arguments: arguments.to_owned() }
    }

    fn shown(events: impl IntoIterator<Item = ChatEvent>) -> Vec<String> {
        events.into_iter().map(|event| format!("{event:?}")).collect()
    }

    fn told(events: impl IntoIterator<Item = ChatEvent>) -> Vec<String> {
        let mut turns = Turns::default();
        let mut told = Vec::new();
        for event in events {
            let (before, now) = turns.take(event);
            told.extend(before.into_iter().chain(now));
        }
        told.extend(turns.rest());
        shown(told)
    }

    #[test]
    fn calls_that_come_at_once_are_told_in_turn_and_whole() {
        let events = [
            start(0),
            delta(0, "{\"a\""),
            start(1),
            delta(1, "{\"b\""),
            delta(0, ":1}"),
            start(2),
            delta(1, ":2}"),
        ];
        let wanted =
            [start(0), delta(0, "{\"a\""), delta(0, ":1}"), start(1), delta(1, "{\"b\":2}"), start(2)];
        assert_eq!(told(events), shown(wanted));
    }

    #[test]
    fn what_waits_comes_before_a_text_that_follows() {
        let text = || ChatEvent::Text("so".to_owned());
        let events =
            [text(), start(0), delta(0, "{}"), start(1), delta(1, "[]"), text(), start(2), delta(2, "1")];
        assert_eq!(told(events.clone()), shown(events), "as they came: one was whole before the next");
        let events = [start(0), start(1), delta(0, "{}"), delta(1, "[]"), text()];
        assert_eq!(told(events), shown([start(0), delta(0, "{}"), start(1), delta(1, "[]"), text()]));
    }
}
