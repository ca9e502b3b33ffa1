//! Regions: which pages of a stream there are, in chains in the stream's order.

use super::{NoPage, PAGE, Pages, REGION};
use crate::arena::NONE;

/// Most regions of one direction: 16 MiB. Looking one up goes through them.
const REGIONS_MAX: u16 = 256;

/// 64 KiB of a stream: which pages of it there are.
#[derive(Clone, Debug)]
pub(super) struct Region {
    /// Which of the stream's it is.
    pub(super) number: u32,
    pub(super) previous: u32,
    pub(super) next: u32,
    /// A bit for each page that there is.
    pub(super) used: u64,
    pub(super) pages: [u32; REGION as usize],
}

/// The pages of one direction: regions in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(super) first: u32,
    /// Where the last look-up ended; the next one is most often there.
    pub(super) recent: u32,
    pub(super) regions: u16,
    pub(super) islands: u8,
    pub(super) islands_max: u8,
}

impl Default for Chain {
    fn default() -> Self {
        Self { first: NONE, recent: NONE, regions: 0, islands: 0, islands_max: 0 }
    }
}

impl Chain {
    /// Most stretches of regions that there were at a time.
    pub(crate) const fn islands_max(&self) -> u8 {
        self.islands_max
    }

    pub(crate) const fn set_islands_max(&mut self, most: u8) {
        self.islands_max = most;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.first == NONE
    }
}

impl Pages {
    /// The place of a region, or of the last one before it ([`NONE`] where there is none).
    pub(super) fn locate(&self, chain: &Chain, number: u32) -> Result<u32, u32> {
        let mut at = if chain.recent == NONE { chain.first } else { chain.recent };
        let mut before = NONE;
        while let Some(region) = self.regions.get(at as usize) {
            if region.number == number {
                return Ok(at);
            }
            if region.number < number {
                before = at;
                let next = self.regions.get(region.next as usize);
                if next.is_none_or(|next| next.number > number) {
                    return Err(at);
                }
                at = region.next;
            } else {
                if before != NONE {
                    return Err(before);
                }
                at = region.previous;
            }
        }
        Err(before)
    }

    pub(super) fn add_region(
        &mut self,
        chain: &mut Chain,
        number: u32,
        after: u32,
        islands_max: u8,
    ) -> Result<u32, NoPage> {
        let next = match self.regions.get(after as usize) {
            Some(region) => region.next,
            None => chain.first,
        };
        let neighbour = |at: u32, wanted: Option<u32>| {
            self.regions.get(at as usize).is_some_and(|region| Some(region.number) == wanted)
        };
        let touching = u8::from(neighbour(after, number.checked_sub(1)))
            + u8::from(neighbour(next, number.checked_add(1)));
        let islands = (chain.islands + 1).saturating_sub(touching);
        let too_many = islands_max != 0 && islands > islands_max && islands > chain.islands;
        if chain.regions >= REGIONS_MAX || islands == u8::MAX || too_many {
            return Err(NoPage::Limit);
        }
        let new = Region { number, previous: after, next, used: 0, pages: [NONE; REGION as usize] };
        let at = self.take_region(new).ok_or(NoPage::Memcap)?;
        match self.regions.get_mut(after as usize) {
            Some(region) => region.next = at,
            None => chain.first = at,
        }
        if let Some(region) = self.regions.get_mut(next as usize) {
            region.previous = at;
        }
        chain.regions += 1;
        chain.islands = islands;
        chain.islands_max = chain.islands_max.max(islands);
        Ok(at)
    }

    /// Takes the first region out; its pages are gone already.
    pub(super) fn remove_first(&mut self, chain: &mut Chain) {
        let at = chain.first;
        let free = self.free_region;
        let Some(region) = self.regions.get_mut(at as usize) else { return };
        let (next, number) = (region.next, region.number);
        region.next = free;
        region.used = 0;
        self.free_region = at;
        self.spare_regions += 1;
        chain.first = next;
        chain.regions = chain.regions.saturating_sub(1);
        if chain.recent == at {
            chain.recent = NONE;
        }
        let adjacent = match self.regions.get_mut(next as usize) {
            Some(region) => {
                region.previous = NONE;
                region.number.checked_sub(1) == Some(number)
            }
            None => false,
        };
        chain.islands = chain.islands.saturating_sub(u8::from(!adjacent));
    }

    fn take_region(&mut self, new: Region) -> Option<u32> {
        if let Some(region) = self.regions.get_mut(self.free_region as usize) {
            let next = region.next;
            *region = new;
            self.spare_regions -= 1;
            return Some(std::mem::replace(&mut self.free_region, next));
        }
        let at = u32::try_from(self.regions.len()).ok()?;
        (self.regions.len() < self.regions.capacity()).then(|| self.regions.push(new))?;
        Some(at)
    }
}

/// Region and page in it of an offset. Streams of more than 2^48 bytes do not come to their end.
pub(super) fn place(offset: u64) -> (u32, u32) {
    let page = offset / PAGE;
    let region = u32::try_from(page / u64::from(REGION)).unwrap_or(u32::MAX);
    (region, u32::try_from(page % u64::from(REGION)).unwrap_or(0))
}
