//! Texts by their words: all of a query's words, ranked by BM25 and age.

use std::collections::HashMap;
use std::ops::Bound;

use atelier_domain::conversation::search::{
    Found, Frequency, Hit, POSTINGS_MAX, Query, Term, recency, weight,
};
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::store::{ConversationStore as _, StoreError};
use atelier_domain::time::Timestamp;

use super::Shelf;
use crate::keys::conversations as keys;
use crate::schema::Table;
use crate::store::Store;

/// Texts that are looked up for one that is shown: some belong to conversations that were removed a moment ago.
const LOOKED_UP_MAX: usize = 1_000;

/// How often a text has a term.
#[derive(Clone, Copy)]
struct Occurrence {
    conversation: ConversationId,
    count: u32,
    length: u16,
}

struct Candidate {
    text: [u8; 16],
    conversation: ConversationId,
    score: f64,
}

pub(super) fn search(
    store: &Store,
    owner: UserId,
    query: &Query,
    now: Timestamp,
    limit: usize,
) -> Result<Found, StoreError> {
    let shelf: Shelf = store.row(Table::ConversationShelves, owner.as_bytes())?.unwrap_or_default();
    let mut is_partial = false;
    let mut candidates: Option<HashMap<[u8; 16], (ConversationId, f64)>> = None;
    for term in &query.terms {
        let (found, was_cut) = occurrences(store, owner, term)?;
        is_partial |= was_cut;
        let frequency = Frequency { having: found.len(), texts: shelf.texts, words: shelf.words };
        let scored = found.into_iter().filter_map(|(text, Occurrence { conversation, count, length })| {
            let so_far = match &candidates {
                None => 0.0,
                Some(candidates) => candidates.get(&text)?.1,
            };
            Some((text, (conversation, so_far + weight(frequency, count, length))))
        });
        let scored: HashMap<_, _> = scored.collect();
        candidates = Some(scored);
    }
    let mut ranked: Vec<Candidate> = candidates
        .unwrap_or_default()
        .into_iter()
        .map(|(text, (conversation, score))| {
            let made = ChatMessageId::from_bytes(text).made();
            Candidate { text, conversation, score: score * recency(made, now) }
        })
        .collect();
    ranked.sort_unstable_by(|a, b| b.score.total_cmp(&a.score).then(b.text.cmp(&a.text)));
    let mut hits = Vec::new();
    for candidate in ranked.into_iter().take(LOOKED_UP_MAX) {
        if hits.len() >= limit {
            break;
        }
        hits.extend(hit(store, owner, &candidate)?);
    }
    Ok(Found { hits, is_partial })
}

/// What a candidate is; `None` for one whose conversation was removed.
fn hit(store: &Store, owner: UserId, candidate: &Candidate) -> Result<Option<Hit>, StoreError> {
    let Some(conversation) = store.conversation_of(owner, candidate.conversation)? else { return Ok(None) };
    let is_title = candidate.text == *candidate.conversation.as_bytes();
    let message = match is_title {
        true => None,
        false => {
            let key = keys::message(conversation.id, ChatMessageId::from_bytes(candidate.text));
            match store.row(Table::ChatMessages, &key)? {
                Some(message) => Some(message),
                None => return Ok(None),
            }
        }
    };
    Ok(Some(Hit { conversation, message, score: candidate.score }))
}

/// The texts that have a term, the newest of a word first; and whether there are more than are looked at.
fn occurrences(
    store: &Store,
    owner: UserId,
    term: &Term,
) -> Result<(HashMap<[u8; 16], Occurrence>, bool), StoreError> {
    let (first, last) = if term.is_prefix {
        let first = keys::texts_with_prefix(owner, &term.word);
        // No UTF-8 text has this byte.
        let last = [&first[..], &[0xff]].concat();
        (first, last)
    } else {
        let first = keys::texts_with(owner, &term.word);
        // What comes next after the zero behind the word.
        let last = [&keys::texts_with_prefix(owner, &term.word)[..], &[1]].concat();
        (first, last)
    };
    let range = (Bound::Included(first), Bound::Excluded(last));
    let found = store.engine().keys(Table::Postings, range, POSTINGS_MAX + 1)?;
    let mut texts: HashMap<[u8; 16], Occurrence> = HashMap::with_capacity(found.len());
    for key in found.iter().take(POSTINGS_MAX) {
        let posting = keys::parse_posting(key)?;
        let fresh = Occurrence { conversation: posting.conversation, count: 0, length: posting.length };
        let occurrence = texts.entry(posting.text).or_insert(fresh);
        occurrence.count += u32::from(posting.count);
    }
    Ok((texts, found.len() > POSTINGS_MAX))
}
