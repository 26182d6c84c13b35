//! Delivery to the desktop of the user: one notification for all events that wait, at most one every five seconds.

use crate::DeliveryFailure;
use crate::body::line;
use crate::program::{ProgramBounds, run};
use kirosu_protocol::NoticeInfo;
use std::path::Path;
use std::time::Duration;

/// The shortest time between two notifications.
pub(crate) const PACE: Duration = Duration::from_secs(5);
/// The most events that a notification shows.
const SHOWN: usize = 4;

/// Shows the events.
pub(crate) async fn deliver(
    notices: &[NoticeInfo],
    bounds: &ProgramBounds<'_>,
) -> Result<(), DeliveryFailure> {
    let (title, text) = texts(notices);
    if cfg!(target_os = "macos") {
        return run(&osascript(title, text), Vec::new(), Vec::new(), bounds).await;
    }
    check().map_err(DeliveryFailure::new)?;
    run(&notify_send(title, text), Vec::new(), Vec::new(), bounds).await
}

/// The program that shows a notification.
pub(crate) const PROGRAM: &str = if cfg!(target_os = "macos") {
    "osascript"
} else {
    "notify-send"
};

/// Checks that there is a desktop.
///
/// # Errors
/// There is no desktop: a sentence for a person.
pub(crate) fn check() -> Result<(), String> {
    if cfg!(target_os = "macos") || has_session_bus() {
        return Ok(());
    }
    Err("there is no desktop: neither DBUS_SESSION_BUS_ADDRESS nor a bus in XDG_RUNTIME_DIR is there; start kirosu in the session of the user".to_owned())
}

fn has_session_bus() -> bool {
    let is_set = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|it| !it.is_empty());
    let runtime = std::env::var_os("XDG_RUNTIME_DIR");
    is_set || runtime.is_some_and(|folder| Path::new(&folder).join("bus").exists())
}

/// Title and text of a notification.
fn texts(notices: &[NoticeInfo]) -> (String, String) {
    let title = match notices {
        [one] => format!("Kirosu: {}", one.event.as_str().replace('_', " ")),
        more => format!("Kirosu: {} events", more.len()),
    };
    let mut lines: Vec<String> = notices.iter().take(SHOWN).map(line).collect();
    if notices.len() > SHOWN {
        lines.push(format!("and {} more", notices.len() - SHOWN));
    }
    (title, lines.join("\n"))
}

/// The text is markup: https://specifications.freedesktop.org/notification-spec
fn notify_send(title: String, text: String) -> Vec<String> {
    let text = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let words = [PROGRAM, "--app-name=Kirosu", "--"].map(str::to_owned);
    words.into_iter().chain([title, text]).collect()
}

fn osascript(title: String, text: String) -> Vec<String> {
    let script =
        "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
    let words = [PROGRAM, "-e", script].map(str::to_owned);
    words.into_iter().chain([title, text]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::{NoticeData, NoticeKind};

    #[test]
    fn one_notification_shows_all_events_that_wait() {
        let notice = |task: i64| NoticeInfo {
            number: task,
            id: String::new(),
            event: NoticeKind::Failed,
            at: 0.0,
            data: NoticeData {
                task_id: Some(task),
                error: Some("<b>a & b</b>".to_owned()),
                ..NoticeData::default()
            },
        };
        let (title, text) = texts(&[notice(1)]);
        assert_eq!(title, "Kirosu: failed");
        let argv = notify_send(title, text);
        assert_eq!(argv[4], "task 1 failed: &lt;b&gt;a &amp; b&lt;/b&gt;");
        let many: Vec<NoticeInfo> = (1..=9).map(notice).collect();
        let (title, text) = texts(&many);
        assert_eq!(title, "Kirosu: 9 events");
        assert!(text.ends_with("\nand 5 more"), "{text}");
    }
}
