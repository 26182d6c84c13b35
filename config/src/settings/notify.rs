//! `[[notify]]`: targets that are notified of events.

use std::path::PathBuf;
use std::time::Duration;

use kirosu_protocol::{NoticeKind, NotifyKind};
use strum::VariantNames;

use super::{DAY, HOUR, MILLISECOND, SECOND};
use crate::schema::Allowed::{Bool, Choice, Command, List, Name, Path, Text, Time};
use crate::schema::KeyDefault::{Is, Required, Unset};
use crate::schema::define_section;

/// Texts of a task that the events about it may include.
pub const NOTIFY_INCLUDE: &[&str] = &["prompt", "result"];

define_section! {
    /// One `[[notify]]`: a target that is notified of events.
    pub struct NotifySection: Array("notify") {
        /// Unique name. The file may leave it out: then it is the kind.
        name: String = Name, Required;
        /// The way in which it is notified.
        kind: NotifyKind = Choice(NotifyKind::VARIANTS), Required;
        /// The events that it gets, of [`NoticeKind::EVENTS`].
        events: Vec<String> = List, Is(ALL_EVENTS);
        /// Of events about a task: only of these queues. Empty means any.
        queues: Vec<String> = List, Is("[]");
        /// Of events about a task: only of these types. Empty means any.
        types: Vec<String> = List, Is("[]");
        /// Of events about a task: only those with one of these labels. Empty means any.
        labels: Vec<String> = List, Is("[]");
        /// Texts that events about a task include, of [`NOTIFY_INCLUDE`].
        include: Vec<String> = List, Is("[]");
        /// Address of a webhook.
        url: Option<String> = Text, Unset;
        /// Variable that holds the address of a webhook whose address is a secret.
        url_env: Option<String> = Text, Unset;
        /// Whether a webhook beyond loopback may have an address without TLS.
        plain_beyond_loopback: bool = Bool, Is("false");
        /// Variable that holds the secret with which requests to a webhook are signed.
        secret_env: Option<String> = Text, Unset;
        /// File that holds this secret.
        secret_file: Option<PathBuf> = Path, Unset;
        /// Program and arguments of the kind `command`.
        command: Vec<String> = Command, Is("[]");
        /// Longest delivery.
        #[serde(with = "humantime_serde")]
        timeout: Duration = Time(SECOND, HOUR), Is("\"15s\"");
        /// First delay before a failed delivery is tried again. Delays double.
        #[serde(with = "humantime_serde")]
        retry_initial: Duration = Time(MILLISECOND, HOUR), Is("\"1s\"");
        /// Longest delay.
        #[serde(with = "humantime_serde")]
        retry_max: Duration = Time(MILLISECOND, DAY), Is("\"1m\"");
    }
}

const ALL_EVENTS: &str = "[\"waits_for_person\", \"failed\", \"run_ended\", \"pool_down\", \"budget_used_up\", \"drained\"]";

impl NotifySection {
    /// The events that it gets, as a set of [`NoticeKind::bit`]. Tests belong to no set.
    #[must_use]
    pub fn event_bits(&self) -> u32 {
        let kinds = self
            .events
            .iter()
            .filter_map(|name| NoticeKind::from_name(name));
        kinds.fold(0, |all, kind| all | kind.bit())
    }
}
