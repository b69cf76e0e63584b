//! Events, as feeds and webhooks tell them.

use std::collections::{BTreeMap, BTreeSet};

use super::{Seen, Verdict};
use crate::torture::feeds::Event;

impl Seen {
    pub(super) fn events_tell_the_lives_of_jobs(&self) -> Verdict {
        let mut wrong = Vec::new();
        let mut by_job = BTreeMap::<&str, Vec<&Event>>::new();
        for (user, events) in self.users.iter().zip(&self.events) {
            for (place, event) in (1u64..).zip(events) {
                if event.sequence != place {
                    wrong.push(format!("event {place} of {} has the number {}", user.name, event.sequence));
                    break;
                }
            }
            for event in events {
                by_job.entry(&event.job).or_default().push(event);
            }
        }
        for job in &self.jobs {
            let told = by_job.remove(job.id.as_str()).unwrap_or_default();
            let first = told.first().is_some_and(|event| event.kind == "generation.queued");
            let last = told.last().is_some_and(|event| {
                event.kind == format!("generation.{}", job.state) && event.state == job.state
            });
            let ends = told.iter().filter(|event| event.is_final()).count();
            if !first || !last || ends != 1 {
                wrong.push(format!("{} is {}, and was told as {told:?}", job.id, job.state));
            }
        }
        wrong.extend(by_job.keys().map(|id| format!("there is no job {id}, of which there are events")));
        let figures = format!(
            "{} events of {} jobs, numbered without a gap",
            self.events.iter().map(Vec::len).sum::<usize>(),
            self.jobs.len()
        );
        Verdict::new("events tell each job from its begin to its one end", figures, wrong)
    }

    pub(super) fn webhooks_are_delivered(&self) -> Verdict {
        let taken = self.mail.messages.values().filter(|message| message.is_taken);
        let taken: BTreeSet<(usize, u64)> =
            taken.filter_map(|message| Some((message.user, Event::of(&message.body)?.sequence))).collect();
        let events = || {
            let of_users = self.events.iter().enumerate();
            of_users.flat_map(|(user, events)| events.iter().map(move |event| (user, event)))
        };
        let missing = events().filter(|(user, event)| !taken.contains(&(*user, event.sequence)));
        let mut wrong: Vec<_> = missing
            .map(|(user, event)| format!("{} was not told {}", self.users[user].name, event.text))
            .collect();
        if self.dropped > 0 {
            wrong.push(format!("{} messages were dropped", self.dropped));
        }
        let times: u32 = self.mail.messages.values().map(|message| message.times).sum();
        let figures = format!(
            "{} events, {} messages taken, {times} came, {} of them were refused and {} hung up on",
            events().count(),
            taken.len(),
            self.mail.refused,
            self.mail.hung_up,
        );
        Verdict::new("every webhook event is delivered at least once", figures, wrong)
    }

    pub(super) fn no_webhook_is_made_up(&self) -> Verdict {
        let mut wrong = self.mail.wrong.clone();
        let mut ids = BTreeMap::<(usize, u64), &str>::new();
        for ((user, id), message) in &self.mail.messages {
            let Some(told) = Event::of(&message.body) else {
                wrong.push(format!("{id} is no event: {}", message.body));
                continue;
            };
            let place = usize::try_from(told.sequence).unwrap_or(usize::MAX).wrapping_sub(1);
            let event = self.events[*user].get(place);
            if event != Some(&told) {
                let kept = event.map(|event| event.text.as_str());
                wrong.push(format!("{id} said {}, and the event is {kept:?}", message.body));
            }
            if let Some(other) = ids.insert((*user, told.sequence), id) {
                wrong.push(format!("event {} came as {id} and as {other}", told.sequence));
            }
        }
        let figures = format!("{} messages signed as they should be, each as its event", ids.len());
        Verdict::new("no webhook is made up, and an event has one id", figures, wrong)
    }

    pub(super) fn feeds_lose_and_double_nothing(&self) -> Verdict {
        let (mut wrong, mut connections) = (Vec::new(), 0);
        for ((user, reading), events) in self.users.iter().zip(&self.readings).zip(&self.events) {
            connections += reading.connections;
            wrong.extend(reading.wrong.iter().cloned());
            if reading.events != *events {
                let differ = reading.events.iter().zip(events).find(|(read, event)| read != event);
                let (read, there) = (reading.events.len(), events.len());
                wrong.push(format!(
                    "the reader of {} has {read} of {there} events; first {differ:?}",
                    user.name
                ));
            }
        }
        if self.readings.len() != self.users.len() {
            wrong.push("a reader is missing".to_owned());
        }
        let read: usize = self.readings.iter().map(|reading| reading.events.len()).sum();
        let figures = format!("{read} events read in {connections} connections");
        Verdict::new("a feed that goes on after Last-Event-ID loses and doubles nothing", figures, wrong)
    }

    pub(super) fn feeds_of_jobs_lose_and_double_nothing(&self) -> Verdict {
        let (mut wrong, mut connections) = (Vec::new(), 0);
        for (job, reading) in &self.job_readings {
            connections += reading.connections;
            wrong.extend(reading.wrong.iter().cloned());
            let events = self.events.iter().flatten().filter(|event| event.job == *job);
            if !reading.events.iter().eq(events) {
                wrong.push(format!("the feed of {job} gave {:?}", reading.events));
            }
        }
        let figures = format!("{} jobs followed in {connections} connections", self.job_readings.len());
        Verdict::new("a job's feed tells all of it, once", figures, wrong)
    }
}
