//! MCP progress notifications with a task's events, for a client that waits.

use kirosu_protocol::EventKind;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// Minimum time between two notifications with progress of a worker. The newest progress is sent then.
const MIN_INTERVAL: Duration = Duration::from_millis(200);
/// Maximum time between two notifications: clients take a longer silence for a hanging server, and sessions over HTTP
/// would end.
const MAX_INTERVAL: Duration = Duration::from_secs(10);
/// Maximum number of characters of a worker's progress.
const CHARS: usize = 300;

/// Sends progress to a client that has requested it.
pub(super) struct ProgressReporter {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// Number of notifications. MCP needs a growing number, and the completed part of a task is unknown.
    sent: u32,
    /// The last message, repeated when nothing changes.
    last: String,
    /// A message that waits for [`MIN_INTERVAL`].
    next: Option<String>,
    /// Time of the last notification.
    at: Instant,
}

impl ProgressReporter {
    /// `None` if the client has not requested progress.
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Option<ProgressReporter> {
        Some(ProgressReporter {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token()?,
            sent: 0,
            last: String::new(),
            next: None,
            at: Instant::now(),
        })
    }

    /// Sends a message immediately.
    pub(super) async fn send(&mut self, message: String) {
        self.sent += 1;
        self.at = Instant::now();
        self.next = None;
        self.last = message.clone();
        let progress = ProgressNotificationParam::new(self.token.clone(), f64::from(self.sent));
        // Fails if the client has disconnected; the transport then ends the wait.
        let _ = self
            .peer
            .notify_progress(progress.with_message(message))
            .await;
    }

    /// Reports an event: a change of status immediately, a worker's progress after [`MIN_INTERVAL`].
    pub(super) async fn on_event(&mut self, event: &EventKind) {
        match (event_text(event), event) {
            (None, _) => {}
            (Some(text), EventKind::Progress { .. }) => self.next = Some(text),
            (Some(text), _) => self.send(text).await,
        }
    }

    /// Resolves when a notification is due.
    pub(super) async fn due(&self) {
        let pause = match self.next {
            Some(_) => MIN_INTERVAL,
            None => MAX_INTERVAL,
        };
        tokio::time::sleep_until(self.at + pause).await;
    }

    /// Sends the notification that is due.
    pub(super) async fn send_due(&mut self) {
        let message = self.next.take().unwrap_or_else(|| self.last.clone());
        self.send(message).await;
    }
}

/// The message for an event, if it has one.
fn event_text(what: &EventKind) -> Option<String> {
    match what {
        EventKind::Task { status, reason, .. } => {
            let why = match reason == status.as_str() {
                true => String::new(),
                false => format!(" ({reason})"),
            };
            let by = what.task_changed_by().map(|who| format!(" by {who}"));
            Some(format!("{status}{why}{}", by.unwrap_or_default()))
        }
        EventKind::Progress { data, .. } => Some(progress_text(data)),
        _ => None,
    }
}

/// The message for a worker's progress: `percent` and `text` if it has them, else its JSON.
fn progress_text(data: &Value) -> String {
    let percent = data.get("percent").and_then(Value::as_f64);
    let text = data.get("text").or(Some(data)).and_then(Value::as_str);
    let said = match (percent, text) {
        (Some(percent), Some(text)) => format!("{percent} %: {text}"),
        (Some(percent), None) => format!("{percent} %"),
        (None, Some(text)) => text.to_owned(),
        (None, None) => data.to_string(),
    };
    match said.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}…", &said[..end]),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_become_messages() {
        let task = |status: &str, worker: Option<&str>, reason: &str| {
            let event = json!({
                "event": "task", "task_id": 1, "status": status, "fence": 1, "worker_id": worker, "reason": reason,
            });
            serde_json::from_value::<EventKind>(event).unwrap()
        };
        let leased = task("leased", Some("echo-1"), "leased");
        assert_eq!(event_text(&leased).unwrap(), "leased by echo-1");
        let lost = task("queued", None, "lost");
        assert_eq!(event_text(&lost).unwrap(), "queued (lost)");
    }

    #[test]
    fn progress_of_any_form_becomes_a_message() {
        for (data, told) in [
            (json!({"percent": 40, "text": "reading"}), "40 %: reading"),
            (json!({"percent": 12.5}), "12.5 %"),
            (json!("half way"), "half way"),
            (json!({"step": 3}), "{\"step\":3}"),
            (json!(null), "null"),
        ] {
            assert_eq!(progress_text(&data), told);
        }
        assert_eq!(
            progress_text(&json!("ö".repeat(1000))).chars().count(),
            CHARS + 1
        );
    }
}
