use std::sync::Arc;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Claim, PAGE_TOKENS, Prefixes};

const PAGE_BYTES: u64 = 10;

/// A page of the tests: all tokens up to its last, which is what keys and values depend on.
type Page = Vec<u32>;

/// A request of the tests.
struct Running {
    claim: Claim,
    tokens: Vec<u32>,
    pages: Vec<Arc<Page>>,
}

fn pages(tokens: usize) -> u64 {
    tokens.div_ceil(PAGE_TOKENS) as u64 * PAGE_BYTES
}

fn admit(prefixes: &mut Prefixes<Page>, scope: u64, tokens: &[u32], claimed: u64) -> Option<Running> {
    let (claim, pages) = prefixes.admit(scope, tokens, pages(tokens.len()), claimed)?;
    Some(Running { claim, tokens: tokens.to_vec(), pages })
}

impl Running {
    /// Compute up to so many pages more, and give them.
    fn compute(&mut self, count: usize, prefixes: &mut Prefixes<Page>) {
        for end in (self.pages.len()..self.tokens.len() / PAGE_TOKENS).take(count) {
            self.pages.push(Arc::new(self.tokens[..(end + 1) * PAGE_TOKENS].to_vec()));
        }
        prefixes.give(&mut self.claim, &self.tokens, &mut self.pages);
    }

    fn assert_right(&self) {
        for (at, page) in self.pages.iter().enumerate() {
            assert_eq!(**page, self.tokens[..(at + 1) * PAGE_TOKENS]);
        }
    }
}

/// So many pages of tokens; those of one `kind` begin alike.
fn prompt(kind: u32, pages: usize) -> Vec<u32> {
    vec![kind; pages * PAGE_TOKENS]
}

/// What is kept of `tokens` for another request.
fn kept(prefixes: &mut Prefixes<Page>, scope: u64, tokens: &[u32]) -> usize {
    admit(prefixes, scope, tokens, 0).expect("there is room").pages.len()
}

#[test]
fn what_follows_the_same_tokens_is_found_and_the_last_token_is_always_left() {
    let mut prefixes = Prefixes::new(PAGE_BYTES, 100, 100);
    let mut first = admit(&mut prefixes, 0, &prompt(1, 3), 0).expect("there is room");
    first.compute(3, &mut prefixes);
    drop(first);
    assert_eq!(kept(&mut prefixes, 0, &prompt(1, 3)), 2, "the last token's scores are wanted");
    assert_eq!(kept(&mut prefixes, 0, &prompt(1, 4)), 3);
    let mut parted = prompt(1, 4);
    parted[2 * PAGE_TOKENS - 1] = 7;
    assert_eq!(kept(&mut prefixes, 0, &parted), 1, "a page is shared whole or not at all");
    parted[0] = 7;
    assert_eq!(kept(&mut prefixes, 0, &parted), 0, "what follows other tokens is another page");
    assert_eq!(kept(&mut prefixes, 1, &prompt(1, 4)), 0, "scopes share nothing");
}

#[test]
fn pages_that_nobody_uses_go_before_a_request_waits_and_the_oldest_first() {
    let mut prefixes = Prefixes::new(PAGE_BYTES, 40, 60);
    for kind in [1, 2] {
        admit(&mut prefixes, 0, &prompt(kind, 2), 0).expect("there is room").compute(2, &mut prefixes);
    }
    assert_eq!(prefixes.kept_bytes(), 40);
    // The first is used again, and so the second's last page goes, which nothing follows.
    assert_eq!(kept(&mut prefixes, 0, &prompt(1, 3)), 2);
    let third = admit(&mut prefixes, 0, &prompt(3, 3), 0).expect("unused pages make room");
    assert_eq!(prefixes.kept_bytes(), 30);
    assert_eq!(prefixes.take(&mut claim(), &prompt(2, 3)).len(), 1);
    // In use, they cannot go.
    let held = admit(&mut prefixes, 0, &prompt(1, 3), third.claim.bytes).expect("only its third page is new");
    assert_eq!(held.claim.bytes, 10);
    assert!(admit(&mut prefixes, 0, &prompt(4, 1), 40).is_none(), "40 claimed and 20 in use are all");
    drop(held);
    assert!(admit(&mut prefixes, 0, &prompt(4, 3), 30).is_some());
}

fn claim() -> Claim {
    Claim { bytes: 1000, pages: 0, last: super::After::Start(0) }
}

#[test]
fn a_limit_of_nothing_keeps_nothing() {
    let mut prefixes = Prefixes::new(PAGE_BYTES, 9, 100);
    let mut only = admit(&mut prefixes, 0, &prompt(1, 4), 0).expect("there is room");
    only.compute(4, &mut prefixes);
    assert_eq!((prefixes.kept_bytes(), only.claim.bytes), (0, 40));
}

#[test]
fn two_that_read_the_same_at_once_end_with_one_page() {
    let mut prefixes = Prefixes::new(PAGE_BYTES, 100, 100);
    let mut running: Vec<_> =
        (0..2).map(|_| admit(&mut prefixes, 0, &prompt(1, 2), 0).expect("there is room")).collect();
    for one in &mut running {
        one.compute(1, &mut prefixes);
    }
    assert!(Arc::ptr_eq(&running[0].pages[0], &running[1].pages[0]));
    assert_eq!(prefixes.kept_bytes(), 10);
    assert!(running.iter().all(|one| one.claim.bytes == 10), "a page is counted once");
}

/// Whatever comes and goes, memory is never more than there is, and nobody gets a page of other tokens.
#[test]
fn random_requests_share_right_pages_within_the_memory() {
    for seed in 0..200 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bytes_max = random.random_range(4..20) * PAGE_BYTES;
        let kept_max = random.random_range(0..20) * PAGE_BYTES;
        let mut prefixes = Prefixes::new(PAGE_BYTES, kept_max, bytes_max);
        let mut running: Vec<Running> = Vec::new();
        let (mut admitted, mut reused) = (0, 0);
        for _ in 0..300 {
            match random.random_range(0..4) {
                0 => {
                    // Few kinds of pages, so that prompts often begin alike.
                    let count = random.random_range(1..=4);
                    let kinds: Vec<u32> = (0..count).map(|_| random.random_range(0..2)).collect();
                    let mut tokens: Vec<u32> = kinds.iter().flat_map(|kind| [*kind; PAGE_TOKENS]).collect();
                    tokens.truncate(tokens.len() - random.random_range(0..PAGE_TOKENS));
                    let claimed = running.iter().map(|one| one.claim.bytes).sum();
                    let found = admit(&mut prefixes, 0, &tokens, claimed);
                    assert!(found.is_some() || !running.is_empty(), "nobody waits for nobody");
                    admitted += found.iter().count();
                    reused += found.iter().map(|one| one.pages.len()).sum::<usize>();
                    running.extend(found);
                }
                1 if !running.is_empty() => {
                    running.swap_remove(random.random_range(0..running.len()));
                }
                2 if !running.is_empty() => {
                    let one = random.random_range(0..running.len());
                    let Running { claim, tokens, pages } = &mut running[one];
                    if pages.len() == claim.pages {
                        pages.extend(prefixes.take(claim, tokens));
                    }
                }
                _ if !running.is_empty() => {
                    let one = random.random_range(0..running.len());
                    running[one].compute(random.random_range(1..3), &mut prefixes);
                }
                _ => {}
            }
            running.iter().for_each(Running::assert_right);
            let claimed: u64 = running.iter().map(|one| one.claim.bytes).sum();
            assert!(claimed + prefixes.kept_bytes() <= bytes_max, "seed {seed}");
            assert!(prefixes.kept_bytes() <= kept_max.min(bytes_max), "seed {seed}");
            // What the pages take in truth, each once.
            let mut taken: Vec<_> = running.iter().flat_map(|one| &one.pages).map(Arc::as_ptr).collect();
            taken.extend(prefixes.kept.values().map(|kept| Arc::as_ptr(&kept.page)));
            taken.sort_unstable();
            taken.dedup();
            assert!(taken.len() as u64 * PAGE_BYTES <= bytes_max, "seed {seed}");
        }
        assert!(admitted > 10 && (reused > 0 || kept_max == 0), "seed {seed}: {admitted} {reused}");
    }
}
