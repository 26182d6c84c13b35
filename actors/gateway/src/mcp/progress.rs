//! What a waiting client is told: the task's events as MCP progress notifications.

use kirosu_protocol::EventKind;
use rmcp::RoleServer;
use rmcp::model::{ProgressNotificationParam, ProgressToken};
use rmcp::service::{Peer, RequestContext};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The shortest time between two notifications about the same run; the newest word is told then.
const SHORTEST: Duration = Duration::from_millis(200);
/// The longest silence: clients take one for a server that hangs, and sessions over HTTP would end.
const LONGEST: Duration = Duration::from_secs(10);
/// Characters of a worker's own word.
const CHARS: usize = 300;

/// Tells a client that has asked for progress.
pub(super) struct Teller {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// Notifications so far: MCP wants a number that grows, and nobody knows how far a task is.
    told: u32,
    /// What was said last, again when nothing happens.
    last: String,
    /// What waits until it may be told.
    next: Option<String>,
    at: Instant,
}

impl Teller {
    /// None for a client that has not asked for progress.
    pub(super) fn new(context: &RequestContext<RoleServer>) -> Option<Teller> {
        Some(Teller {
            peer: context.peer.clone(),
            token: context.meta.get_progress_token()?,
            told: 0,
            last: String::new(),
            next: None,
            at: Instant::now(),
        })
    }

    /// Tells it now.
    pub(super) async fn tell(&mut self, message: String) {
        self.told += 1;
        self.at = Instant::now();
        self.next = None;
        self.last = message.clone();
        let progress = ProgressNotificationParam::new(self.token.clone(), f64::from(self.told));
        // A client that has gone is told nothing; its wait is ended elsewhere.
        let _ = self
            .peer
            .notify_progress(progress.with_message(message))
            .await;
    }

    /// Tells of an event: a change of state at once, a worker's word when its time has come.
    pub(super) async fn hear(&mut self, what: &EventKind) {
        match (words(what), what) {
            (None, _) => {}
            (Some(words), EventKind::Progress { .. }) => self.next = Some(words),
            (Some(words), _) => self.tell(words).await,
        }
    }

    /// Until something is due to be told.
    pub(super) async fn due(&self) {
        let pause = match self.next {
            Some(_) => SHORTEST,
            None => LONGEST,
        };
        tokio::time::sleep_until(self.at + pause).await;
    }

    /// Tells what is due.
    pub(super) async fn catch_up(&mut self) {
        let message = self.next.take().unwrap_or_else(|| self.last.clone());
        self.tell(message).await;
    }
}

/// An event in words.
fn words(what: &EventKind) -> Option<String> {
    match what {
        EventKind::Task { status, reason, .. } => {
            let why = match reason == status.as_str() {
                true => String::new(),
                false => format!(" ({reason})"),
            };
            let by = what.task_changed_by().map(|who| format!(" by {who}"));
            Some(format!("{status}{why}{}", by.unwrap_or_default()))
        }
        EventKind::Progress { data, .. } => Some(word(data)),
        _ => None,
    }
}

/// A worker's own word: `percent` and `text` where it says them, else as it is.
fn word(data: &Value) -> String {
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
    fn events_are_told_in_words() {
        let task = |status: &str, worker: Option<&str>, reason: &str| {
            let event = json!({
                "event": "task", "task_id": 1, "status": status, "fence": 1, "worker_id": worker, "reason": reason,
            });
            serde_json::from_value::<EventKind>(event).unwrap()
        };
        let leased = task("leased", Some("echo-1"), "leased");
        assert_eq!(words(&leased).unwrap(), "leased by echo-1");
        let lost = task("queued", None, "lost");
        assert_eq!(words(&lost).unwrap(), "queued (lost)");
    }

    #[test]
    fn a_workers_word_is_told_in_whatever_form_it_comes() {
        for (data, told) in [
            (json!({"percent": 40, "text": "reading"}), "40 %: reading"),
            (json!({"percent": 12.5}), "12.5 %"),
            (json!("half way"), "half way"),
            (json!({"step": 3}), "{\"step\":3}"),
            (json!(null), "null"),
        ] {
            assert_eq!(word(&data), told);
        }
        assert_eq!(word(&json!("ö".repeat(1000))).chars().count(), CHARS + 1);
    }
}
