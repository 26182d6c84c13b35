//! A client needs only the hub's address and key. A fault elsewhere, for instance in a `[[pool]]` that is being edited,
//! does not stop it.

use crate::fault::ConfigFault;
use crate::origin::Origin;
use kirosu_protocol::text::nearest;

/// The section with the hub's address.
const HUB: &str = "hub";

/// Removes the faults that do not concern a client; returns their number.
pub(crate) fn drop_others(faults: &mut Vec<ConfigFault>) -> usize {
    let all = faults.len();
    faults.retain(concerns);
    all - faults.len()
}

fn concerns(fault: &ConfigFault) -> bool {
    let section = fault.key.split('.').next().unwrap_or_default();
    // A misspelt [hub] would send the client to the default address.
    let is_hub = nearest(&section.to_lowercase(), [HUB]).is_some();
    // A flag was given with this very command.
    is_hub || matches!(fault.origin, Some(Origin::Flag(_)))
}

/// The text with all sections but `[hub]` blanked, so that lines keep their numbers. Used if the file is not valid TOML.
pub(crate) fn hub_only(text: &str) -> String {
    let mut in_hub = true;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if let Some(heading) = line.trim_start().strip_prefix('[') {
            let name = heading.split(']').next().unwrap_or_default();
            in_hub = name.trim() == HUB;
        }
        if in_hub {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// The warning in place of the faults that were dropped.
pub(crate) fn warning(file: &str) -> String {
    format!("{file} has faults that do not concern this command; `kirosu config check` lists them")
}
