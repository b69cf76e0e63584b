//! Whatever happens in whatever order, crashes included: the books add up.

use std::collections::HashMap;

use atelier_domain::id::{KeyId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::money::{BudgetLimits, MicroCredits, Periods, Refusal, Subject};
use atelier_domain::store::{AccountStore as _, JobStore as _, LedgerStore as _, StoreError};
use atelier_storage::Store;
use atelier_storage::contract::ledger::steps::{
    NOW, amount, end, end_untold, grant, job_for, refund, refund_of_call, submit, used, wanted,
};
use atelier_storage::contract::sample;
use proptest::prelude::*;

const USERS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Grant {
        user: usize,
        credits: u64,
    },
    Submit {
        user: usize,
        most: u64,
        of_image: u64,
    },
    Succeed {
        job: usize,
        images: u64,
    },
    /// It has succeeded, and nobody tells what it used.
    Untold {
        job: usize,
    },
    Fail {
        job: usize,
    },
    Cancel {
        job: usize,
    },
    /// Of the live call of a user that was folded last.
    RefundCall {
        user: usize,
        credits: u64,
    },
    /// Of a job that may not have ended, or may have been given back already.
    Refund {
        job: usize,
        credits: u64,
    },
    /// The same end again, as after an answer that was lost.
    EndAgain {
        job: usize,
    },
    /// An allowance is taken, some calls are paid from it, and what is left is given back or not.
    Live {
        user: usize,
        most: u64,
        calls: Vec<u64>,
        is_returned: bool,
    },
    Fold,
    Probe,
    Budget {
        user: usize,
        day: Option<u64>,
    },
    /// The process ends without a word, and another opens the same files.
    Crash,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (user, job) = (0..USERS, 0..64usize);
    let step = prop_oneof![
        3 => (user.clone(), 0..200u64).prop_map(|(user, credits)| Step::Grant { user, credits }),
        6 => (user.clone(), 0..90u64, 0..9u64).prop_map(|(user, most, of_image)| Step::Submit { user, most, of_image }),
        4 => (job.clone(), prop_oneof![0..20u64, Just(u64::MAX)]).prop_map(|(job, images)| Step::Succeed { job, images }),
        2 => job.clone().prop_map(|job| Step::Untold { job }),
        2 => job.clone().prop_map(|job| Step::Fail { job }),
        2 => job.clone().prop_map(|job| Step::Cancel { job }),
        2 => (job.clone(), 0..40u64).prop_map(|(job, credits)| Step::Refund { job, credits }),
        2 => (user.clone(), 0..14u64).prop_map(|(user, credits)| Step::RefundCall { user, credits }),
        2 => job.prop_map(|job| Step::EndAgain { job }),
        1 => (user.clone(), proptest::option::of(0..300u64)).prop_map(|(user, day)| Step::Budget { user, day }),
        3 => (user.clone(), 1..80u64, proptest::collection::vec(0..12u64, 0..6), any::<bool>())
            .prop_map(|(user, most, calls, is_returned)| Step::Live { user, most, calls, is_returned }),
        1 => Just(Step::Fold),
        1 => Just(Step::Probe),
        1 => Just(Step::Crash),
    ];
    proptest::collection::vec(step, 1..60)
}

/// What must be there, by a model that is a few numbers.
#[derive(Default)]
struct Expected {
    available: HashMap<UserId, u64>,
    held: HashMap<UserId, u64>,
    spent: HashMap<UserId, u64>,
    limit: HashMap<UserId, u64>,
    /// What is left of allowances that were not given back, by what was recorded.
    allowance: HashMap<UserId, u64>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_books_add_up_after_any_interleaving(steps in steps()) {
        let mut folder = tempfile::tempdir().expect("a folder");
        let mut store = Store::open(folder.path()).expect("opened");
        let users: Vec<UserId> = (0..USERS).map(|n| {
            let user = sample::user(&format!("user {n}"));
            store.create_user(&user).expect("created");
            user.id
        }).collect();
        let mut jobs: Vec<Job> = Vec::new();
        let mut expected = Expected::default();
        for step in steps {
            if matches!(step, Step::Crash) {
                (store, folder) = crash(store, folder);
                // A new process folds what was recorded, and gives all allowances back.
                for (user, rest) in expected.allowance.drain() {
                    *expected.available.entry(user).or_default() += rest;
                }
                prop_assert!(store.audit().expect("read").is_clean());
            } else {
                apply(&store, &users, &mut jobs, &mut expected, step)?;
            }
            for user in &users {
                let balance = store.balance(*user).expect("read");
                prop_assert_eq!(balance.available.get(), expected.available.get(user).copied().unwrap_or_default());
                prop_assert_eq!(balance.held.get(), expected.held.get(user).copied().unwrap_or_default());
                let of = |what: &HashMap<UserId, u64>| what.get(user).copied().unwrap_or_default();
                let counted = of(&expected.spent) + of(&expected.held) + of(&expected.allowance);
                let spending = store.spending(Subject::User(*user), Periods::at(NOW)).expect("read");
                prop_assert_eq!(spending.day.spent.get() + spending.day.held.get(), counted);
                prop_assert_eq!(spending.limits.day, expected.limit.get(user).copied().map(amount));
            }
        }
        let audit = store.audit().expect("read");
        prop_assert!(audit.is_clean(), "{:?}", audit);
        // Every job ends in the end, and with it every hold.
        for job in &jobs {
            end(&store, job, JobState::Failed, 0);
        }
        let (store, _folder) = crash(store, folder);
        let audit = store.audit().expect("read");
        prop_assert!(audit.is_clean() && audit.holds == 0, "{:?}", audit);
        for user in &users {
            prop_assert_eq!(store.balance(*user).expect("read").held, MicroCredits::ZERO);
        }
    }
}

fn apply(
    store: &Store,
    users: &[UserId],
    jobs: &mut Vec<Job>,
    expected: &mut Expected,
    step: Step,
) -> Result<(), TestCaseError> {
    match step {
        Step::Grant { user, credits } => {
            store.grant(&grant(users[user], credits)).expect("made");
            *expected.available.entry(users[user]).or_default() += credits;
        }
        Step::Submit { user, most, of_image } => {
            submit_one(store, users[user], jobs, expected, most, of_image)?
        }
        Step::Succeed { job, images } => end_one(store, jobs, expected, job, JobState::Succeeded, images)?,
        Step::Untold { job } => untold_one(store, jobs, expected, job)?,
        Step::Probe => store.probe().expect("it works"),
        Step::Fail { job } => end_one(store, jobs, expected, job, JobState::Failed, 7)?,
        Step::Cancel { job } => end_one(store, jobs, expected, job, JobState::Canceled, 7)?,
        Step::EndAgain { job } => {
            if let Some(job) = jobs.get(job) {
                let known = store.job(job.id).expect("read").expect("there");
                if known.state.is_final() {
                    // A write that makes a final job final again moves nothing.
                    let after = store.change_job(job.id, &|_| true).expect("changed");
                    prop_assert_eq!(after, Some(known));
                }
            }
        }
        Step::Refund { job, credits } => {
            let Some(job) = jobs.get(job) else { return Ok(()) };
            let cost = store.job(job.id).expect("read").expect("there").bill.cost;
            let most = cost.map_or(0, |cost| cost.charged.get() - cost.refunded.get());
            match store.refund(&refund(job.id, credits)) {
                Ok(_) => {
                    prop_assert!(credits <= most && cost.is_some());
                    *expected.available.entry(job.owner).or_default() += credits;
                }
                Err(StoreError::Refused(Refusal::RefundTooLarge { most: told })) => {
                    prop_assert!(credits > most || cost.is_none());
                    prop_assert_eq!(told.get(), most);
                }
                Err(other) => panic!("{other}"),
            }
        }
        Step::RefundCall { user, credits } => {
            let records = store.usage(users[user], None, 100).expect("read");
            let Some(call) = records.iter().find(|record| record.job.is_none()) else { return Ok(()) };
            let most = call.cost.expect("priced").get() - call.refunded.get();
            match store.refund_call(&refund_of_call(call.user, call.id, credits)) {
                Ok(_) => {
                    prop_assert!(credits <= most);
                    *expected.available.entry(call.user).or_default() += credits;
                }
                Err(StoreError::Refused(Refusal::RefundTooLarge { most: told })) => {
                    prop_assert!(credits > most && told.get() == most);
                }
                Err(other) => panic!("{other}"),
            }
        }
        Step::Budget { user, day } => {
            let limits = BudgetLimits { day: day.map(amount), month: None };
            store.set_budget(Subject::User(users[user]), limits).expect("set");
            match day {
                Some(day) => expected.limit.insert(users[user], day),
                None => expected.limit.remove(&users[user]),
            };
        }
        Step::Live { user, most, calls, is_returned } => {
            live_one(store, users[user], expected, most, &calls, is_returned)?;
        }
        Step::Fold => assert_eq!(store.fold().expect("folded").uncharged, MicroCredits::ZERO),
        Step::Crash => unreachable!("that is between the steps"),
    }
    Ok(())
}

/// What was acknowledged is on disk: a copy of the files, taken while the database is open, is what a crash leaves.
fn crash(store: Store, folder: tempfile::TempDir) -> (Store, tempfile::TempDir) {
    let copy = tempfile::tempdir().expect("a folder");
    copy_all(folder.path(), copy.path());
    drop(store);
    (Store::open(copy.path()).expect("opened"), copy)
}

fn submit_one(
    store: &Store,
    user: UserId,
    jobs: &mut Vec<Job>,
    expected: &mut Expected,
    most: u64,
    of_image: u64,
) -> Result<(), TestCaseError> {
    let (job, hold) = job_for(user, KeyId::new(), most, of_image);
    let set_aside = expected.allowance.get(&user).copied().unwrap_or_default();
    let available = expected.available.entry(user).or_default();
    let held = expected.held.entry(user).or_default();
    let spent = expected.spent.entry(user).or_default();
    let over_budget = expected
        .limit
        .get(&user)
        .is_some_and(|limit| most > limit.saturating_sub(*spent + *held + set_aside));
    match submit(store, &job, &hold) {
        Ok(()) => {
            prop_assert!(!over_budget && most <= *available);
            *available -= most;
            *held += most;
            jobs.push(job);
        }
        Err(StoreError::Refused(Refusal::BudgetExceeded { .. })) => prop_assert!(over_budget),
        Err(StoreError::Refused(Refusal::InsufficientCredits { .. })) => {
            prop_assert!(!over_budget && most > *available)
        }
        Err(other) => panic!("{other}"),
    }
    Ok(())
}

fn live_one(
    store: &Store,
    user: UserId,
    expected: &mut Expected,
    most: u64,
    calls: &[u64],
    is_returned: bool,
) -> Result<(), TestCaseError> {
    let taken = wanted(user, KeyId::new(), 1, most);
    let available = expected.available.entry(user).or_default();
    let Ok(amount) = store.take_allowance(&taken) else { return Ok(()) };
    prop_assert!((1..=most).contains(&amount.get()) && amount.get() <= *available);
    *available -= amount.get();
    let mut rest = amount.get();
    for cost in calls {
        let cost = (*cost).min(rest);
        store.record(&used(&taken, cost)).expect("recorded");
        rest -= cost;
        *expected.spent.entry(user).or_default() += cost;
    }
    if is_returned {
        prop_assert_eq!(store.return_allowance(taken.id).expect("returned").get(), rest);
        *expected.available.entry(user).or_default() += rest;
    } else {
        *expected.allowance.entry(user).or_default() += rest;
    }
    Ok(())
}

fn untold_one(store: &Store, jobs: &[Job], expected: &mut Expected, job: usize) -> Result<(), TestCaseError> {
    let Some(job) = jobs.get(job) else { return Ok(()) };
    let was_open = !store.job(job.id).expect("read").expect("there").state.is_final();
    let after = end_untold(store, job);
    if !was_open {
        return Ok(());
    }
    // All that was set aside, unless nothing costs anything.
    let held = job.bill.held.get();
    let charged = if job.bill.price.as_ref().expect("priced").is_free() { 0 } else { held };
    prop_assert_eq!(after.bill.cost.expect("ended").charged.get(), charged);
    *expected.held.entry(job.owner).or_default() -= held;
    *expected.available.entry(job.owner).or_default() += held - charged;
    *expected.spent.entry(job.owner).or_default() += charged;
    Ok(())
}

fn end_one(
    store: &Store,
    jobs: &[Job],
    expected: &mut Expected,
    job: usize,
    state: JobState,
    images: u64,
) -> Result<(), TestCaseError> {
    let Some(job) = jobs.get(job) else { return Ok(()) };
    let was_open = !store.job(job.id).expect("read").expect("there").state.is_final();
    let after = end(store, job, state, images);
    if !was_open {
        return Ok(());
    }
    let price = job.bill.price.as_ref().expect("priced").lines()[0].per_million.get() / 1_000_000;
    let metered = if state == JobState::Succeeded { u128::from(images) * u128::from(price) } else { 0 };
    let charged = u64::try_from(metered.min(u128::from(job.bill.held.get()))).expect("bounded");
    prop_assert_eq!(after.bill.cost.expect("ended").charged.get(), charged);
    *expected.held.entry(job.owner).or_default() -= job.bill.held.get();
    *expected.available.entry(job.owner).or_default() += job.bill.held.get() - charged;
    *expected.spent.entry(job.owner).or_default() += charged;
    Ok(())
}

fn copy_all(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("created");
    for entry in std::fs::read_dir(from).expect("listed") {
        let path = entry.expect("listed").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() { copy_all(&path, &target) } else { assert!(std::fs::copy(&path, &target).is_ok()) }
    }
}
