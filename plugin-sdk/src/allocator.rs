//! A plugin's heap: it begins in the memory that an instance starts with, since growing that memory costs the host two system calls
//! per call, and goes on in what the host gives.

#![expect(unsafe_code, reason = "an allocator claims raw memory")]

use core::alloc::Layout;
use core::arch::wasm32::memory_grow;
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

/// Enough for a conversation and its answer. What a call does not touch costs nothing.
const ARENA_BYTES: usize = 512 * 1024;
/// WebAssembly's page.
const PAGE_BYTES: usize = 64 * 1024;

static mut ARENA: [u8; ARENA_BYTES] = [0; ARENA_BYTES];

#[global_allocator]
static HEAP: TalcSyncCell<ArenaThenPages, WasmBinning> =
    TalcSyncCell::new_wasm(ArenaThenPages { arena_is_claimed: false, end: None });

/// First the arena, then new pages.
#[derive(Debug)]
struct ArenaThenPages {
    arena_is_claimed: bool,
    /// Where the pages end that were added last.
    end: Option<NonNull<u8>>,
}

// SAFETY: acquiring allocates nothing and reaches the allocator through the given reference alone; `Ok` is returned only
// when memory was added.
unsafe impl Source for ArenaThenPages {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        if !talc.source.arena_is_claimed {
            talc.source.arena_is_claimed = true;
            // SAFETY: nothing else names the arena, and this happens once.
            return unsafe { talc.claim((&raw mut ARENA).cast(), ARENA_BYTES) }.map(|_| ()).ok_or(());
        }
        // Room for what is asked and for the allocator's own notes. Not more: the host counts pages, used or not.
        let wanted = layout.size().checked_add(layout.align()).ok_or(())?;
        let pages = wanted / PAGE_BYTES + 1 + usize::from(wanted % PAGE_BYTES > PAGE_BYTES / 2);
        let before = memory_grow::<0>(pages);
        if before == usize::MAX {
            return Err(());
        }
        let (start, bytes) = ((before * PAGE_BYTES) as *mut u8, pages * PAGE_BYTES);
        talc.source.end = match talc.source.end.take().filter(|end| end.as_ptr() == start) {
            // SAFETY: the pages from `end` on are new: nobody else knows of them.
            Some(end) => Some(unsafe { talc.extend(end, start.wrapping_add(bytes)) }),
            // SAFETY: as above.
            None => Some(unsafe { talc.claim(start, bytes) }.ok_or(())?),
        };
        Ok(())
    }
}
