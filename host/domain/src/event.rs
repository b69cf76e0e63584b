//! Events: what happened to jobs, in the order in which it did, numbered for each owner from 1 without a gap.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, MessageId, UserId};
use crate::job::{Job, JobError, JobState};
use crate::time::Timestamp;

/// The most events of one job. Beyond it only its end is told.
pub const EVENTS_PER_JOB_MAX: usize = 256;
/// The most characters of a model's id in an event, and of a task.
const NAME_CHARACTERS_MAX: usize = 256;
/// The most characters of an error's message in an event; the job has all of it.
const MESSAGE_CHARACTERS_MAX: usize = 500;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    #[serde(rename = "generation.queued")]
    Queued,
    #[serde(rename = "generation.processing")]
    Processing,
    #[serde(rename = "generation.progress")]
    Progress,
    #[serde(rename = "generation.succeeded")]
    Succeeded,
    #[serde(rename = "generation.failed")]
    Failed,
    #[serde(rename = "generation.canceled")]
    Canceled,
}

impl EventKind {
    /// All of them, in the order of a job's life.
    pub const ALL: [EventKind; 6] = [
        EventKind::Queued,
        EventKind::Processing,
        EventKind::Progress,
        EventKind::Succeeded,
        EventKind::Failed,
        EventKind::Canceled,
    ];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            EventKind::Queued => "generation.queued",
            EventKind::Processing => "generation.processing",
            EventKind::Progress => "generation.progress",
            EventKind::Succeeded => "generation.succeeded",
            EventKind::Failed => "generation.failed",
            EventKind::Canceled => "generation.canceled",
        }
    }

    /// Whether it is the last of its job.
    pub fn is_final(self) -> bool {
        matches!(self, EventKind::Succeeded | EventKind::Failed | EventKind::Canceled)
    }

    /// What a change of a job's row is, if it is anything to tell. `told_percent` is the farthest progress told of the job so far:
    /// progress is told once for each whole percent, and only as it grows, however often a provider reports.
    pub fn between(old: Option<&Job>, new: &Job, told_percent: u8) -> Option<Self> {
        if old.is_none_or(|old| old.state != new.state) {
            return Some(match new.state {
                JobState::Queued => EventKind::Queued,
                JobState::Processing => EventKind::Processing,
                JobState::Succeeded => EventKind::Succeeded,
                JobState::Failed => EventKind::Failed,
                JobState::Canceled => EventKind::Canceled,
            });
        }
        (!new.state.is_final() && percent(new) > told_percent).then_some(EventKind::Progress)
    }
}

/// A job's progress in whole percent, 0 where none is known.
pub fn percent(job: &Job) -> u8 {
    // A cast saturates, and makes 0 of what is no number.
    (job.progress.unwrap_or(0.0).clamp(0.0, 1.0) * 100.0) as u8
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is no kind of event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no such event")]
pub struct UnknownEvent;

impl FromStr for EventKind {
    type Err = UnknownEvent;
    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(UnknownEvent)
    }
}

/// A job as an event tells it: small, and without what its owner put in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSnapshot {
    pub id: JobId,
    pub state: JobState,
    /// `instance/model`.
    pub model: String,
    pub task: String,
    /// 0 to 1.
    pub progress: Option<f64>,
    pub created: Timestamp,
    pub started: Option<Timestamp>,
    pub finished: Option<Timestamp>,
    /// How many results it has.
    pub outputs: u32,
    /// Its message may be cut.
    pub error: Option<JobError>,
    /// The id of the caller's request that began it; absent where nobody noted it.
    #[serde(default)]
    pub request_id: Option<String>,
}

impl From<&Job> for JobSnapshot {
    fn from(job: &Job) -> Self {
        let error = job.error.as_ref().map(|error| JobError {
            code: cut(&error.code, NAME_CHARACTERS_MAX),
            message: cut(&error.message, MESSAGE_CHARACTERS_MAX),
        });
        Self {
            id: job.id,
            state: job.state,
            model: cut(&job.request.model, NAME_CHARACTERS_MAX),
            task: cut(&job.request.task, NAME_CHARACTERS_MAX),
            progress: job.progress,
            created: job.created,
            started: job.started,
            finished: job.finished,
            outputs: u32::try_from(job.outputs.len()).unwrap_or(u32::MAX),
            error,
            request_id: job.request_id.as_deref().map(|id| cut(id, NAME_CHARACTERS_MAX)),
        }
    }
}

fn cut(text: &str, characters_max: usize) -> String {
    match text.char_indices().nth(characters_max) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub owner: UserId,
    /// Its place among its owner's events.
    pub sequence: u64,
    pub time: Timestamp,
    pub kind: EventKind,
    pub job: JobSnapshot,
}

impl Event {
    /// Its name as a message, the same wherever it goes and however often.
    pub fn message_id(&self) -> MessageId {
        MessageId::derived(self.time, &[self.owner.as_bytes(), &self.sequence.to_be_bytes()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_at_a_character() {
        assert_eq!(cut("漢字漢字", 2), "漢字…");
        assert_eq!(cut("漢字", 2), "漢字");
    }

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in EventKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
        assert!("generation.done".parse::<EventKind>().is_err());
    }
}
