//! Full pages of keys and values that earlier requests computed, for later ones whose prompts begin with the same tokens.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kernels::PAGE_TOKENS;

/// The pages kept for reuse, and who pays for which memory.
///
/// Pages are found by all tokens up to their last one, compared as they are: a hash only says where to look. Each is
/// counted once: here where it is kept, else in the claim of the one sequence that has it. A page that a running
/// sequence has too is not dropped, which would free nothing; of the others the one that was used longest ago goes
/// first, and all of them go before a request has to wait.
///
/// One thread owns all this. A request that begins like an earlier one is answered sooner, so whoever can time answers can
/// guess at the beginnings of others' prompts: requests of different scopes share nothing, and a limit of 0 bytes ends all reuse.
#[derive(Debug)]
pub(super) struct Prefixes<P> {
    page_bytes: u64,
    /// For the pages kept, in use or not.
    kept_bytes_max: u64,
    /// For those and all claims together.
    cache_bytes_max: u64,
    /// Counts uses, and names pages: no number comes twice.
    clock: u64,
    ids: HashMap<Place, u64>,
    kept: HashMap<u64, Kept<P>>,
}

/// What a page comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum After {
    /// Nothing, in this scope.
    Start(u64),
    /// The kept page of this number.
    Page(u64),
}

/// What a page stands for: its tokens, and through the page before it all that they follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    after: After,
    tokens: [u32; PAGE_TOKENS],
}

#[derive(Debug)]
struct Kept<P> {
    place: Place,
    page: Arc<P>,
    /// Kept pages that come right after this one.
    followers: usize,
    used_at: u64,
}

impl<P> Kept<P> {
    /// Whether a running sequence has it. Whoever has a page has those before it too, so pages behind one that is not in use are
    /// not in use either.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.page) > 1
    }
}

/// A running sequence's share of the cache memory.
#[derive(Debug)]
pub(super) struct Claim {
    /// Bytes reserved for what is its own alone: all it may grow to, less its pages that are kept.
    pub(super) bytes: u64,
    /// So many of its first pages are kept.
    pub(super) pages: usize,
    /// The last of those.
    last: After,
}

impl Claim {
    fn go_on(&mut self, id: u64, page_bytes: u64) {
        self.last = After::Page(id);
        self.pages += 1;
        self.bytes -= page_bytes;
    }

    fn next(&self, tokens: &[u32]) -> Option<Place> {
        let (tokens, _) = tokens.get(self.pages * PAGE_TOKENS..)?.split_first_chunk()?;
        Some(Place { after: self.last, tokens: *tokens })
    }
}

impl<P> Prefixes<P> {
    /// Nothing kept yet. Pages kept take at most `kept_bytes_max`, and with all claims at most `cache_bytes_max`.
    pub(super) fn new(page_bytes: u64, kept_bytes_max: u64, cache_bytes_max: u64) -> Self {
        Self {
            page_bytes,
            kept_bytes_max: kept_bytes_max.min(cache_bytes_max),
            cache_bytes_max,
            clock: 0,
            ids: HashMap::new(),
            kept: HashMap::new(),
        }
    }

    /// Bytes of the pages kept.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.kept.len() as u64 * self.page_bytes
    }

    /// A claim of `bytes` beside the `claimed` ones of running sequences, and the pages that `prompt` begins with. None where it has
    /// to wait for a sequence to end; pages that none uses were not in its way then.
    pub(super) fn admit(
        &mut self,
        scope: u64,
        prompt: &[u32],
        bytes: u64,
        claimed: u64,
    ) -> Option<(Claim, Vec<Arc<P>>)> {
        let mut claim = Claim { bytes, pages: 0, last: After::Start(scope) };
        let pages = self.take(&mut claim, prompt);
        let room = self.cache_bytes_max.checked_sub(claimed + claim.bytes)?;
        let in_use = self.kept.values().filter(|kept| kept.is_in_use()).count() as u64;
        if in_use * self.page_bytes > room {
            return None;
        }
        self.shrink(room).then_some((claim, pages))
    }

    /// The kept pages that go on with `tokens` after those of `claim`. The last token is left: its scores are wanted.
    pub(super) fn take(&mut self, claim: &mut Claim, tokens: &[u32]) -> Vec<Arc<P>> {
        let known = tokens.split_last().map_or(tokens, |(_, known)| known);
        let mut pages = Vec::new();
        while let Some(id) = claim.next(known).and_then(|place| self.ids.get(&place).copied()) {
            let Some(kept) = self.kept.get_mut(&id) else { break };
            self.clock += 1;
            kept.used_at = self.clock;
            pages.push(kept.page.clone());
            claim.go_on(id, self.page_bytes);
        }
        pages
    }

    /// Keep a sequence's full pages, as far as there is room; `tokens` are at least those that they hold. A page that is kept
    /// already takes the place of the sequence's own.
    pub(super) fn give(&mut self, claim: &mut Claim, tokens: &[u32], pages: &mut [Arc<P>]) {
        while let Some(page) = pages.get_mut(claim.pages) {
            let Some(place) = claim.next(tokens) else { return };
            let known = self.ids.get(&place).and_then(|id| Some((*id, self.kept.get(id)?)));
            let id = match known {
                Some((id, kept)) => {
                    *page = kept.page.clone();
                    id
                }
                None => match self.insert(place, page) {
                    Some(id) => id,
                    None => return,
                },
            };
            claim.go_on(id, self.page_bytes);
        }
    }

    /// Its number, where there is room.
    fn insert(&mut self, place: Place, page: &Arc<P>) -> Option<u64> {
        let room = self.kept_bytes_max.checked_sub(self.page_bytes)?;
        if !self.shrink(room) {
            return None;
        }
        if let After::Page(before) = place.after {
            self.kept.get_mut(&before)?.followers += 1;
        }
        self.clock += 1;
        let id = self.clock;
        self.kept.insert(id, Kept { place, page: page.clone(), followers: 0, used_at: id });
        self.ids.insert(place, id);
        Some(id)
    }

    /// Drop pages until the rest takes at most `room`; whether that went.
    fn shrink(&mut self, room: u64) -> bool {
        while self.kept_bytes() > room {
            let idle = self.kept.iter().filter(|(_, kept)| kept.followers == 0 && !kept.is_in_use());
            let Some(oldest) = idle.min_by_key(|(_, kept)| kept.used_at).map(|(id, _)| *id) else {
                return false;
            };
            let Some(dropped) = self.kept.remove(&oldest) else { return false };
            self.ids.remove(&dropped.place);
            if let After::Page(before) = dropped.place.after
                && let Some(before) = self.kept.get_mut(&before)
            {
                before.followers -= 1;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
