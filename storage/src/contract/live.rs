//! The contract of [`LedgerStore`] for live calls.
//!
//! [`LedgerStore`]: atelier_domain::store::LedgerStore

use std::sync::atomic::{AtomicU64, Ordering};

use atelier_domain::id::{EntryId, KeyId, UsageId};
use atelier_domain::job::JobState;
use atelier_domain::money::{
    AllowanceWanted, BudgetLimits, Dimension, MicroCredits, Periods, Refusal, Subject, TotalsQuery,
};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::ledger::steps::{
    Books, NOW, amount, end, grant, job_for, refund_of_call, submit, used, user, wanted,
};

fn assert_clean(books: &dyn Books) {
    let audit = books.audit().expect("read");
    assert!(audit.is_clean(), "{audit:?}");
}

pub fn an_allowance_is_as_much_as_there_is_and_the_least_at_least(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 100)).expect("made");
    assert_eq!(books.take_allowance(&wanted(alice, key, 5, 60)).expect("there"), amount(60));
    assert_eq!(books.take_allowance(&wanted(alice, key, 5, 60)).expect("some"), amount(40));
    let refused = books.take_allowance(&wanted(alice, key, 5, 60));
    let expected = Refusal::InsufficientCredits { needed: amount(5), available: MicroCredits::ZERO };
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if *why == expected), "{refused:?}");
    let balance = books.balance(alice).expect("read");
    assert_eq!((balance.available, balance.allowance), (MicroCredits::ZERO, amount(100)));
    // A budget bounds it too.
    let (bob, bound) = (user(books), KeyId::new());
    books.grant(&grant(bob, 100)).expect("made");
    books.set_budget(Subject::Key(bound), BudgetLimits { day: Some(amount(30)), month: None }).expect("set");
    assert_eq!(books.take_allowance(&wanted(bob, bound, 5, 60)).expect("some"), amount(30));
    let refused = books.take_allowance(&wanted(bob, bound, 5, 60));
    assert!(matches!(refused, Err(StoreError::Refused(Refusal::BudgetExceeded { .. }))), "{refused:?}");
    assert_clean(books);
}

pub fn recorded_calls_are_charged_to_their_allowance_once(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 1_000)).expect("made");
    let taken = wanted(alice, key, 1, 900);
    books.take_allowance(&taken).expect("there");
    for _ in 0..700 {
        books.record(&used(&taken, 1)).expect("recorded");
    }
    assert!(books.usage(alice, None, 10).expect("read").is_empty(), "not in the books yet");
    let folded = books.fold().expect("folded");
    assert_eq!((folded.calls, folded.uncharged), (700, MicroCredits::ZERO));
    assert_eq!(books.fold().expect("folded").calls, 0, "once");
    let balance = books.balance(alice).expect("read");
    assert_eq!((balance.available, balance.allowance), (amount(100), amount(200)));
    let spending = books.spending(Subject::Key(key), Periods::at(NOW)).expect("read");
    assert_eq!((spending.day.spent, spending.day.held), (amount(700), amount(200)));
    assert_eq!(books.usage(alice, None, 1_000).expect("read").len(), 700);
    let query =
        TotalsQuery { user: Some(alice), by: Dimension::Day, first_day: 0, last_day: u32::MAX, after: None };
    let (_, sum) = books.totals(&query, 10).expect("read").remove(0);
    assert_eq!((sum.calls, sum.cost, sum.meters["output-tokens"]), (700, amount(700), 4_900));
    assert_clean(books);
}

pub fn what_is_left_of_an_allowance_comes_back_once(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 100)).expect("made");
    let taken = wanted(alice, key, 1, 60);
    books.take_allowance(&taken).expect("there");
    books.record(&used(&taken, 25)).expect("recorded");
    assert_eq!(
        books.return_allowance(taken.id).expect("returned"),
        amount(35),
        "what was recorded is charged first"
    );
    assert_eq!(books.return_allowance(taken.id).expect("nothing"), MicroCredits::ZERO);
    assert_eq!(books.return_allowance(EntryId::new()).expect("nothing"), MicroCredits::ZERO);
    let balance = books.balance(alice).expect("read");
    assert_eq!((balance.available, balance.allowance), (amount(75), MicroCredits::ZERO));
    let spending = books.spending(Subject::User(alice), Periods::at(NOW)).expect("read");
    assert_eq!((spending.day.spent, spending.day.held), (amount(25), MicroCredits::ZERO));
    // A call that is recorded against what is gone charges nobody, and that shows.
    books.record(&used(&taken, 5)).expect("recorded");
    assert_eq!(books.fold().expect("folded").uncharged, amount(5));
    assert_eq!(books.usage(alice, None, 1).expect("read")[0].cost, Some(MicroCredits::ZERO));
    assert_clean(books);
}

pub fn concurrent_allowances_never_overspend(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 3_000)).expect("made");
    books
        .set_budget(Subject::User(alice), BudgetLimits { day: Some(amount(2_500)), month: None })
        .expect("set");
    let spent = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for spender in 0..64 {
            let spent = &spent;
            scope.spawn(move || {
                for turn in 0..6 {
                    if (spender + turn) % 4 == 0 {
                        let (job, hold) = job_for(alice, key, 40, 1);
                        if submit(books, &job, &hold).is_ok() {
                            spent.fetch_add(40, Ordering::SeqCst);
                        }
                        continue;
                    }
                    let taken = wanted(alice, key, 10, 50);
                    let Ok(amount) = books.take_allowance(&taken) else { continue };
                    books.record(&used(&taken, 7)).expect("recorded");
                    let back = books.return_allowance(taken.id).expect("returned");
                    assert_eq!(back.get() + 7, amount.get());
                    spent.fetch_add(7, Ordering::SeqCst);
                }
            });
        }
    });
    let (spent, balance) = (spent.into_inner(), books.balance(alice).expect("read"));
    let spending = books.spending(Subject::User(alice), Periods::at(NOW)).expect("read");
    assert_eq!(spending.day.held.get() + spending.day.spent.get(), spent, "to the micro-credit");
    assert!(spent <= 2_500, "{spent}");
    assert_eq!(balance.available.get() + spent, 3_000);
    assert_clean(books);
}

pub fn a_call_that_costs_nothing_needs_no_allowance(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    let mut free = used(&wanted(alice, key, 1, 1), 0);
    free.allowance = None;
    books.record(&free).expect("recorded");
    free.record.id = UsageId::new();
    free.record.cost = None;
    books.record(&free).expect("recorded");
    assert_eq!(books.fold().expect("folded").calls, 2);
    let costs: Vec<_> =
        books.usage(alice, None, 10).expect("read").iter().map(|record| record.cost).collect();
    assert_eq!(costs, [None, Some(MicroCredits::ZERO)]);
    assert!(books.entries(alice, None, 10).expect("read").is_empty(), "no money moved");
    assert_clean(books);
}

pub fn a_probe_is_nobodys_call(books: &dyn Books) {
    let (alice, key) = (user(books), KeyId::new());
    books.grant(&grant(alice, 100)).expect("made");
    let taken = wanted(alice, key, 1, 60);
    books.take_allowance(&taken).expect("there");
    books.probe().expect("it works");
    books.record(&used(&taken, 25)).expect("recorded");
    books.probe().expect("it works");
    assert_eq!(books.fold().expect("folded").calls, 1);
    books.probe().expect("it works");
    assert_eq!(books.fold().expect("folded").calls, 0);
    assert_eq!(books.return_allowance(taken.id).expect("returned"), amount(35));
    assert_clean(books);
}

pub fn old_usage_is_forgotten_so_much_at_a_time_and_its_sums_stay(books: &dyn Books) {
    let users = [user(books), user(books), user(books)];
    let count = |owner| books.usage(owner, None, 1_000).expect("read").len();
    for (n, owner) in users.into_iter().enumerate() {
        // Of the third user everything is old.
        let made = |call: u64| Timestamp(if n == 2 { call } else { 1_000 + call });
        for call in 0..300 {
            let mut free = used(&wanted(owner, KeyId::new(), 1, 1), 0);
            free.allowance = None;
            free.record.id = UsageId::derived(made(call), &[&call.to_be_bytes(), owner.as_bytes()]);
            books.record(&free).expect("recorded");
        }
    }
    books.fold().expect("folded");
    assert_eq!(books.sweep_usage(Timestamp(0), 10_000).expect("swept"), 0, "nothing is older than the first");
    assert_eq!(books.sweep_usage(Timestamp(1_100), 270).expect("swept"), 270, "no more than was asked for");
    assert_eq!(books.sweep_usage(Timestamp(1_100), 10_000).expect("swept"), 500 - 270);
    assert_eq!(users.map(count), [200, 200, 0]);
    let oldest = books.usage(users[0], None, 1_000).expect("read").pop().expect("a record");
    assert_eq!(oldest.id.made(), Timestamp(1_100), "what is as old as the bound stays");
    assert_eq!(books.sweep_usage(Timestamp(1_100), 10_000).expect("swept"), 0);
    let day = NOW.day();
    for owner in users {
        let query =
            TotalsQuery { user: Some(owner), by: Dimension::Day, first_day: day, last_day: day, after: None };
        let sums = books.totals(&query, 10).expect("read");
        assert_eq!(sums.iter().map(|(_, sum)| sum.calls).sum::<u64>(), 300, "sums are kept");
    }
    assert_eq!(books.sweep_usage(Timestamp(u64::MAX), 10_000).expect("swept"), 400, "the far end of time");
    assert_clean(books);
}

pub fn a_live_call_is_given_back_once_and_never_more_than_was_charged(books: &dyn Books) {
    let (alice, bob, key) = (user(books), user(books), KeyId::new());
    books.grant(&grant(alice, 100)).expect("made");
    let taken = wanted(alice, key, 1, 60);
    books.take_allowance(&taken).expect("there");
    let call = used(&taken, 25);
    books.record(&call).expect("recorded");
    let early = books.refund_call(&refund_of_call(alice, call.record.id, 5));
    assert!(matches!(early, Err(StoreError::Conflict { .. })), "it is not in the books yet: {early:?}");
    books.fold().expect("folded");
    let made = refund_of_call(alice, call.record.id, 15);
    assert_eq!(books.refund_call(&made).expect("15 of 25").refunded, amount(15));
    assert!(matches!(books.refund_call(&made), Err(StoreError::Exists { .. })), "the same one again");
    let refused = books.refund_call(&refund_of_call(alice, call.record.id, 11));
    let expected = Refusal::RefundTooLarge { most: amount(10) };
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if *why == expected), "{refused:?}");
    books.refund_call(&refund_of_call(alice, call.record.id, 10)).expect("the rest");
    assert_eq!(books.balance(alice).expect("read").available, amount(40 + 25));
    let entry = books.entries(alice, None, 1).expect("read").remove(0);
    assert_eq!((entry.call, entry.job), (Some(call.record.id), None));
    // Another's call is none, nor is a job's record, nor what moved no credits.
    let foreign = books.refund_call(&refund_of_call(bob, call.record.id, 1));
    assert!(matches!(foreign, Err(StoreError::Conflict { .. })), "{foreign:?}");
    let (job, hold) = job_for(alice, key, 10, 1);
    submit(books, &job, &hold).expect("let in");
    end(books, &job, JobState::Succeeded, 5);
    let of_job = books.usage(alice, None, 1).expect("read").remove(0);
    let refused = books.refund_call(&refund_of_call(alice, of_job.id, 1));
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
    let open = AllowanceWanted { is_debited: false, ..wanted(alice, key, 1, 60) };
    books.take_allowance(&open).expect("there");
    let counted = used(&open, 25);
    books.record(&counted).expect("recorded");
    books.fold().expect("folded");
    let refused = books.refund_call(&refund_of_call(alice, counted.record.id, 1));
    let expected = Refusal::RefundTooLarge { most: MicroCredits::ZERO };
    assert!(matches!(&refused, Err(StoreError::Refused(why)) if *why == expected), "{refused:?}");
    assert_clean(books);
}
