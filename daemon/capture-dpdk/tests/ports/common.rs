//! Two outsides and the module under test between them.

use portcullis_capture::{Burst, PacketModule, Poll, Verdict};
use portcullis_capture_dpdk::sys::{Lane, Mbuf, Pool, Port, PortRequest, wired_ports};
use portcullis_capture_dpdk::{CopyMode, DpdkConfig, DpdkModule, DpdkPort, DpdkSet, Eal, EalConfig};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// How long something that must come is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Packets that wires hold.
const WIRE: u32 = 2048;

/// The environment of all tests, without huge pages so that they run anywhere.
pub(crate) fn eal() -> &'static Arc<Eal> {
    static EAL: OnceLock<Arc<Eal>> = OnceLock::new();
    let devices = ["net_null0", "net_null1"].map(str::to_owned).to_vec();
    let config = EalConfig { devices, memory_mb: 1024, ..EalConfig::default() };
    EAL.get_or_init(|| Eal::start(&config).unwrap())
}

/// A new pair of wired ports; their devices.
pub(crate) fn wire(queues: u16) -> [String; 2] {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let name = format!("w{}", COUNTER.fetch_add(1, Ordering::Relaxed));
    wired_ports(eal(), &name, queues, WIRE).unwrap()
}

/// What is beyond a port of the gate.
pub(crate) struct Outside {
    lanes: Vec<Lane>,
    pool: Arc<Pool>,
    _port: Arc<Port>,
}

impl Outside {
    pub(crate) fn open(device: &str, queues: u16, room: u16) -> Self {
        let pool = Pool::new(eal(), 8191, room, -1).unwrap();
        let request = PortRequest {
            queues,
            rx_descriptors: 512,
            tx_descriptors: 512,
            mtu: None,
            checksum: false,
            scatter: false,
            promiscuous: true,
        };
        let (port, lanes) = Port::start(device, &request, &pool).unwrap();
        Self { lanes, pool, _port: port }
    }

    /// Sends a frame by a queue.
    pub(crate) fn send_by(&mut self, queue: usize, frame: &[u8]) {
        let packet = self.pool.packet(frame).unwrap();
        self.send_packet(queue, packet);
    }

    /// Sends a frame in parts, each in a buffer of its own.
    pub(crate) fn send_in_parts(&mut self, frame: &[u8], part: usize) {
        let mut parts = frame.chunks(part).map(|part| self.pool.packet(part).unwrap());
        let first = parts.next().unwrap();
        let packet = parts.fold(first, |packet, part| packet.chain(part).unwrap());
        self.send_packet(0, packet);
    }

    fn send_packet(&mut self, queue: usize, packet: Mbuf) {
        let mut packets = arrayvec::ArrayVec::<Mbuf, 1>::new();
        packets.push(packet);
        self.lanes[queue].send(&mut packets);
        assert!(packets.is_empty(), "the wire is full");
    }

    /// Sends a frame.
    pub(crate) fn send(&mut self, frame: &[u8]) {
        self.send_by(0, frame);
    }

    /// What has arrived, in order of the queues.
    pub(crate) fn received(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for lane in &mut self.lanes {
            let mut take = |packet: Mbuf| {
                let mut frame = vec![0; packet.total()];
                packet.gather(&mut frame);
                frames.push(frame);
            };
            while lane.receive(32, &mut take) > 0 {}
        }
        frames
    }

    pub(crate) fn missing(&self) -> u32 {
        self.pool.size() - self.pool.available()
    }
}

#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) queues: u16,
    pub(crate) workers: u8,
    pub(crate) copy_mode: CopyMode,
    /// Bytes of a packet that a buffer of the outsides takes.
    pub(crate) room: u16,
    pub(crate) change: fn(&mut DpdkConfig),
}

impl Default for Options {
    fn default() -> Self {
        Self { queues: 1, workers: 1, copy_mode: CopyMode::Ips, room: 2048, change: |_| () }
    }
}

pub(crate) struct Bench {
    pub(crate) modules: Vec<DpdkModule>,
    pub(crate) set: DpdkSet,
    pub(crate) client: Outside,
    pub(crate) server: Outside,
}

impl Bench {
    pub(crate) fn new(options: &Options) -> Self {
        let [first, client] = wire(options.queues);
        let [second, server] = wire(options.queues);
        let (set, modules) = DpdkSet::open(&config([first, second], options), eal()).unwrap();
        let client = Outside::open(&client, options.queues, options.room);
        let server = Outside::open(&server, options.queues, options.room);
        Self { modules, set, client, server }
    }

    /// Polls all modules until `enough` packets were judged and none follows at once.
    pub(crate) fn run(&mut self, enough: usize, mut judge: impl FnMut(usize, &mut Burst<'_>)) {
        let mut count = 0;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let before = count;
            for (worker, module) in self.modules.iter_mut().enumerate() {
                count += poll(module, &mut |burst| judge(worker, burst));
            }
            if count == before && count >= enough {
                return;
            }
            assert!(Instant::now() < deadline, "only {count} of {enough} packets came");
        }
    }

    /// Ends it; every buffer must be where it belongs.
    pub(crate) fn end(self) {
        let Self { modules, set, mut client, mut server } = self;
        let count = set.close(modules);
        assert_eq!(count.missing(), 0, "{count:?}");
        // What one sent may still be on the other's wire.
        drop((client.received(), server.received()));
        for outside in [&client, &server] {
            assert_eq!(outside.missing(), 0, "the outside's buffers");
        }
    }
}

pub(crate) fn config(devices: [String; 2], options: &Options) -> DpdkConfig {
    let [first, second] = devices;
    let port = |name: &str, device| DpdkPort { name: name.to_owned(), device };
    let mut config = DpdkConfig {
        ports: vec![port("left", first), port("right", second)],
        workers: options.workers,
        queues: Some(options.queues),
        copy_mode: options.copy_mode,
        rx_descriptors: 256,
        tx_descriptors: 256,
        ..DpdkConfig::default()
    };
    (options.change)(&mut config);
    config
}

/// One poll; how many packets it brought.
pub(crate) fn poll(module: &mut DpdkModule, judge: &mut dyn FnMut(&mut Burst<'_>)) -> usize {
    match module.poll(judge).unwrap() {
        Poll::Received(count) => count,
        Poll::Empty | Poll::End => 0,
    }
}

/// Judges every packet of a burst alike.
pub(crate) fn all(burst: &mut Burst<'_>, verdict: Verdict) {
    for index in 0..burst.len() {
        assert!(burst.judge(index, verdict));
    }
}

/// A frame of a length.
pub(crate) fn frame(length: usize) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    frame.extend((14..length).map(|place| u8::try_from(place % 251).unwrap()));
    frame
}
