use atelier_domain::job::{JobState, StoredRequest};
use atelier_domain::model::Task;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_000);
const LIMITS: QueueLimits =
    QueueLimits { open_max: 100, open_per_user_max: 50, begun_per_user_max: 3, begun_per_instance_max: 5 };

fn job(owner: UserId, instance: &str, wake_at: u64) -> Job {
    Job {
        id: JobId::new(),
        owner,
        state: JobState::Queued,
        request: StoredRequest::new(format!("{instance}/painter"), Task::ImageGeneration),
        request_id: None,
        trace: None,
        created: Timestamp(0),
        started: None,
        finished: None,
        deadline: Timestamp(5_000),
        progress: None,
        attempt: 0,
        charging: false,
        cancel_requested: false,
        wake_at: Timestamp(wake_at),
        ticket: None,
        outputs: Vec::new(),
        usage: Vec::new(),
        error: None,
        bill: atelier_domain::money::Bill::default(),
        is_erased: false,
    }
}

#[test]
fn the_queue_as_it_is_configured_takes_its_ten_thousandth_job_and_no_other() {
    let limits = QueueLimits::default();
    let mut schedule = Schedule::new(limits);
    let users: Vec<UserId> = (0..limits.open_max / limits.open_per_user_max).map(|_| UserId::new()).collect();
    for user in &users {
        for _ in 0..limits.open_per_user_max {
            schedule.reserve(*user).expect("there is room");
            schedule.note(&job(*user, "a", 5_000));
            schedule.release(*user);
        }
        assert!(matches!(schedule.reserve(*user), Err(Full::User | Full::Queue)));
    }
    assert_eq!((limits.open_max, schedule.counts().open), (10_000, 10_000));
    assert!(matches!(schedule.reserve(UserId::new()), Err(Full::Queue)), "whoever comes");
}

fn schedule(limits: QueueLimits, jobs: &[Job]) -> Schedule {
    let mut schedule = Schedule::new(limits);
    jobs.iter().for_each(|job| schedule.note(job));
    schedule
}

fn turns(schedule: &mut Schedule, now: Timestamp) -> Vec<JobId> {
    std::iter::from_fn(|| schedule.next(now)).map(|turn| turn.id).collect()
}

fn begun(job: &Job, wake_at: u64) -> Job {
    Job { state: JobState::Processing, wake_at: Timestamp(wake_at), ..job.clone() }
}

fn ended(job: &Job) -> Job {
    Job { state: JobState::Succeeded, ..job.clone() }
}

#[test]
fn the_oldest_that_waits_is_one_that_could_go_on() {
    let alice = UserId::new();
    let limits = QueueLimits { begun_per_user_max: 1, ..LIMITS };
    let jobs = [job(alice, "a", 100), job(alice, "a", 200)];
    let mut schedule = schedule(limits, &jobs);
    assert_eq!(schedule.oldest_due(Timestamp(50)), None, "none is due");
    assert_eq!(schedule.oldest_due(NOW), Some(Timestamp(100)), "although nobody looked at the clock yet");
    let first = schedule.next(NOW).expect("a turn");
    assert_eq!(schedule.oldest_due(NOW), None, "the other waits for a place, not for a worker");
    schedule.note(&begun(&jobs[0], 500));
    schedule.finished(first.id, NOW);
    assert_eq!(schedule.oldest_due(NOW), Some(Timestamp(500)), "its next step is due");
    schedule.note(&ended(&jobs[0]));
    assert_eq!(schedule.oldest_due(NOW), Some(Timestamp(200)), "there is a place for the other");
}

#[test]
fn users_take_turns_however_many_jobs_one_has_and_whoever_came_first() {
    let [alice, bob, carol] = [(); 3].map(|()| UserId::new());
    let limits = QueueLimits { begun_per_user_max: 50, begun_per_instance_max: 50, ..LIMITS };
    let mut jobs: Vec<Job> = (0..30).map(|at| job(alice, "a", at)).collect();
    jobs.extend([job(bob, "a", 500), job(bob, "a", 501), job(carol, "a", 600)]);
    let mut schedule = schedule(limits, &jobs);
    let order: Vec<UserId> = turns(&mut schedule, NOW)
        .iter()
        .map(|id| jobs.iter().find(|job| job.id == *id).expect("one of them").owner)
        .collect();
    assert_eq!(order[..6], [alice, bob, carol, alice, bob, alice]);
    assert_eq!(order.len(), jobs.len());
}

#[test]
fn a_user_and_an_instance_have_so_many_jobs_begun_and_others_go_on() {
    let [alice, bob, carol] = [(); 3].map(|()| UserId::new());
    let of = |owner, instance: &str| (0..10).map(|at| job(owner, instance, at)).collect::<Vec<_>>();
    let jobs = [of(alice, "a"), of(bob, "a"), of(carol, "a"), of(carol, "b")].concat();
    let mut schedule = schedule(LIMITS, &jobs);
    let first = turns(&mut schedule, NOW);
    let count = |owner, instance: &str| {
        first
            .iter()
            .filter(|id| {
                jobs.iter()
                    .any(|job| job.id == **id && job.owner == owner && job.request.instance() == instance)
            })
            .count()
    };
    assert_eq!(count(alice, "a") + count(bob, "a") + count(carol, "a"), LIMITS.begun_per_instance_max);
    assert!([alice, bob].iter().all(|owner| (1..=3).contains(&count(*owner, "a"))));
    assert_eq!(count(carol, "a") + count(carol, "b"), LIMITS.begun_per_user_max, "b has room for the rest");
    // A begun job that waits for its provider keeps its places, and takes its steps when they are due.
    let waiting = jobs.iter().find(|job| job.id == first[0]).expect("one of them");
    schedule.note(&begun(waiting, 2_000));
    schedule.finished(waiting.id, NOW);
    assert_eq!(schedule.next(NOW), None);
    assert_eq!(schedule.next_at(), Some(Timestamp(2_000)));
    let again = schedule.next(Timestamp(2_000)).expect("it is due");
    assert_eq!(again, Turn { id: waiting.id, is_first_here: false });
    // One that is final gives them to the next.
    schedule.note(&ended(waiting));
    schedule.finished(waiting.id, NOW);
    assert_eq!(turns(&mut schedule, NOW).len(), 1);
    assert_eq!(schedule.counts().open, jobs.len() - 1);
}

#[test]
fn places_are_bounded_for_a_user_and_in_all() {
    let (alice, bob) = (UserId::new(), UserId::new());
    let mut schedule = Schedule::new(QueueLimits { open_max: 3, open_per_user_max: 2, ..LIMITS });
    let first = job(alice, "a", 0);
    schedule.reserve(alice).expect("room");
    schedule.note(&first);
    schedule.release(alice);
    schedule.reserve(alice).expect("room for a second");
    assert_eq!(schedule.reserve(alice), Err(Full::User));
    schedule.reserve(bob).expect("room for another's");
    assert_eq!(schedule.reserve(bob), Err(Full::Queue), "whoever asks");
    schedule.release(bob);
    schedule.release(alice);
    schedule.reserve(alice).expect("a place that was not used is free");
    schedule.note(&ended(&first));
    schedule.reserve(alice).expect("so is that of a job that ended");
}

#[test]
fn a_job_that_never_got_a_place_ends_at_its_deadline_or_when_it_is_canceled() {
    let alice = UserId::new();
    let limits = QueueLimits { begun_per_user_max: 1, ..LIMITS };
    let jobs: Vec<Job> = (0..3).map(|at| job(alice, "a", at)).collect();
    let mut schedule = schedule(limits, &jobs);
    assert_eq!(turns(&mut schedule, NOW), [jobs[0].id]);
    schedule.note(&Job { cancel_requested: true, wake_at: NOW, ..jobs[2].clone() });
    assert_eq!(turns(&mut schedule, NOW), [jobs[2].id], "it needs no place to end");
    assert_eq!(schedule.next_at(), Some(Timestamp(5_000)));
    assert_eq!(turns(&mut schedule, Timestamp(5_000)), [jobs[1].id]);
}

#[test]
fn what_is_told_during_a_step_is_looked_at_right_after_it() {
    let alice = UserId::new();
    let job = job(alice, "a", 0);
    let mut schedule = schedule(LIMITS, std::slice::from_ref(&job));
    assert_eq!(schedule.next(NOW), Some(Turn { id: job.id, is_first_here: true }));
    schedule.look_again(job.id);
    schedule.note(&begun(&job, 60_000));
    assert_eq!(schedule.next(NOW), None, "it is running");
    schedule.finished(job.id, NOW);
    assert_eq!(turns(&mut schedule, NOW), [job.id]);
    schedule.finished(job.id, NOW);
    schedule.note(&begun(&job, 60_000));
    assert_eq!(schedule.next(NOW), None);
}

#[test]
fn a_job_whose_provider_is_away_gives_its_place_to_others() {
    let alice = UserId::new();
    let limits = QueueLimits { begun_per_user_max: 1, ..LIMITS };
    let (away, other) = (job(alice, "away", 0), job(alice, "a", 1));
    let mut schedule = schedule(limits, &[away.clone(), other.clone()]);
    assert_eq!(turns(&mut schedule, NOW), [away.id]);
    schedule.note(&Job { wake_at: Timestamp(30_000), ..away.clone() });
    schedule.finished(away.id, NOW);
    assert_eq!(turns(&mut schedule, NOW), [other.id]);
}

proptest! {
    /// Whatever happens in whatever order, no bound is passed, no job is forgotten, and nothing is left of those that ended.
    #[test]
    fn the_schedule_keeps_its_bounds_and_forgets_nothing(
        events in proptest::collection::vec((0u8..6, any::<prop::sample::Index>(), 0u64..3_000), 1..300),
    ) {
        let users: Vec<UserId> = (0..4).map(|_| UserId::new()).collect();
        let mut schedule = Schedule::new(LIMITS);
        let (mut open, mut running): (Vec<Job>, Vec<JobId>) = (Vec::new(), Vec::new());
        for (event, index, at) in events {
            match event {
                0 | 1 => {
                    let new = job(users[index.index(users.len())], ["a", "b"][index.index(2)], at);
                    if schedule.reserve(new.owner).is_ok() {
                        schedule.note(&new);
                        schedule.release(new.owner);
                        open.push(new);
                    }
                }
                2 => {
                    if let Some(turn) = schedule.next(Timestamp(at)) {
                        prop_assert!(!running.contains(&turn.id), "one step at a time");
                        let job = open.iter_mut().find(|job| job.id == turn.id).expect("it is open");
                        job.state = JobState::Processing;
                        schedule.note(job);
                        running.push(turn.id);
                    }
                }
                3 if !running.is_empty() => {
                    let id = running.remove(index.index(running.len()));
                    let job = open.iter_mut().find(|job| job.id == id).expect("it is open");
                    job.wake_at = Timestamp(at);
                    schedule.note(job);
                    schedule.finished(id, Timestamp(at));
                }
                4 if !open.is_empty() => {
                    let job = open.remove(index.index(open.len()));
                    running.retain(|id| *id != job.id);
                    schedule.note(&ended(&job));
                    schedule.finished(job.id, Timestamp(at));
                }
                5 if !open.is_empty() => {
                    let place = index.index(open.len());
                    (open[place].cancel_requested, open[place].wake_at) = (true, Timestamp(at));
                    schedule.note(&open[place]);
                    schedule.look_again(open[place].id);
                }
                _ => {}
            }
            prop_assert_eq!(schedule.counts().open, open.len());
            for instance in ["a", "b"] {
                let begun = schedule.begun.get(instance).copied().unwrap_or(0);
                prop_assert!(begun <= LIMITS.begun_per_instance_max);
            }
            for user in schedule.users.values() {
                prop_assert!(user.begun <= LIMITS.begun_per_user_max && user.open <= LIMITS.open_per_user_max);
            }
        }
        for job in &open {
            if running.contains(&job.id) {
                schedule.finished(job.id, Timestamp(3_000));
            }
        }
        // With every place given back, all that is open gets its turn.
        let mut seen = BTreeSet::new();
        while let Some(turn) = schedule.next(Timestamp(10_000)) {
            seen.insert(turn.id);
            let job = open.iter().find(|job| job.id == turn.id).expect("it is open");
            schedule.note(&ended(job));
            schedule.finished(turn.id, Timestamp(10_000));
        }
        prop_assert_eq!(seen.len(), open.len());
        prop_assert!(schedule.jobs.is_empty() && schedule.users.is_empty() && schedule.begun.is_empty());
        prop_assert!(schedule.later.is_empty() && schedule.deadlines.is_empty() && schedule.turns.is_empty());
    }
}
