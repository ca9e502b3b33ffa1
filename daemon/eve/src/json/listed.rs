//! What lists in the kernel decided: `drop` events with the list's name, and `list` events, which are ours, for what
//! was let through. (An alert would need a signature id, and a list has none.)

use super::Scope;
use super::dropped::DropObject;
use super::header::{Extras, Header};
use crate::value::Text;
use portcullis_event::ListedRecord;
use serde::Serialize;

/// `drop.reason` of what a blocklist dropped: ours.
const REASON: &str = "blocklist";

#[derive(Debug, Serialize)]
pub(crate) struct ListedEvent<'a> {
    #[serde(flatten)]
    header: Header<'a>,
    #[serde(flatten)]
    extras: Extras<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<DropObject>,
    list: ListObject<'a>,
}

#[derive(Debug, Serialize)]
struct ListObject<'a> {
    name: Text<'a>,
    action: &'static str,
}

pub(crate) fn listed<'a>(scope: &mut Scope<'a>, record: &'a ListedRecord<'_>) -> ListedEvent<'a> {
    let ListedRecord { common, packet, list, dropped } = record;
    let (kind, action) = if *dropped { ("drop", "drop") } else { ("list", "alert") };
    ListedEvent {
        header: Header::new(scope, common, kind),
        extras: Extras::of_packet(scope, common),
        drop: dropped.then(|| DropObject::new(common.ip_version, packet, REASON)),
        list: ListObject { name: Text(list), action },
    }
}
