//! The contract of [`ConversationStore::search`].

use std::collections::BTreeSet;

use atelier_domain::conversation::search::{Query, words};
use atelier_domain::conversation::{AnswerState, Title, TitleOrigin};
use atelier_domain::id::{ChatMessageId, UserId};
use atelier_domain::store::ConversationStore;

use super::conversations::{NOW, asking, ended, exchange, found, fresh, said};

pub fn what_is_said_is_found_by_its_words(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let first =
        said(store, &made, None, "Wo ist das Café Müller?", "It is in WUPPERTAL, near the lighthouse.");
    let named = |query| found(store, owner, query);
    assert_eq!(named("cafe muller "), [(made.id, Some(first.question.id))]);
    assert_eq!(named("wuppertal "), [(made.id, Some(first.answer.id))]);
    assert_eq!(named("near LIGHT"), [(made.id, Some(first.answer.id))]);
    assert!(named("near light ").is_empty(), "only the last word may be unfinished");
    assert!(named("cafe wuppertal ").is_empty(), "one text has all words");
    let pending = exchange(store, &asking(&made, Some(first.answer.id), "And now?")).answer;
    let partial = ended(&pending, AnswerState::Canceled, "Half an answ");
    store.finish_answer(owner, &partial).expect("written").expect("it was pending");
    assert_eq!(named("answ "), [(made.id, Some(pending.id))]);
    // A name is found once it is more than first words, and no more once it is another.
    let rename = |text: &str| {
        let title = Some(Title { text: text.to_owned(), origin: TitleOrigin::Owner });
        store.change_conversation(owner, made.id, &|it| it.title.clone_from(&title)).expect("changed");
    };
    rename("Dancing companies");
    assert_eq!(named("danc"), [(made.id, None)]);
    rename("Theatres");
    assert!(named("danc").is_empty());
    assert_eq!(named("theatres "), [(made.id, None)]);
}

pub fn the_rarer_and_the_newer_text_comes_first(store: &dyn ConversationStore) {
    let owner = UserId::new();
    let made = fresh(store, owner);
    let dense = said(store, &made, None, "owl owl owl", "yes").question.id;
    let thin = said(store, &made, None, "one owl among so many other birds of the night", "no").question.id;
    for n in 0..20 {
        said(store, &made, None, &format!("bird {n}"), "bird");
    }
    let ranked: Vec<_> = found(store, owner, "owl ").into_iter().map(|(_, message)| message).collect();
    assert_eq!(ranked, [Some(dense), Some(thin)]);
    let equal: Vec<_> = (0..3).map(|_| said(store, &made, None, "heron", "").question.id).collect();
    let ranked: Vec<_> =
        found(store, owner, "heron ").into_iter().filter_map(|(_, message)| message).collect();
    assert_eq!(ranked, [equal[2], equal[1], equal[0]]);
    let query = Query::parse("bird ").expect("a word");
    assert_eq!(store.search(owner, &query, NOW, 7).expect("searched").hits.len(), 7);
}

pub fn what_is_found_is_what_a_reading_of_all_texts_finds(store: &dyn ConversationStore) {
    const WORDS: [&str; 8] = ["Apfel", "apfelsine", "birne", "Öl", "olive", "漢字", "3.5", "ende"];
    let owner = UserId::new();
    let mut texts: Vec<(ChatMessageId, String)> = Vec::new();
    let mut state = 7_u64;
    let mut draw = |below: usize| {
        // Knuth's linear congruential generator: the same texts in every run.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for _ in 0..4 {
        let made = fresh(store, owner);
        let mut own = Vec::new();
        for _ in 0..6 {
            let mut text = || (0..=draw(5)).map(|_| WORDS[draw(8)]).collect::<Vec<_>>().join(" ");
            let (asked, told) = (text(), text());
            let talk = said(store, &made, None, &asked, &told);
            own.extend([(talk.question.id, asked), (talk.answer.id, told)]);
        }
        if draw(3) == 0 {
            assert!(store.remove_conversation(owner, made.id).expect("removed"));
        } else {
            texts.extend(own);
        }
    }
    for query in ["apfel ", "apfel", "birne ol", "ol ", "字 olive ", "3.5 ende", "nichts"] {
        let parsed = Query::parse(query).expect("words");
        let has_all =
            |text: &str| parsed.terms.iter().all(|term| words(text).any(|(_, word)| term.matches(&word)));
        let expected: BTreeSet<_> =
            texts.iter().filter(|(_, text)| has_all(text)).map(|(id, _)| Some(*id)).collect();
        let hits: BTreeSet<_> = found(store, owner, query).into_iter().map(|(_, message)| message).collect();
        assert_eq!(hits, expected, "{query}");
    }
}
