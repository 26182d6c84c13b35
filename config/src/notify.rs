//! Checks of the targets of notifications.

use kirosu_protocol::text::nearest;
use kirosu_protocol::{NoticeKind, NotifyKind};

use crate::settings::{NOTIFY_INCLUDE, NotifySection};

/// Adds a fault for every contradiction between the keys of a target.
pub(crate) fn check(target: &NotifySection, refuse: &mut dyn FnMut(String, String)) {
    let mut refuse =
        |key: &str, message: String| refuse(format!("notify.{}.{key}", target.name), message);
    if !target.name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        refuse("name", "has to begin with a letter or a digit".to_owned());
    }
    words("events", &target.events, NoticeKind::EVENTS, &mut refuse);
    words("include", &target.include, NOTIFY_INCLUDE, &mut refuse);
    if target.events.is_empty() {
        let all = NoticeKind::EVENTS.join(", ");
        refuse(
            "events",
            format!("is empty, so nothing would be sent: name some of {all}"),
        );
    }
    if target.retry_initial > target.retry_max {
        refuse("retry_initial", "is longer than retry_max".to_owned());
    }
    of_kind(target, &mut refuse);
}

fn of_kind(target: &NotifySection, refuse: &mut dyn FnMut(&str, String)) {
    let keys = [
        ("url", NotifyKind::Webhook, target.url.is_some()),
        ("url_env", NotifyKind::Webhook, target.url_env.is_some()),
        (
            "plain_beyond_loopback",
            NotifyKind::Webhook,
            target.plain_beyond_loopback,
        ),
        (
            "secret_env",
            NotifyKind::Webhook,
            target.secret_env.is_some(),
        ),
        (
            "secret_file",
            NotifyKind::Webhook,
            target.secret_file.is_some(),
        ),
        ("command", NotifyKind::Command, !target.command.is_empty()),
    ];
    for (key, kind, is_set) in keys {
        if is_set && kind != target.kind {
            refuse(
                key,
                format!(
                    "belongs to kind = \"{kind}\", and this target has kind = \"{}\"",
                    target.kind
                ),
            );
        }
    }
    match target.kind {
        NotifyKind::Webhook => {
            match (&target.url, &target.url_env) {
                (None, None) => refuse(
                    "url",
                    "has to be set (or url_env): the address that gets the requests".to_owned(),
                ),
                (Some(_), Some(_)) => {
                    refuse("url_env", "url is set, too: keep one of them".to_owned())
                }
                _ => {}
            }
            if target.secret_env.is_some() && target.secret_file.is_some() {
                refuse(
                    "secret_file",
                    "secret_env is set, too: keep one of them".to_owned(),
                );
            }
        }
        NotifyKind::Command if target.command.is_empty() => {
            refuse(
                "command",
                "has to be set: a program and its arguments, a list of strings".to_owned(),
            );
        }
        NotifyKind::Command | NotifyKind::Desktop => {}
    }
}

fn words(key: &str, words: &[String], known: &[&str], refuse: &mut dyn FnMut(&str, String)) {
    for word in words.iter().filter(|word| !known.contains(&word.as_str())) {
        let hint = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("known are {}", known.join(", ")),
        };
        refuse(key, format!("has the unknown word {word:?}; {hint}"));
    }
}
