//! Everybody who uses the host while it is killed.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Result, anyhow};

use super::{
    book::Book,
    feeds::{self, Reading},
    load::Load,
    random::Random,
    setup::{Site, User},
};

/// Threads that send requests.
const SENDERS: u64 = 4;

/// Senders and readers, each on a thread.
#[derive(Debug)]
pub struct Crowd {
    book: Arc<Book>,
    stop_sending: Arc<AtomicBool>,
    senders: Vec<JoinHandle<()>>,
    /// The number of the last event to come, for each reader.
    until: Vec<Arc<AtomicU64>>,
    readers: Vec<JoinHandle<Reading>>,
    stop_reading: Arc<AtomicBool>,
    reader_of_jobs: JoinHandle<BTreeMap<String, Reading>>,
}

impl Crowd {
    /// Begin.
    pub fn start(site: &Site, users: &[User], seed: u64) -> Self {
        let book = Arc::new(Book::default());
        let (stop_sending, stop_reading) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let random = |number: u64| Random::new(seed.wrapping_add(number).wrapping_add(1));
        let senders = (0..SENDERS).map(|number| {
            let load = Load::new(site.client(), users.to_vec(), Arc::clone(&book), random(number));
            let stop = Arc::clone(&stop_sending);
            thread::spawn(move || load.run(&stop))
        });
        let senders = senders.collect();
        let until: Vec<Arc<AtomicU64>> =
            users.iter().map(|_| Arc::new(AtomicU64::new(feeds::UNKNOWN))).collect();
        let address = site.address();
        let readers = users.iter().cloned().zip(&until).map(|(user, until)| {
            let until = Arc::clone(until);
            thread::spawn(move || feeds::follow(address, &user, &until))
        });
        let readers = readers.collect();
        let (users, its_book, stop) = (users.to_vec(), Arc::clone(&book), Arc::clone(&stop_reading));
        let random = random(SENDERS);
        let reader_of_jobs =
            thread::spawn(move || feeds::follow_jobs(address, &users, &its_book, random, &stop));
        Self { book, stop_sending, senders, until, readers, stop_reading, reader_of_jobs }
    }

    /// What they know.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Send nothing more.
    pub fn rest(&mut self) -> Result<()> {
        self.stop_sending.store(true, Ordering::Relaxed);
        self.senders.drain(..).try_for_each(|sender| sender.join().map_err(panicked))
    }

    /// Let the readers read to the last event, of which there will be no other, and give what they have.
    pub fn leave(
        self,
        newest: impl Iterator<Item = u64>,
    ) -> Result<(Vec<Reading>, BTreeMap<String, Reading>)> {
        for (until, newest) in self.until.iter().zip(newest) {
            until.store(newest, Ordering::Release);
        }
        self.stop_reading.store(true, Ordering::Relaxed);
        let readings = self.readers.into_iter().map(|reader| reader.join().map_err(panicked));
        let readings = readings.collect::<Result<_>>()?;
        Ok((readings, self.reader_of_jobs.join().map_err(panicked)?))
    }
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> anyhow::Error {
    anyhow!("a client panicked")
}
