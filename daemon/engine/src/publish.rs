//! Counters from a worker to whoever reads them: the whole block at once, so that no reader sees
//! a torn set; the worker never waits.

use portcullis_event::Counters;
use portcullis_flow::{HookCost, HookId, Registry};
use triple_buffer::{Input, Output, TripleBuffer};

/// Most hooks that a worker can have.
const MOST_HOOKS: usize = Registry::MOST_CALLBACKS + HookId::MOST;

/// What is published at once.
#[derive(Clone, Debug, Default)]
struct Block {
    counters: Counters,
    /// Of the hooks that there are, in the order of [`Callbacks::costs`](portcullis_flow::Callbacks::costs).
    costs: [HookCost; MOST_HOOKS],
    hooks: usize,
}

/// The worker's end.
#[derive(Debug)]
pub struct Publisher(Input<Block>);

/// The reader's end: one a worker.
#[derive(Debug)]
pub struct Published(Output<Block>);

/// A pair of ends over counters at zero.
#[must_use]
pub fn channel() -> (Publisher, Published) {
    let (input, output) = TripleBuffer::new(&Block::default()).split();
    (Publisher(input), Published(output))
}

impl Publisher {
    /// Makes these counters, and costs of hooks, the ones that readers see.
    pub fn publish(&mut self, counters: &Counters, costs: impl Iterator<Item = HookCost>) {
        let block = self.0.input_buffer_mut();
        block.counters.clone_from(counters);
        block.hooks = 0;
        for (place, cost) in block.costs.iter_mut().zip(costs) {
            *place = cost;
            block.hooks += 1;
        }
        self.0.publish();
    }
}

impl Published {
    /// The block that was published last.
    pub fn latest(&mut self) -> &Counters {
        &self.0.read().counters
    }

    /// What the worker's hooks were used for and cost, as published with the latest counters: first the
    /// lifecycle callbacks, then the removal hooks, each in the order of
    /// [`Registry::names`](portcullis_flow::Registry::names).
    pub fn hook_costs(&mut self) -> &[HookCost] {
        let block = self.0.read();
        block.costs.get(..block.hooks).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_sees_whole_blocks_only() {
        const LAST: u64 = 200_000;
        let (mut publisher, mut published) = channel();
        let writer = std::thread::spawn(move || {
            let mut counters = Counters::default();
            for n in 1..=LAST {
                counters.flow_total = n;
                counters.flow_active = n;
                counters.decoder_pkts = 2 * n;
                publisher.publish(&counters, std::iter::empty());
            }
        });
        let mut seen = 0;
        while seen < LAST {
            let block = published.latest();
            assert_eq!(block.flow_total, block.flow_active);
            assert_eq!(block.decoder_pkts, 2 * block.flow_total);
            assert!(block.flow_total >= seen, "time runs forward");
            seen = block.flow_total;
            std::thread::yield_now();
        }
        writer.join().unwrap();
    }
}
