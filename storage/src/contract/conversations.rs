//! The contract of [`ConversationStore`].

pub(in crate::contract) mod steps;

use atelier_domain::blob::BlobId;
use atelier_domain::conversation::{
    AnswerState, Conversation, ConversationBounds, ConversationPage, ConversationPosition, MessageFile,
    MessagePart, NewExchange, StoredMessage, Title, TitleOrigin, Unfit,
};
use atelier_domain::id::{ChatMessageId, ConversationId, FileId, UserId};
use atelier_domain::store::{ConversationStore, FileStore, StoreError};
use atelier_domain::time::Timestamp;

use super::sample;
pub(super) use steps::{NOW, asking, ended, exchange, found, fresh, said};
use steps::{PLENTY, again, create, finish, now};

pub fn a_conversation_is_read_as_it_was_created(store: &dyn ConversationStore) {
    let made = create(store, sample::conversation(UserId::new()));
    assert_eq!(now(store, &made), made);
    assert_eq!(store.conversation_of(made.owner, ConversationId::new()).expect("read"), None);
    assert!(matches!(store.create_conversation(&made, 10), Err(StoreError::Exists { .. })));
    let changed = store
        .change_conversation(made.owner, made.id, &|conversation| {
            conversation.title = Some(Title { text: "Other".to_owned(), origin: TitleOrigin::Owner });
            conversation.archived = true;
            conversation.owner = UserId::new();
            conversation.bytes = 77;
        })
        .expect("changed");
    let title = Some(Title { text: "Other".to_owned(), origin: TitleOrigin::Owner });
    assert_eq!(
        changed,
        Some(Conversation { title, archived: true, ..made.clone() }),
        "the rest is not changed"
    );
    assert_eq!(Some(now(store, &made)), changed);
    let missing = ChatMessageId::new();
    let nowhere = store.change_conversation(made.owner, made.id, &|it| it.leaf = Some(missing));
    assert_eq!(nowhere.expect("answered"), None, "a leaf is one of its messages");
}

pub fn an_owner_has_so_many_conversations_and_no_more(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made: Vec<_> = (0..3).map(|_| create(store, sample::conversation(owner))).collect();
    assert!(!store.create_conversation(&sample::conversation(owner), 3).expect("answered"));
    assert!(store.create_conversation(&sample::conversation(UserId::new()), 3).expect("another's"));
    assert!(store.remove_conversation(owner, made[0].id).expect("removed"));
    assert!(store.create_conversation(&sample::conversation(owner), 3).expect("there is room again"));
}

pub fn conversations_are_listed_by_their_last_activity_in_pages(store: &dyn ConversationStore) {
    let owner = UserId::from_bytes([0x80; 16]);
    for other in [[0; 16], [0x7f; 16], [0x81; 16], [0xff; 16]] {
        create(store, sample::conversation(UserId::from_bytes(other)));
    }
    let made: Vec<_> = (0..25_u64)
        .map(|n| {
            let active = Timestamp(1_000 + n / 2);
            create(store, Conversation { active, archived: n % 5 == 0, ..sample::conversation(owner) })
        })
        .collect();
    let list = |archived| {
        let mut all: Vec<Conversation> = Vec::new();
        loop {
            let before = all.last().map(|last| ConversationPosition { active: last.active, id: last.id });
            let page = ConversationPage { archived, before, limit: 4 };
            let page = store.conversations_of(owner, &page).expect("read");
            if page.is_empty() {
                return all.into_iter().map(|conversation| conversation.id).collect::<Vec<_>>();
            }
            all.extend(page);
        }
    };
    let expected = |archived| {
        let mut kept: Vec<_> = made.iter().filter(|one| one.archived == archived).collect();
        kept.sort_by_key(|one| (one.active, one.id));
        kept.iter().rev().map(|one| one.id).collect::<Vec<_>>()
    };
    assert_eq!((list(false), list(true)), (expected(false), expected(true)));
    // Whoever speaks comes first.
    let mut oldest = made[1].clone();
    oldest.active = Timestamp(9_000);
    exchange(store, &asking(&oldest, None, "still there?"));
    assert_eq!(list(false)[0], oldest.id);
    assert_eq!(list(false).len(), 20);
}

pub fn another_owners_conversation_is_none_whatever_is_done_with_it(store: &dyn ConversationStore) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let made = fresh(store, alice);
    let talk = said(store, &made, None, "a secret of alice", "kept");
    let before = now(store, &made);
    assert_eq!(store.conversation_of(bob, made.id).expect("read"), None);
    assert!(store.change_conversation(bob, made.id, &|it| it.archived = true).expect("read").is_none());
    assert!(!store.remove_conversation(bob, made.id).expect("read"));
    let theirs = Conversation { owner: bob, ..made.clone() };
    let refused = store.exchange(&asking(&theirs, Some(talk.answer.id), "mine")).expect("answered");
    assert_eq!(refused, Err(Unfit::NoConversation));
    assert_eq!(store.message_of(bob, made.id, talk.answer.id).expect("read"), None);
    assert_eq!(store.branch_of(bob, made.id, talk.answer.id, 9).expect("read"), None);
    assert!(store.following(bob, made.id, None, 9).expect("read").is_empty());
    assert!(found(store, bob, "secret").is_empty());
    let pending = exchange(store, &again(&made, talk.question.id)).answer;
    let stolen = ended(&pending, AnswerState::Complete, "stolen");
    assert_eq!(store.finish_answer(bob, &stolen).expect("answered"), None);
    // A message of one conversation is none of another, of the same owner too.
    let other = fresh(store, alice);
    assert_eq!(store.message_of(alice, other.id, talk.answer.id).expect("read"), None);
    let refused = store.exchange(&asking(&other, Some(talk.answer.id), "moved")).expect("answered");
    assert_eq!(refused, Err(Unfit::NoParent));
    assert_eq!(now(store, &made).messages, before.messages + 1);
}

pub fn an_exchange_is_stored_whole_and_its_answer_ended_once<S: ConversationStore + FileStore>(store: &S) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let blob = BlobId([0x55; 32]);
    let mut new = asking(&made, None, "What is the capital of France?");
    let file = MessageFile {
        file: FileId::new(),
        blob,
        size: 500,
        content_type: "image/png".to_owned(),
        name: "map.png".to_owned(),
    };
    let parts = &mut new.question.as_mut().expect("a question").parts;
    parts.extend([MessagePart::File(file.clone()), MessagePart::File(file)]);
    let first = exchange(store, &new);
    assert!(store.is_blob_named(&blob).expect("read"));
    assert_eq!((first.question.depth, first.answer.depth, first.question.branch_bytes), (1, 2, 30));
    assert_eq!(first.answer.parent, Some(first.question.id));
    assert_eq!(first.conversation.leaf, Some(first.answer.id));
    assert_eq!((first.conversation.messages, first.conversation.bytes), (2, 1_030));
    assert_eq!(first.conversation.title, Title::first_words("What is the capital of France?"));
    assert_eq!(store.conversation_bytes_of(owner).expect("read"), 1_030);
    let refused = store.exchange(&asking(&made, Some(first.answer.id), "and?")).expect("answered");
    assert_eq!(refused, Err(Unfit::ParentPending));

    let whole = finish(store, owner, &first.answer, "Paris.");
    assert_eq!((whole.text().as_str(), whole.branch_bytes, whole.depth), ("Paris.", 36, 2));
    assert_eq!(store.message_of(owner, made.id, whole.id).expect("read"), Some(whole.clone()));
    assert_eq!(
        store.finish_answer(owner, &ended(&first.answer, AnswerState::Failed, "x")).expect("answered"),
        None
    );
    assert_eq!(store.conversation_bytes_of(owner).expect("read"), 1_036);

    let second = said(store, &made, Some(whole.id), "And of Italy?", "Rome.");
    let branch = store.branch_of(owner, made.id, second.answer.id, 10).expect("read").expect("its own");
    let texts: Vec<_> = branch.iter().map(StoredMessage::text).collect();
    assert_eq!(texts, ["Rome.", "And of Italy?", "Paris.", "What is the capital of France?"]);
    let page = store.branch_of(owner, made.id, whole.id, 1).expect("read").expect("its own");
    assert_eq!(page, [whole]);
    assert_eq!(now(store, &made).title, Title::first_words("What is the capital of France?"));
}

pub fn an_exchange_that_does_not_fit_leaves_nothing(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let talk = said(store, &made, None, "four", "five!");
    let before = (now(store, &made), store.conversation_bytes_of(owner).expect("read"));
    let refuse = |new: NewExchange, bounds: ConversationBounds, why: Unfit| {
        let refused = store.exchange(&NewExchange { bounds, ..new }).expect("answered");
        assert_eq!(refused, Err(why));
        assert_eq!((now(store, &made), store.conversation_bytes_of(owner).expect("read")), before, "{why:?}");
        assert!(found(store, owner, "unheard").is_empty(), "{why:?}");
    };
    let next = || asking(&made, Some(talk.answer.id), "unheard of");
    refuse(next(), ConversationBounds { messages_max: 3, ..PLENTY }, Unfit::TooManyMessages);
    refuse(next(), ConversationBounds { depth_max: 3, ..PLENTY }, Unfit::TooDeep);
    refuse(next(), ConversationBounds { branch_bytes_max: 18, ..PLENTY }, Unfit::BranchTooLong);
    refuse(next(), ConversationBounds { user_bytes_max: 18, ..PLENTY }, Unfit::TooManyBytes);
    refuse(
        again(&made, talk.question.id),
        ConversationBounds { messages_max: 2, ..PLENTY },
        Unfit::TooManyMessages,
    );
    refuse(asking(&made, Some(ChatMessageId::new()), "unheard of"), PLENTY, Unfit::NoParent);
    refuse(asking(&made, Some(talk.question.id), "unheard of"), PLENTY, Unfit::NoParent);
    refuse(again(&made, talk.answer.id), PLENTY, Unfit::NoParent);
    let exact = ConversationBounds {
        messages_max: 4,
        depth_max: 4,
        branch_bytes_max: 19,
        user_bytes_max: 19,
        ..PLENTY
    };
    assert!(store.exchange(&NewExchange { bounds: exact, ..next() }).expect("answered").is_ok());
}

pub fn edits_and_regenerations_are_branches(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let first = said(store, &made, None, "one", "eins");
    let edited = said(store, &made, None, "two", "zwei");
    let other = exchange(store, &again(&made, first.question.id));
    assert_eq!(other.question.id, first.question.id);
    let other = finish(store, owner, &other.answer, "uno");
    let following = |parent| store.following(owner, made.id, parent, 10).expect("read");
    assert_eq!(following(None), [first.question.id, edited.question.id]);
    assert_eq!(following(Some(first.question.id)), [first.answer.id, other.id]);
    assert_eq!(following(Some(other.id)), []);
    assert_eq!(store.following(owner, made.id, None, 1).expect("read"), [first.question.id]);
    assert_eq!(now(store, &made).leaf, Some(other.id));
    // All branches, in pages; another's conversation has none.
    let all = |after, limit| {
        let found = store.messages_of(owner, made.id, after, limit).expect("read");
        found.iter().map(|message| message.id).collect::<Vec<_>>()
    };
    let mut ids = vec![first.question.id, first.answer.id, edited.question.id, edited.answer.id, other.id];
    ids.sort();
    assert_eq!(
        (all(None, 9), all(None, 2), all(Some(ids[1]), 9)),
        (ids.clone(), ids[..2].into(), ids[2..].into())
    );
    assert!(store.messages_of(UserId::new(), made.id, None, 9).expect("read").is_empty());
    let switched = store.change_conversation(owner, made.id, &|it| it.leaf = Some(edited.answer.id));
    assert_eq!(switched.expect("changed").expect("its own").leaf, Some(edited.answer.id));
    assert_eq!(now(store, &made).messages, 5);
}

pub fn an_answer_that_failed_without_a_word_is_not_the_leaf(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let first = said(store, &made, None, "one", "eins");
    let asked = exchange(store, &asking(&made, Some(first.answer.id), "two"));
    let failed = ended(&asked.answer, AnswerState::Failed, "");
    let failed = store.finish_answer(owner, &failed).expect("written").expect("it was pending");
    assert_eq!(failed.answer.as_ref().and_then(|answer| answer.leaf_before), Some(first.answer.id));
    assert_eq!(now(store, &made).leaf, Some(first.answer.id));
    assert_eq!(store.message_of(owner, made.id, failed.id).expect("read"), Some(failed), "it is kept");
    let broken = exchange(store, &again(&made, asked.question.id)).answer;
    let broken = ended(&broken, AnswerState::Failed, "zw");
    store.finish_answer(owner, &broken).expect("written").expect("it was pending");
    assert_eq!(now(store, &made).leaf, Some(broken.id), "what was said is shown");
}

pub fn answers_of_a_process_that_ended_are_interrupted(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let whole = said(store, &made, None, "one", "eins").answer;
    let pending: Vec<_> =
        (0..3).map(|_| exchange(store, &asking(&made, Some(whole.id), "and then?")).answer).collect();
    assert_eq!(store.interrupt_answers(NOW, 2).expect("written"), 2);
    assert_eq!(store.interrupt_answers(NOW, 2).expect("written"), 1);
    assert_eq!(store.interrupt_answers(NOW, 2).expect("written"), 0);
    for answer in &pending {
        let found = store.message_of(owner, made.id, answer.id).expect("read").expect("it is there");
        let facts = found.answer.as_ref().expect("an answer");
        assert_eq!((facts.state, facts.finished), (AnswerState::Interrupted, Some(NOW)));
        assert_eq!(
            store.finish_answer(owner, &ended(answer, AnswerState::Complete, "late")).expect("answered"),
            None
        );
    }
    assert_eq!(store.message_of(owner, made.id, whole.id).expect("read"), Some(whole));
    exchange(store, &asking(&made, Some(pending[0].id), "it goes on"));
}

pub fn many_who_share_their_bytes_never_exceed_them(store: &dyn ConversationStore) {
    const THREADS: usize = 8;
    let owner = UserId::new();
    let bounds = ConversationBounds { user_bytes_max: 105, ..PLENTY };
    let made = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    let made = fresh(store, owner);
                    let new = || NewExchange { bounds, ..asking(&made, None, "ten bytes.") };
                    (0..4).filter(|_| store.exchange(&new()).expect("answered").is_ok()).count()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).sum::<usize>()
    });
    assert_eq!((made, store.conversation_bytes_of(owner).expect("read")), (10, 100));
}

pub fn a_removed_conversation_is_gone_at_once_and_the_sweep_leaves_nothing<S>(store: &S)
where
    S: ConversationStore + FileStore,
{
    let owner = UserId::new();
    let (made, kept) = (fresh(store, owner), fresh(store, owner));
    let blob = BlobId([0x56; 32]);
    let mut new = asking(&made, None, "a lighthouse");
    new.question.as_mut().expect("a question").parts.push(MessagePart::File(MessageFile {
        file: FileId::new(),
        blob,
        size: 1,
        content_type: "image/png".to_owned(),
        name: "a.png".to_owned(),
    }));
    let pending = exchange(store, &new).answer;
    for n in 0..5 {
        said(store, &made, None, "a lighthouse", &format!("answer {n}"));
    }
    said(store, &kept, None, "another lighthouse", "there");
    let left = store.conversation_bytes_of(owner).expect("read") - now(store, &made).bytes;
    assert!(store.remove_conversation(owner, made.id).expect("removed"));
    assert!(!store.remove_conversation(owner, made.id).expect("answered"));
    assert_eq!(store.conversation_bytes_of(owner).expect("read"), left);
    assert_eq!(store.conversation_of(owner, made.id).expect("read"), None);
    assert_eq!(store.message_of(owner, made.id, pending.id).expect("read"), None);
    assert!(store.following(owner, made.id, None, 9).expect("read").is_empty());
    assert_eq!(found(store, owner, "lighthouse").len(), 1, "nobody finds what is removed");
    assert_eq!(
        store.finish_answer(owner, &ended(&pending, AnswerState::Complete, "late")).expect("answered"),
        None
    );
    let mut swept = 0;
    loop {
        match store.sweep_conversations(5).expect("swept") {
            0 => break,
            count => swept += count,
        }
    }
    assert_eq!(swept, 12);
    assert!(!store.is_blob_named(&blob).expect("read"));
    assert_eq!(store.interrupt_answers(NOW, 10).expect("written"), 0, "nothing pends any more");
    assert_eq!(store.conversation_bytes_of(owner).expect("read"), left);
    assert_eq!(found(store, owner, "lighthouse").len(), 1);
    assert!(store.remove_conversation(owner, kept.id).expect("removed"));
    assert_eq!(store.sweep_conversations(100).expect("swept"), 2);
    assert!(found(store, owner, "lighthouse").is_empty());
}
