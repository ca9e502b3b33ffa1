//! Counters from a worker to whoever reads them: the whole block at once, so that no reader sees
//! a torn set; the worker never waits.

use portcullis_event::Counters;
use triple_buffer::{Input, Output, TripleBuffer};

/// The worker's end.
#[derive(Debug)]
pub struct Publisher(Input<Counters>);

/// The reader's end: one a worker.
#[derive(Debug)]
pub struct Published(Output<Counters>);

/// A pair of ends over counters at zero.
#[must_use]
pub fn channel() -> (Publisher, Published) {
    let (input, output) = TripleBuffer::new(&Counters::default()).split();
    (Publisher(input), Published(output))
}

impl Publisher {
    /// Makes this block the one that readers see.
    pub fn publish(&mut self, counters: &Counters) {
        self.0.input_buffer_mut().clone_from(counters);
        self.0.publish();
    }
}

impl Published {
    /// The block that was published last.
    pub fn latest(&mut self) -> &Counters {
        self.0.read()
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
                publisher.publish(&counters);
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
