//! `flow`

use super::{Entry, Setting, Takes};
use crate::draft::Draft;
use crate::error::Fault;
use crate::rule::FlowNeeds;
use portcullis_flow::Direction;

pub(super) const KEYWORD: Entry = Entry { names: &["flow"], takes: Takes::Value, setup };

fn setup(draft: &mut Draft, setting: Setting<'_>) -> Result<(), Fault> {
    if draft.flow.is_some() {
        return Err(Fault::new(setting.at, "`flow` is given twice"));
    }
    let mut needs = FlowNeeds::default();
    let (mut state, mut direction, mut stream, mut fragment) = (None, None, None, None);
    for part in setting.value.list() {
        let word = part.text()?;
        let group = match word {
            "established" | "not_established" | "stateless" => &mut state,
            "to_server" | "from_client" | "to_client" | "from_server" => &mut direction,
            "only_stream" | "no_stream" => &mut stream,
            "no_frag" | "only_frag" => &mut fragment,
            _ => return Err(Fault::new(part.at, format!("unknown `flow` option `{word}`"))),
        };
        if let Some(before) = group.replace(word) {
            let reason = if before == word {
                format!("`{word}` is given twice")
            } else {
                format!("`{word}` cannot be combined with `{before}`")
            };
            return Err(Fault::new(part.at, reason));
        }
        match word {
            "established" => needs.established = Some(true),
            "not_established" => needs.established = Some(false),
            "to_server" | "from_client" => needs.direction = Some(Direction::ToServer),
            "to_client" | "from_server" => needs.direction = Some(Direction::ToClient),
            "only_stream" => needs.only_stream = true,
            "no_stream" => needs.no_stream = true,
            "only_frag" => needs.fragment = Some(true),
            "no_frag" => needs.fragment = Some(false),
            _ => {}
        }
    }
    draft.flow = Some(needs);
    Ok(())
}
