//! What a client needs of the settings: where the hub is, and its key. A fault elsewhere, such as in a `[[pool]]` that is
//! being edited, does not keep a client from the hub.

use crate::fault::Fault;
use crate::origin::Origin;

/// The section that says where the hub is.
const HUB: &str = "hub";

/// Takes out the faults that do not concern a client; their number.
pub(crate) fn drop_others(faults: &mut Vec<Fault>) -> usize {
    let all = faults.len();
    faults.retain(concerns);
    all - faults.len()
}

fn concerns(fault: &Fault) -> bool {
    let section = fault.key.split('.').next().unwrap_or_default();
    // A misspelt [hub] would send the client to the default address.
    let meant = strsim::jaro_winkler(&section.to_lowercase(), HUB) >= 0.75;
    // Flags were written for this very command.
    meant || matches!(fault.origin, Some(Origin::Flag(_)))
}

/// The text of a file with its other sections left blank, so that lines keep their numbers. It is read where the whole
/// text is not TOML.
pub(crate) fn hub_only(text: &str) -> String {
    let mut keeps = true;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(heading) = line.trim_start().strip_prefix('[') {
            let name = heading.split(']').next().unwrap_or_default();
            keeps = name.trim() == HUB;
        }
        if keeps {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// The warning that stands for the faults that were dropped.
pub(crate) fn warning(file: &str) -> String {
    format!("{file} has faults that do not concern this command; `kirosu config check` lists them")
}
