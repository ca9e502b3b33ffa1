//! Reports flows that last long: an update callback registers a removal hook on a flow once it is
//! old enough, so that only such flows have to be looked at when they end.

mod gate;

use gate::Gate;
use portcullis_flow::{
    Flow, FlowCallbacks, HookId, PacketAccess, RegisterError, Registry, RemovalHook, WorkerContext,
};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

struct Watch {
    report: HookId,
}

impl FlowCallbacks for Watch {
    fn update(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>, _: &mut PacketAccess<'_, '_>) {
        if flow.last_seen().since(flow.start()) >= LONG {
            flow.register_removal_hook(self.report);
        }
    }
}

struct Report {
    told: Sender<Duration>,
}

impl RemovalHook for Report {
    fn removed(&mut self, _: &mut WorkerContext, flow: &mut Flow<'_>) {
        // Whoever listened may be gone.
        let _ = self.told.send(flow.last_seen().since(flow.start()));
    }
}

fn register(registry: &mut Registry, told: Sender<Duration>) -> Result<(), RegisterError> {
    let factory = move |_| Box::new(Report { told: told.clone() }) as Box<dyn RemovalHook>;
    let report = registry.removal_hook("report-long", Box::new(factory))?;
    registry.register("watch-long", Box::new(move |_| Box::new(Watch { report })))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut registry = Registry::default();
    let (told, reported) = channel();
    register(&mut registry, told)?;
    let mut gate = Gate::new(registry)?;
    for _ in 0..5 {
        gate.send(&[gate::udp(1, b"a heartbeat")]);
        gate.pass(Duration::from_secs(20));
    }
    gate.send(&[gate::udp(2, b"just once")]);
    gate.close();
    let long: Vec<u64> = reported.try_iter().map(|lasted| lasted.as_secs()).collect();
    gate::say(&format!("flows of a minute and more lasted: {long:?} s"));
    if long != [80] {
        return Err("one flow lasted 80 seconds".into());
    }
    Ok(())
}
