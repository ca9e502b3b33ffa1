//! Memory for payload: pages of bytes with a bit each for what is there, and regions that find the
//! pages of a direction. Owns layout, free chains and the limit; knows nothing of sequence numbers.

use crate::arena::NONE;
use crate::settings::SetupError;
use crate::stats::StreamStats;

mod bits;
mod regions;

pub(crate) use regions::Chain;

use bits::{bit, clear_range, first_clear, first_set, last_clear_before, set_range};
use regions::{Region, place};

/// Bytes of payload in a page.
pub(crate) const PAGE: u64 = 1024;
const PAGE_BYTES: usize = 1024;
const WORDS: usize = PAGE_BYTES / 64;

/// Pages of a region: 64 KiB of stream.
const REGION: u32 = 64;

/// 1 KiB of a stream. Bit `i` of `present` says whether byte `i` is there, that of `begins` whether what
/// came in one segment begins with it.
#[derive(Clone, Debug)]
struct Page {
    bytes: [u8; PAGE_BYTES],
    present: [u64; WORDS],
    begins: [u64; WORDS],
    next_free: u32,
}

const EMPTY: Page = Page { bytes: [0; PAGE_BYTES], present: [0; WORDS], begins: [0; WORDS], next_free: NONE };

/// Bytes of a page, and of a region.
pub(crate) const PAGE_COST: u64 = size_of::<Page>() as u64;
pub(crate) const REGION_COST: u64 = size_of::<Region>() as u64;

/// The pages of a worker.
#[derive(Debug)]
pub(crate) struct Pages {
    pages: Vec<Page>,
    regions: Vec<Region>,
    free_page: u32,
    free_region: u32,
    /// Free places in the chains.
    spare_pages: u64,
    spare_regions: u64,
    limit: u64,
}

/// Why a page cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPage {
    /// `stream.reassembly.memcap` is reached.
    Memcap,
    /// The direction has too many regions, or too many with gaps between them.
    Limit,
}

impl Pages {
    /// Reserves memory for `share` bytes of pages and regions, and opens `prealloc` pages.
    pub(crate) fn reserve(share: u64, prealloc: u32) -> Result<Self, SetupError> {
        let refused = |error: std::collections::TryReserveError| SetupError::Memory {
            setting: "stream.reassembly.memcap",
            bytes: share,
            reason: error.to_string(),
        };
        let most = usize::try_from((share / PAGE_COST).min(u64::from(NONE - 1))).unwrap_or(0);
        let mut pages = Vec::new();
        pages.try_reserve_exact(most).map_err(refused)?;
        let mut regions = Vec::new();
        regions.try_reserve_exact(most).map_err(refused)?;
        let mut made = Self {
            pages,
            regions,
            free_page: NONE,
            free_region: NONE,
            spare_pages: 0,
            spare_regions: 0,
            limit: share,
        };
        let prealloc = u64::from(prealloc).min(share / (2 * PAGE_COST));
        for place in (0_u32..).take(usize::try_from(prealloc).unwrap_or(0)) {
            made.pages.push(Page { next_free: made.free_page, ..EMPTY });
            made.free_page = place;
            made.spare_pages += 1;
        }
        Ok(made)
    }

    /// Bytes in use by payload that is kept.
    pub(crate) fn memuse(&self) -> u64 {
        (self.pages.len() as u64 - self.spare_pages) * PAGE_COST
            + (self.regions.len() as u64 - self.spare_regions) * REGION_COST
    }

    /// Is more than half of the memory in use?
    pub(crate) fn is_tight(&self) -> bool {
        self.memuse() > self.limit / 2
    }

    /// Is there certainly room for `bytes` of a stream, however they lie?
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        let pages = bytes / PAGE + 2;
        let opened = self.pages.len() as u64 * PAGE_COST + self.regions.len() as u64 * REGION_COST;
        let new_pages = pages.saturating_sub(self.spare_pages);
        let new_regions = 3_u64.saturating_sub(self.spare_regions);
        opened + new_pages * PAGE_COST + new_regions * REGION_COST <= self.limit
            && self.pages.len() as u64 + new_pages <= self.pages.capacity() as u64
            && self.regions.len() as u64 + new_regions <= self.regions.capacity() as u64
    }

    /// The page that holds what is at `offset`, if there is one.
    pub(crate) fn find(&self, chain: &Chain, offset: u64) -> Option<PageId> {
        let (region, page) = place(offset);
        let at = self.locate(chain, region).ok()?;
        self.page_of(at, page)
    }

    /// The page that holds what is at `offset`; made where there is none.
    pub(crate) fn find_or_make(
        &mut self,
        chain: &mut Chain,
        offset: u64,
        islands_max: u8,
        stats: &mut StreamStats,
    ) -> Result<PageId, NoPage> {
        let (number, page) = place(offset);
        let at = match self.locate(chain, number) {
            Ok(at) => at,
            Err(after) => self.add_region(chain, number, after, islands_max)?,
        };
        chain.recent = at;
        if let Some(found) = self.page_of(at, page) {
            return Ok(found);
        }
        let made = self.take_page(stats).ok_or(NoPage::Memcap)?;
        let region = self.regions.get_mut(at as usize).ok_or(NoPage::Memcap)?;
        region.used |= 1 << page;
        if let Some(slot) = region.pages.get_mut(page as usize) {
            *slot = made.0;
        }
        Ok(made)
    }

    /// Writes what comes right after all that there is of a stream; [there is room](Self::has_room) for it.
    /// `begins` says whether borders of segments are kept. `false`, with nothing done, where that takes a
    /// region that was not the last one looked up.
    pub(crate) fn append(
        &mut self,
        chain: &Chain,
        offset: u64,
        bytes: &[u8],
        begins: bool,
        stats: &mut StreamStats,
    ) -> bool {
        let (number, mut page) = place(offset);
        let within = usize::try_from(offset % PAGE).unwrap_or(0);
        let pages_end = page as usize + (within + bytes.len()).div_ceil(PAGE_BYTES);
        let known = self.regions.get(chain.recent as usize).is_some_and(|region| region.number == number);
        if !known || pages_end > REGION as usize {
            return false;
        }
        let (mut rest, mut from, mut begins) = (bytes, within, begins);
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(PAGE_BYTES - from));
            let Some(id) = self.page_of(chain.recent, page).or_else(|| {
                let made = self.take_page(stats)?;
                let region = self.regions.get_mut(chain.recent as usize)?;
                region.used |= 1 << page;
                *region.pages.get_mut(page as usize)? = made.0;
                Some(made)
            }) else {
                break;
            };
            if let Some(page) = self.pages.get_mut(id.0 as usize)
                && let Some(place) = page.bytes.get_mut(from..from + piece.len())
            {
                place.copy_from_slice(piece);
                set_range(&mut page.present, from, from + piece.len());
                // Where nothing was there nothing began.
                if begins {
                    set_range(&mut page.begins, from, from + 1);
                }
            }
            (rest, from, begins) = (after, 0, false);
            page += 1;
        }
        true
    }

    /// Gives back the pages that hold only what is before `offset`.
    pub(crate) fn release_before(&mut self, chain: &mut Chain, offset: u64) {
        let (number, page) = place(offset);
        while let Some(region) = self.regions.get_mut(chain.first as usize) {
            if region.number > number {
                break;
            }
            let gone = if region.number < number { u64::MAX } else { (1_u64 << page) - 1 };
            let mut leaving = region.used & gone;
            region.used &= !gone;
            let (left, pages) = (region.used, region.pages);
            while leaving != 0 {
                let bit = leaving.trailing_zeros();
                leaving &= leaving - 1;
                if let Some(&id) = pages.get(bit as usize) {
                    self.give_back(PageId(id));
                }
            }
            if left != 0 {
                break;
            }
            self.remove_first(chain);
        }
    }

    /// Gives back everything.
    pub(crate) fn release_all(&mut self, chain: &mut Chain) {
        self.release_before(chain, u64::MAX);
        while chain.first != NONE {
            self.remove_first(chain);
        }
    }

    /// The first byte that is there at `offset` or after it.
    pub(crate) fn next_present(&self, chain: &Chain, offset: u64) -> Option<u64> {
        let (number, page) = place(offset);
        let mut at = match self.locate(chain, number) {
            Ok(at) => at,
            Err(NONE) => chain.first,
            Err(before) => self.regions.get(before as usize)?.next,
        };
        let mut first_page = page;
        let mut first_bit = offset % PAGE;
        while let Some(region) = self.regions.get(at as usize) {
            if region.number != number {
                (first_page, first_bit) = (0, 0);
            }
            let mut left = region.used & (u64::MAX << first_page);
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let from = if bit == first_page { first_bit } else { 0 };
                let id = region.pages.get(bit as usize).copied().map(PageId)?;
                if let Some(found) = self.page(id).and_then(|page| first_set(&page.present, from)) {
                    return Some(
                        (u64::from(region.number) * u64::from(REGION) + u64::from(bit)) * PAGE + found,
                    );
                }
            }
            at = region.next;
        }
        None
    }

    /// How many bytes from `from` (within the page) on are there without a gap.
    pub(crate) fn run(&self, id: PageId, from: u64) -> u64 {
        let Some(page) = self.page(id) else { return 0 };
        first_clear(&page.present, from).unwrap_or(PAGE) - from
    }

    /// How many bytes before `to` (within the page) are there without a gap.
    pub(crate) fn run_before(&self, id: PageId, to: u64) -> u64 {
        let Some(page) = self.page(id) else { return 0 };
        to - last_clear_before(&page.present, to).map_or(0, |at| at + 1)
    }

    /// Is the byte there?
    pub(crate) fn is_present(&self, id: PageId, at: u64) -> bool {
        self.page(id).is_some_and(|page| bit(&page.present, at))
    }

    /// Is the byte the first of what came in one segment?
    pub(crate) fn is_begin(&self, id: PageId, at: u64) -> bool {
        self.page(id).is_some_and(|page| bit(&page.begins, at))
    }

    /// The first byte in `from..to` that is there, or `to`.
    pub(crate) fn first_present(&self, id: PageId, from: u64, to: u64) -> u64 {
        self.page(id).and_then(|page| first_set(&page.present, from)).unwrap_or(to).min(to)
    }

    /// The first byte in `from..to` with which something begins, or `to`.
    pub(crate) fn first_begin(&self, id: PageId, from: u64, to: u64) -> u64 {
        self.page(id).and_then(|page| first_set(&page.begins, from)).unwrap_or(to).min(to)
    }

    /// The bytes of a page.
    pub(crate) fn bytes(&self, id: PageId) -> &[u8] {
        self.page(id).map_or(&[], |page| &page.bytes)
    }

    /// Writes bytes to a page, from `from` on; `begins` says whether something begins with the first.
    pub(crate) fn write(&mut self, id: PageId, from: u64, bytes: &[u8], begins: bool) {
        let Some(page) = self.pages.get_mut(id.0 as usize) else { return };
        let Ok(start) = usize::try_from(from) else { return };
        let Some(place) = page.bytes.get_mut(start..start + bytes.len()) else { return };
        place.copy_from_slice(bytes);
        set_range(&mut page.present, start, start + bytes.len());
        clear_range(&mut page.begins, start, start + bytes.len());
        if begins {
            set_range(&mut page.begins, start, start + 1);
        }
    }

    /// Says that something begins at this byte.
    pub(crate) fn set_begin(&mut self, id: PageId, at: u64) {
        let Some(page) = self.pages.get_mut(id.0 as usize) else { return };
        if let Ok(at) = usize::try_from(at) {
            set_range(&mut page.begins, at, at + 1);
        }
    }

    fn page(&self, id: PageId) -> Option<&Page> {
        self.pages.get(id.0 as usize)
    }

    fn page_of(&self, region: u32, page: u32) -> Option<PageId> {
        let region = self.regions.get(region as usize)?;
        let there = region.used >> page & 1 == 1;
        region.pages.get(page as usize).copied().filter(|_| there).map(PageId)
    }

    fn take_page(&mut self, stats: &mut StreamStats) -> Option<PageId> {
        if let Some(page) = self.pages.get_mut(self.free_page as usize) {
            let next = page.next_free;
            // What the bytes were does not matter: bits say which count.
            page.present = [0; WORDS];
            page.begins = [0; WORDS];
            self.spare_pages -= 1;
            stats.segment_from_cache += 1;
            return Some(PageId(std::mem::replace(&mut self.free_page, next)));
        }
        let at = u32::try_from(self.pages.len()).ok()?;
        (self.pages.len() < self.pages.capacity()).then(|| self.pages.push(EMPTY))?;
        stats.segment_from_pool += 1;
        Some(PageId(at))
    }

    fn give_back(&mut self, id: PageId) {
        let free = self.free_page;
        if let Some(page) = self.pages.get_mut(id.0 as usize) {
            page.next_free = free;
            self.free_page = id.0;
            self.spare_pages += 1;
        }
    }
}

/// A page's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageId(u32);
