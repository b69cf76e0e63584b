//! The contract of [`LedgerStore`], and of what jobs do with it.

pub mod steps;

use std::sync::atomic::{AtomicU64, Ordering};

use atelier_domain::id::{EntryId, KeyId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::money::{
    BudgetLimits, Dimension, EntryKind, MicroCredits, Period, Periods, Refusal, Subject, TotalsQuery,
};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

pub use steps::{Books, amount, end, grant, job_for, refund, submit, user};

/// Spenders at once.
const SPENDERS: u64 = 64;

fn assert_clean(books: &dyn Books) {
    let audit = books.audit().expect("read");
    assert!(audit.is_clean(), "{audit:?}");
}

pub fn a_grant_is_made_once_and_raises_the_balance(books: &dyn Books) {
    let alice = user(books);
    let made = grant(alice, 500);
    assert_eq!(books.grant(&made).expect("made").available, amount(500));
    assert!(matches!(books.grant(&made), Err(StoreError::Exists { .. })), "the same one again");
    assert_eq!(books.grant(&grant(alice, 1)).expect("another").available, amount(501));
    let entry = books.entries(alice, None, 10).expect("read").pop().expect("the first");
    assert_eq!(
        (entry.id, entry.kind, entry.by, entry.reason),
        (made.id, EntryKind::Grant, made.by, Some(made.reason))
    );
    assert_clean(books);
}

pub fn a_grant_beyond_all_money_or_to_nobody_is_refused(books: &dyn Books) {
    let (alice, bob) = (user(books), user(books));
    let refused = books.grant(&grant(UserId::new(), 5));
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    books.grant(&grant(alice, MicroCredits::MAX.get())).expect("all that there can be");
    let refused = books.grant(&grant(bob, 1));
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::TooMuch(_)))), "{refused:?}");
    assert_eq!(books.balance(bob).expect("read").available, MicroCredits::ZERO);
    assert_clean(books);
}

pub fn a_job_is_let_in_with_its_hold_or_not_at_all(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
    submit(books, &job, &hold).expect("60 of 100");
    let (second, too_much) = job_for(alice, KeyId::new(), 41, 10);
    let refused = submit(books, &second, &too_much);
    let expected = Refusal::InsufficientCredits { needed: amount(41), available: amount(40) };
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if *why == expected), "{refused:?}");
    assert_eq!(books.job(second.id).expect("read"), None, "nothing of it stays");
    assert_eq!(
        books.spending(Subject::Key(too_much.key), too_much.periods()).expect("read").day.held,
        MicroCredits::ZERO
    );
    let (mut foreign, hold) = job_for(alice, KeyId::new(), 1, 10);
    foreign.owner = user(books);
    let refused = submit(books, &foreign, &hold);
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "nobody pays another's job: {refused:?}");
    let balance = books.balance(alice).expect("read");
    assert_eq!((balance.available, balance.held), (amount(40), amount(60)));
    assert_eq!(books.holds(10).expect("read").len(), 1);
    assert_clean(books);
}

pub fn a_job_that_succeeds_is_charged_what_it_used_and_gets_the_rest_back(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
    submit(books, &job, &hold).expect("let in");
    let done = end(books, &job, JobState::Succeeded, 3);
    let cost = done.bill.cost.expect("it has ended");
    assert_eq!((cost.charged, cost.uncollected), (amount(30), MicroCredits::ZERO));
    let balance = books.balance(alice).expect("read");
    assert_eq!((balance.available, balance.held), (amount(70), MicroCredits::ZERO));
    for subject in [Subject::User(alice), Subject::Key(hold.key)] {
        let spending = books.spending(subject, hold.periods()).expect("read");
        assert_eq!(
            (spending.day.held, spending.day.spent, spending.month.spent),
            (MicroCredits::ZERO, amount(30), amount(30))
        );
    }
    assert!(books.holds(10).expect("read").is_empty());
    assert_eq!(books.job(job.id).expect("read"), Some(done), "the cost is a part of the job");
    assert_clean(books);
}

pub fn a_job_that_ends_otherwise_gets_everything_back(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    for state in [JobState::Failed, JobState::Canceled] {
        let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
        submit(books, &job, &hold).expect("let in");
        // Whatever its provider says was used: nothing was delivered.
        let done = end(books, &job, state, 5);
        assert_eq!(done.bill.cost.expect("it has ended").charged, MicroCredits::ZERO);
        assert_eq!(books.balance(alice).expect("read").available, amount(100));
        assert_eq!(books.entries(alice, None, 1).expect("read")[0].kind, EntryKind::Release);
    }
    assert_clean(books);
}

pub fn a_job_is_never_charged_more_than_was_set_aside(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    for (images, uncollected) in [(7, 10), (u64::MAX, MicroCredits::MAX.get() - 60)] {
        books.grant(&grant(alice, 60)).expect("made");
        let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
        submit(books, &job, &hold).expect("let in");
        let cost = end(books, &job, JobState::Succeeded, images).bill.cost.expect("it has ended");
        assert_eq!((cost.charged, cost.uncollected), (amount(60), amount(uncollected)));
        assert_eq!(books.balance(alice).expect("read").available, amount(100));
    }
    assert_clean(books);
}

pub fn a_job_that_many_end_at_once_is_settled_once(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
    submit(books, &job, &hold).expect("let in");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let job = &job;
            scope.spawn(move || {
                let state = if thread % 2 == 0 { JobState::Succeeded } else { JobState::Failed };
                // Without looking whether it has ended already, as no caller would.
                let change = |job: &mut Job| {
                    job.state = state;
                    true
                };
                books.change_job(job.id, &change).expect("changed");
            });
        }
    });
    let entries = books.entries(alice, None, 10).expect("read");
    assert_eq!(entries.len(), 3, "a grant, a hold, an end: {entries:?}");
    assert_eq!(books.usage(alice, None, 10).expect("read").len(), 1);
    assert_eq!(books.balance(alice).expect("read").held, MicroCredits::ZERO);
    assert_clean(books);
}

/// Lets [`SPENDERS`] submit jobs at once until each was refused; gives the sum of what was let in.
fn spend_at_once(books: &dyn Books, user: UserId, key: impl Fn(u64) -> KeyId + Sync) -> u64 {
    let let_in = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for spender in 0..SPENDERS {
            let (let_in, key) = (&let_in, &key);
            scope.spawn(move || {
                for turn in 0.. {
                    // Odd sums, so that what is left fits some and not others.
                    let most = 7 + (spender * 13 + turn * 5) % 23;
                    let (job, hold) = job_for(user, key(spender), most, 1);
                    match submit(books, &job, &hold) {
                        Ok(()) => let_in.fetch_add(most, Ordering::SeqCst),
                        Err(StoreError::Refused(
                            Refusal::InsufficientCredits { .. } | Refusal::BudgetExceeded { .. },
                        )) => break,
                        Err(other) => panic!("{other}"),
                    };
                    // Some end at once, and are charged all of it or a part.
                    match turn % 3 {
                        0 => {
                            end(books, &job, JobState::Succeeded, most);
                        }
                        1 => {
                            let cost =
                                end(books, &job, JobState::Succeeded, most / 2).bill.cost.expect("ended");
                            let_in.fetch_sub(most - cost.charged.get(), Ordering::SeqCst);
                        }
                        _ => {}
                    }
                }
            });
        }
    });
    let_in.into_inner()
}

pub fn concurrent_spenders_never_overspend_a_balance(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 5_000)).expect("made");
    let spent = spend_at_once(books, alice, |_| KeyId::new());
    let balance = books.balance(alice).expect("read");
    assert_eq!(spent + balance.available.get(), 5_000, "to the micro-credit");
    assert!(balance.available < amount(30), "they stopped for lack of credits: {balance:?}");
    assert_clean(books);
}

pub fn concurrent_spenders_never_overspend_a_budget(books: &dyn Books) {
    let (alice, bob, key) = (user(books), user(books), KeyId::new());
    for who in [alice, bob] {
        books.grant(&grant(who, 1_000_000)).expect("made");
    }
    let limits = BudgetLimits { day: Some(amount(3_001)), month: Some(amount(90_000)) };
    books.set_budget(Subject::User(alice), limits).expect("set");
    books.set_budget(Subject::Key(key), limits).expect("set");
    for (who, subject) in [(alice, Subject::User(alice)), (bob, Subject::Key(key))] {
        let spent = spend_at_once(books, who, |_| if who == bob { key } else { KeyId::new() });
        let now = Periods::at(steps::NOW);
        let spending = books.spending(subject, now).expect("read");
        assert_eq!(spending.day.held.get() + spending.day.spent.get(), spent, "to the micro-credit");
        assert!((3_001 - 30..=3_001).contains(&spent), "{spent} of 3001");
        let balance = books.balance(who).expect("read");
        assert_eq!(balance.available.get() + spent, 1_000_000);
    }
    assert_clean(books);
}

pub fn a_budget_of_a_key_binds_that_key_alone(books: &dyn Books) {
    let (alice, bound, free) = (user(books), KeyId::new(), KeyId::new());
    books.grant(&grant(alice, 1_000)).expect("made");
    let limits = BudgetLimits { day: None, month: Some(amount(100)) };
    books.set_budget(Subject::Key(bound), limits).expect("set");
    let (job, hold) = job_for(alice, bound, 100, 1);
    submit(books, &job, &hold).expect("all of it");
    let (next, hold) = job_for(alice, bound, 1, 1);
    let refused = submit(books, &next, &hold);
    let of_month = |error: &StoreError| {
        matches!(error, StoreError::Refused(Refusal::BudgetExceeded { subject: Subject::Key(key), period: Period::Month, left, .. })
            if *key == bound && left.is_zero())
    };
    assert!(refused.as_ref().is_err_and(of_month), "{refused:?}");
    let (other, hold) = job_for(alice, free, 100, 1);
    submit(books, &other, &hold).expect("another key");
    // What comes back may be spent again, and what was spent stays when the limit changes.
    end(books, &job, JobState::Succeeded, 40);
    books.set_budget(Subject::Key(bound), BudgetLimits { day: None, month: Some(amount(50)) }).expect("set");
    let spending = books.spending(Subject::Key(bound), hold.periods()).expect("read");
    assert_eq!((spending.limits.month, spending.month.spent), (Some(amount(50)), amount(40)));
    let (fits, hold) = job_for(alice, bound, 10, 1);
    submit(books, &fits, &hold).expect("40 and 10 of 50");
    assert_clean(books);
}

pub fn a_hold_without_credits_counts_against_budgets_alone(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.set_budget(Subject::Key(key), BudgetLimits { day: Some(amount(50)), month: None }).expect("set");
    let (mut job, mut hold) = job_for(alice, key, 50, 10);
    (job.bill.is_debited, hold.is_debited) = (false, false);
    submit(books, &job, &hold).expect("no credits are needed");
    let (mut next, mut more) = job_for(alice, key, 1, 10);
    (next.bill.is_debited, more.is_debited) = (false, false);
    assert!(submit(books, &next, &more).is_err(), "the budget binds");
    let done = end(books, &job, JobState::Succeeded, 4);
    assert_eq!(done.bill.cost.expect("ended").charged, amount(40));
    assert!(books.entries(alice, None, 10).expect("read").is_empty(), "no money moved");
    assert_eq!(books.spending(Subject::Key(key), hold.periods()).expect("read").day.spent, amount(40));
    let refused = books.refund(&refund(job.id, 1));
    assert!(
        matches!(refused, Err(StoreError::Refused(Refusal::RefundTooLarge { .. }))),
        "none was taken: {refused:?}"
    );
    assert_clean(books);
}

pub fn a_refund_is_made_once_and_never_more_than_was_charged(books: &dyn Books) {
    let alice = user(books);
    books.grant(&grant(alice, 100)).expect("made");
    let (job, hold) = job_for(alice, KeyId::new(), 60, 10);
    submit(books, &job, &hold).expect("let in");
    let early = books.refund(&refund(job.id, 1));
    assert!(matches!(early, Err(StoreError::Refused(_))), "nothing is charged yet: {early:?}");
    end(books, &job, JobState::Succeeded, 4);
    let made = refund(job.id, 25);
    let after = books.refund(&made).expect("25 of 40");
    assert_eq!(after.bill.cost.expect("ended").refunded, amount(25));
    assert!(matches!(books.refund(&made), Err(StoreError::Exists { .. })), "the same one again");
    let refused = books.refund(&refund(job.id, 16));
    let expected = Refusal::RefundTooLarge { most: amount(15) };
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if *why == expected), "{refused:?}");
    books.refund(&refund(job.id, 15)).expect("the rest");
    assert_eq!(books.balance(alice).expect("read").available, amount(100));
    let unknown = books.refund(&refund(atelier_domain::id::JobId::new(), 1));
    assert!(matches!(unknown, Err(StoreError::Conflict { .. })), "{unknown:?}");
    assert_clean(books);
}

pub fn entries_and_records_are_listed_newest_first_in_pages(books: &dyn Books) {
    let (alice, bob) = (user(books), user(books));
    books.grant(&grant(bob, 5)).expect("made");
    books.grant(&grant(alice, 1_000)).expect("made");
    let mut jobs = Vec::new();
    for _ in 0..12 {
        let (job, hold) = job_for(alice, KeyId::new(), 10, 1);
        submit(books, &job, &hold).expect("let in");
        end(books, &job, JobState::Succeeded, 1);
        jobs.insert(0, Some(job.id));
    }
    let (mut listed, mut before): (Vec<EntryId>, Option<EntryId>) = (Vec::new(), None);
    loop {
        let page = books.entries(alice, before, 7).expect("read");
        assert!(page.len() <= 7 && page.iter().all(|entry| entry.user == alice));
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        listed.extend(page.iter().map(|entry| entry.id));
    }
    assert_eq!(listed.len(), 1 + 12 * 2);
    assert!(listed.is_sorted_by(|a, b| a > b));
    let first = books.usage(alice, None, 5).expect("read");
    let rest = books.usage(alice, first.last().map(|record| record.id), 100).expect("read");
    let found: Vec<_> = first.iter().chain(&rest).map(|record| record.job).collect();
    assert_eq!(found, jobs);
    assert!(books.usage(bob, None, 10).expect("read").is_empty(), "another's");
}

pub fn sums_are_kept_by_day_model_provider_and_key(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 1_000)).expect("made");
    let day_ms = 86_400_000;
    for (day, model, state) in [
        (100, "a/one", JobState::Succeeded),
        (100, "a/two", JobState::Succeeded),
        (100, "b/one", JobState::Failed),
        (101, "a/one", JobState::Succeeded),
    ] {
        let (mut job, hold) = job_for(alice, key, 10, 5);
        job.request.model = model.to_owned();
        submit(books, &job, &hold).expect("let in");
        let change = |job: &mut Job| {
            (job.state, job.finished) = (state, Some(Timestamp(day * day_ms + 5)));
            true
        };
        books.change_job(job.id, &change).expect("changed");
    }
    let read = |user, by, first_day, last_day, limit| {
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let query = TotalsQuery { user, by, first_day, last_day, after: after.clone() };
            let page = books.totals(&query, limit).expect("read");
            assert!(page.len() <= limit);
            let Some((last, _)) = page.last() else { return all };
            after = Some(last.clone());
            all.extend(page.into_iter().map(|(key, sum)| {
                (key.day, key.value, sum.calls, sum.failed, sum.cost.get(), sum.meters["images"])
            }));
        }
    };
    let own = Some(alice);
    for limit in [1, 2, 100] {
        let by_model = read(own, Dimension::Model, 100, 101, limit);
        let row = |day, model: &str, failed, cost| (day, model.to_owned(), 1, failed, cost, 1);
        assert_eq!(
            by_model,
            [
                row(100, "a/one", 0, 5),
                row(100, "a/two", 0, 5),
                row(100, "b/one", 1, 0),
                row(101, "a/one", 0, 5)
            ]
        );
    }
    assert_eq!(
        read(own, Dimension::Day, 0, u32::MAX, 10),
        [(100, String::new(), 3, 1, 10, 3), (101, String::new(), 1, 0, 5, 1)]
    );
    assert_eq!(
        read(own, Dimension::Provider, 100, 100, 10),
        [(100, "a".to_owned(), 2, 0, 10, 2), (100, "b".to_owned(), 1, 1, 0, 1)]
    );
    assert_eq!(read(own, Dimension::Key, 101, 101, 10), [(101, key.to_string(), 1, 0, 5, 1)]);
    assert_eq!(read(None, Dimension::User, 100, 100, 10), [(100, alice.to_string(), 3, 1, 10, 3)]);
    assert_eq!(read(None, Dimension::Model, 101, 101, 10), [(101, "a/one".to_owned(), 1, 0, 5, 1)]);
    assert!(read(Some(user(books)), Dimension::Day, 0, u32::MAX, 10).is_empty(), "another's");
    assert!(read(own, Dimension::Day, 102, 101, 10).is_empty(), "no day");
}
