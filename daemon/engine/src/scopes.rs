//! What tells flows apart besides their packets: the `use-for-tracking` settings, and the inline set of the
//! port that a packet came in on.

use crate::settings::EngineSettings;
use portcullis_capture::PortId;
use portcullis_flow::KeyScope;
use std::sync::Arc;

/// The scope of keys, by port.
#[derive(Clone, Debug)]
pub(crate) struct Scopes {
    ports: Arc<[KeyScope]>,
    others: KeyScope,
}

impl Scopes {
    /// As the engine is told.
    pub(crate) fn new(settings: &EngineSettings) -> Self {
        let of_set = |inline_set| KeyScope { options: settings.flow.key, tenant: 0, inline_set };
        Self { ports: settings.inline_sets.iter().copied().map(of_set).collect(), others: of_set(0) }
    }

    /// All that there are; some may be alike.
    pub(crate) fn all(&self) -> impl Iterator<Item = &KeyScope> {
        self.ports.iter().chain([&self.others])
    }

    /// That of a packet that came in on this port.
    #[inline]
    pub(crate) fn at(&self, ingress: PortId) -> &KeyScope {
        self.ports.get(usize::from(ingress.0)).unwrap_or(&self.others)
    }
}
