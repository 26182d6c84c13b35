//! The systemd journal in its own protocol: fields remain fields, and a line break does not split a message.

use tracing_journald::{Layer, Priority, PriorityMappings};

/// Prefix of the name of each field, in capitals: `journalctl KIROSU_TASK_ID=42`.
const PREFIX: &str = "KIROSU";

/// A layer that writes to the journal.
///
/// # Errors
/// The journal's socket does not exist.
pub fn layer() -> Result<Layer, String> {
    let layer = tracing_journald::layer().map_err(|why| {
        format!(
            "cannot log to the journal (log.format is \"journald\"): {why}; is /run/systemd/journal/socket there? \
             Without systemd choose \"text\" or \"json\""
        )
    })?;
    Ok(layer
        .with_syslog_identifier("kirosu".into())
        .with_field_prefix(Some(PREFIX.into()))
        .with_priority_mappings(PriorityMappings {
            info: Priority::Informational,
            debug: Priority::Debug,
            ..PriorityMappings::new()
        }))
}
