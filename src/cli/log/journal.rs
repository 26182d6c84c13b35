//! The systemd journal, spoken to in its own protocol: fields stay fields, a line break stays within its message.

use crate::cli::failure::Failure;
use tracing_journald::{Layer, Priority, PriorityMappings};

/// Before the name of each field, in capitals: `journalctl KIROSU_TASK_ID=42`.
const PREFIX: &str = "KIROSU";

/// A layer that writes to the journal.
///
/// # Errors
/// When there is none.
pub fn layer() -> Result<Layer, Failure> {
    let layer = tracing_journald::layer().map_err(|why| {
        Failure::local(
            "cannot log to the journal (log.format is \"journald\")",
            format!("{why}; is /run/systemd/journal/socket there? Without systemd choose \"text\" or \"json\""),
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
