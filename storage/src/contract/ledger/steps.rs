//! What scenarios of the ledger are made of.

use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::{EntryId, JobId, KeyId, UsageId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::money::{
    AllowanceWanted, Bill, CallRefund, Grant, Hold, LiveUse, MicroCredits, Refund, UsageRecord,
};
use atelier_domain::store::{AccountStore, JobStore, LedgerStore, NewJob, StoreError};
use atelier_domain::time::Timestamp;

use crate::contract::sample;

/// The ports that money goes through.
pub trait Books: AccountStore + JobStore + LedgerStore {}
impl<T: AccountStore + JobStore + LedgerStore> Books for T {}

/// When everything happens.
pub const NOW: Timestamp = Timestamp(1_795_305_600_000);

pub fn amount(micro_credits: u64) -> MicroCredits {
    MicroCredits::new(micro_credits).expect("within the bound")
}

/// A new user.
pub fn user(books: &dyn Books) -> UserId {
    let user = sample::user(&UserId::new().to_string());
    books.create_user(&user).expect("created");
    user.id
}

pub fn grant(user: UserId, micro_credits: u64) -> Grant {
    let (by, reason) = (Some(UserId::new()), "welcome".to_owned());
    Grant { id: EntryId::new(), at: NOW, user, amount: amount(micro_credits), by, reason }
}

pub fn refund(job: JobId, micro_credits: u64) -> Refund {
    let (by, reason) = (None, "it was not what was asked for".to_owned());
    Refund { id: EntryId::new(), at: NOW, job, amount: amount(micro_credits), by, reason }
}

pub fn refund_of_call(user: UserId, call: UsageId, micro_credits: u64) -> CallRefund {
    let (by, reason) = (None, "it was not what was asked for".to_owned());
    CallRefund { id: EntryId::new(), at: NOW, user, call, amount: amount(micro_credits), by, reason }
}

/// A job whose images cost `of_image` each, and a hold of `most` for it.
pub fn job_for(user: UserId, key: KeyId, most: u64, of_image: u64) -> (Job, Hold) {
    let hold = Hold { entry: EntryId::new(), user, key, amount: amount(most), is_debited: true, at: NOW };
    let bill = Bill {
        key: Some(key),
        price: Some(sample::price(of_image)),
        held: hold.amount,
        is_debited: true,
        ..Bill::default()
    };
    (Job { bill, ..sample::job(user) }, hold)
}

pub fn submit(books: &dyn Books, job: &Job, hold: &Hold) -> Result<(), StoreError> {
    books.create_job(&NewJob { hold: Some(hold), ..job.into() })
}

/// An allowance for a user's live calls.
pub fn wanted(user: UserId, key: KeyId, least: u64, most: u64) -> AllowanceWanted {
    let (least, most) = (amount(least), amount(most));
    AllowanceWanted { id: EntryId::new(), user, key, least, most, is_debited: true, at: NOW }
}

/// A call that was paid from it.
pub fn used(of: &AllowanceWanted, micro_credits: u64) -> LiveUse {
    let record = UsageRecord {
        id: UsageId::new(),
        at: NOW,
        user: of.user,
        key: Some(of.key),
        model: "a/one".to_owned(),
        task: "chat".to_owned(),
        job: None,
        request_id: Some("req_1".to_owned()),
        outcome: "ok".to_owned(),
        usage: vec![UsageLine::new("output-tokens", 7)],
        is_estimated: false,
        cost: Some(amount(micro_credits)),
        uncollected: MicroCredits::ZERO,
        is_unpriced: false,
        is_debited: false,
        refunded: MicroCredits::ZERO,
    };
    LiveUse { record, allowance: Some(of.id) }
}

/// Ends a job that made so many images, unless it has ended.
pub fn end(books: &dyn Books, job: &Job, state: JobState, images: u64) -> Job {
    let change = |job: &mut Job| {
        if job.state.is_final() {
            return false;
        }
        job.state = state;
        job.finished = Some(NOW);
        job.usage = vec![UsageLine::new("images", images)];
        true
    };
    books.change_job(job.id, &change).expect("changed").expect("it is there")
}

/// Ends a job whose provider told no usage, and of which nobody knew what it would use.
pub fn end_untold(books: &dyn Books, job: &Job) -> Job {
    let change = |job: &mut Job| {
        if job.state.is_final() {
            return false;
        }
        job.state = JobState::Succeeded;
        job.finished = Some(NOW);
        job.usage = Vec::new();
        job.bill.is_estimated = true;
        true
    };
    books.change_job(job.id, &change).expect("changed").expect("it is there")
}
