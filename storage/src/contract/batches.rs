//! The contract of [`BatchStore`].

use atelier_domain::batch::{
    AnswerBody, Batch, BatchEndpoint, BatchState, Counts, EndedLine, LineEnd, Mistake, Moments,
};
use atelier_domain::blob::BlobId;
use atelier_domain::id::{BatchId, FileId, KeyId, UserId};
use atelier_domain::store::{BatchStore, FileStore, StoreError};
use atelier_domain::time::Timestamp;

pub(in crate::contract) fn batch(owner: UserId) -> Batch {
    let id = BatchId::new();
    Batch {
        id,
        owner,
        key: KeyId::new(),
        endpoint: BatchEndpoint::ChatCompletions,
        input_file: FileId::new(),
        input: BlobId(*blake3::hash(id.as_bytes()).as_bytes()),
        input_size: 70,
        metadata: vec![("team".to_owned(), "漢字".to_owned())],
        output_expires_after: Some(3_600),
        state: BatchState::Validating,
        created: Timestamp(10),
        expires: Timestamp(1_000),
        moments: Moments { in_progress: Some(Timestamp(11)), ..Moments::default() },
        mistakes: vec![Mistake {
            code: "x".to_owned(),
            message: "wrong".to_owned(),
            param: Some("url".to_owned()),
            line: Some(3),
        }],
        model: Some("openai/gpt".to_owned()),
        counts: Counts { total: 9, completed: 0, failed: 0 },
        output_file: Some(FileId::new()),
        error_file: None,
    }
}

fn create(store: &dyn BatchStore, owner: UserId) -> Batch {
    let batch = batch(owner);
    store.create_batch(&batch).expect("created");
    batch
}

fn line(number: u32, status: u16, body: AnswerBody) -> EndedLine {
    let end = LineEnd::Answered { status, request_id: "req_1".to_owned(), body };
    EndedLine { number, custom_id: format!("a \"{number}\""), end }
}

fn inline() -> AnswerBody {
    AnswerBody::Inline("{\"a\":1}".to_owned())
}

pub fn a_batch_is_read_as_it_was_created_by_its_owner_alone(store: &dyn BatchStore) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let made = create(store, alice);
    assert_eq!(store.batch_of(alice, made.id).expect("read"), Some(made.clone()));
    assert_eq!(store.batch_of(bob, made.id).expect("read"), None);
    assert!(matches!(store.create_batch(&made), Err(StoreError::Exists { .. })));
    let others: Vec<_> = (0..4).map(|_| create(store, alice)).collect();
    let mut all = [vec![made], others].concat();
    all.reverse();
    assert_eq!(store.batches_of(alice, None, 3).expect("read"), all[..3]);
    assert_eq!(store.batches_of(alice, Some(all[2].id), 3).expect("read"), all[3..]);
    assert!(store.batches_of(bob, None, 3).expect("read").is_empty());
}

pub fn a_batch_that_has_ended_is_open_no_more_and_lets_its_input_go<S: BatchStore + FileStore>(store: &S) {
    let owner = UserId::new();
    let (first, second) = (create(store, owner), create(store, owner));
    let open = || store.open_batches(10).expect("read").iter().map(|batch| batch.id).collect::<Vec<_>>();
    assert_eq!(open(), [first.id, second.id]);
    assert!(store.is_blob_named(&first.input).expect("asked"));
    let changed = store.change_batch(first.id, &|batch| {
        batch.enter(BatchState::Failed, Timestamp(20));
        true
    });
    let changed = changed.expect("changed").expect("there");
    assert_eq!((changed.state, changed.moments.failed), (BatchState::Failed, Some(Timestamp(20))));
    assert_eq!(store.batch_of(owner, first.id).expect("read"), Some(changed.clone()));
    assert_eq!(open(), [second.id]);
    assert!(!store.is_blob_named(&first.input).expect("asked"));
    let declined = store.change_batch(first.id, &|batch| {
        batch.model = None;
        false
    });
    assert_eq!(declined.expect("asked"), Some(changed));
    let stolen = store.change_batch(second.id, &|batch| {
        batch.owner = UserId::from_bytes([1; 16]);
        true
    });
    assert!(matches!(stolen, Err(StoreError::Conflict { .. })), "{stolen:?}");
    assert_eq!(store.change_batch(BatchId::new(), &|_| true).expect("asked"), None);
}

pub fn a_line_ends_once_and_is_counted_once<S: BatchStore + FileStore>(store: &S) {
    let owner = UserId::new();
    let (made, other) = (create(store, owner), create(store, owner));
    let blob = BlobId([5; 32]);
    let lost = LineEnd::Unanswered { code: "outcome_unknown".to_owned(), message: "who knows".to_owned() };
    let ended = [
        line(1, 200, inline()),
        line(2, 400, AnswerBody::Blob { id: blob, size: 70_000 }),
        EndedLine { number: 300, custom_id: "c".to_owned(), end: lost },
    ];
    store.end_line(other.id, &line(2, 200, inline())).expect("noted");
    for line in ended.iter().rev().chain(&ended) {
        store.end_line(made.id, line).expect("noted");
    }
    store.end_line(made.id, &line(1, 500, inline())).expect("it has ended already");
    let now = store.batch_of(owner, made.id).expect("read").expect("there");
    assert_eq!(now.counts, Counts { total: 9, completed: 1, failed: 2 });
    assert_eq!(store.ended_lines(made.id, 0, 10).expect("read"), ended);
    assert_eq!(store.ended_lines(made.id, 1, 1).expect("read"), ended[1..2]);
    assert_eq!(store.ended_line_numbers(made.id, 1, 10).expect("read"), [2, 300]);
    assert!(store.is_blob_named(&blob).expect("asked"));
    assert_eq!(store.forget_lines(made.id, 2).expect("forgotten"), 2);
    assert_eq!(store.ended_line_numbers(made.id, 0, 10).expect("read"), [300]);
    assert!(!store.is_blob_named(&blob).expect("asked"));
    assert_eq!(store.ended_line_numbers(other.id, 0, 10).expect("read"), [2], "another's stay");
    let gone = store.end_line(BatchId::new(), &ended[0]);
    assert!(matches!(gone, Err(StoreError::Conflict { .. })), "{gone:?}");
}

pub fn lines_that_end_at_once_are_all_counted<S: BatchStore + Sync>(store: &S) {
    let owner = UserId::new();
    let made = create(store, owner);
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let id = made.id;
            scope.spawn(move || {
                for n in 0..10 {
                    store.end_line(id, &line(1 + thread * 10 + n, 200, inline())).expect("noted");
                }
            });
        }
    });
    let now = store.batch_of(owner, made.id).expect("read").expect("there");
    assert_eq!(now.counts.completed, 40);
    assert_eq!(store.ended_line_numbers(made.id, 0, 100).expect("read"), (1..=40).collect::<Vec<_>>());
}
