//! The items of a stream of events, and their form as server-sent events.

use actix_web::web::BytesMut;
use kirosu_protocol::TaskId;
use serde_json::Value;
use std::fmt::Write;
use std::sync::Arc;

/// The number of an event, with the start of the hub that it belongs to. Written as `BOOT_ID:SEQ`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StreamPosition {
    pub(super) boot_id: Arc<str>,
    pub(super) seq: u64,
}

impl StreamPosition {
    pub(super) fn parse(text: &str) -> Option<StreamPosition> {
        let (boot_id, seq) = text.rsplit_once(':')?;
        Some(StreamPosition {
            boot_id: boot_id.into(),
            seq: seq.parse().ok()?,
        })
    }
}

impl std::fmt::Display for StreamPosition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.boot_id, self.seq)
    }
}

/// The reason why a client has missed events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GapReason {
    /// The hub was restarted, or its events are from another start than the client's.
    Restarted,
    /// The events are too old: they are not kept any more.
    Expired,
    /// The client reads more slowly than events come.
    Slow,
}

impl GapReason {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            GapReason::Restarted => "restarted",
            GapReason::Expired => "expired",
            GapReason::Slow => "slow",
        }
    }
}

/// The name of an item as a server-sent event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ItemName {
    Event,
    Approval,
    Gap(GapReason),
}

/// An event, a notification `approval`, or a gap.
#[derive(Debug)]
pub(super) struct SseItem {
    pub(super) name: ItemName,
    /// The event's number.
    pub(super) seq: Option<u64>,
    /// The kind of event, such as `task`.
    pub(super) kind: Box<str>,
    pub(super) task_id: Option<TaskId>,
    /// The thing that the event is about: of two events with the same subject the later one counts.
    pub(super) subject: Box<str>,
    /// The parameters of the notification, JSON.
    pub(super) data: Box<str>,
}

impl SseItem {
    /// The item for the parameters of a notification `event`. `None` if they have no number.
    pub(super) fn event(params: &Value) -> Option<SseItem> {
        let seq = params["seq"].as_u64()?;
        Some(SseItem::new(ItemName::Event, Some(seq), params))
    }

    /// The item for the parameters of a notification `approval`.
    pub(super) fn approval(params: &Value) -> SseItem {
        SseItem::new(ItemName::Approval, None, params)
    }

    fn new(name: ItemName, seq: Option<u64>, params: &Value) -> SseItem {
        let kind = match name {
            ItemName::Event => params["event"].as_str().unwrap_or_default(),
            _ => "approval",
        };
        SseItem {
            name,
            seq,
            kind: kind.into(),
            task_id: params["task_id"].as_i64(),
            subject: subject(name, kind, params).into(),
            data: params.to_string().into(),
        }
    }

    /// The item for clients that have missed events.
    pub(super) fn gap(reason: GapReason) -> SseItem {
        SseItem {
            name: ItemName::Gap(reason),
            seq: None,
            kind: "gap".into(),
            task_id: None,
            subject: "gap".into(),
            data: serde_json::json!({"reason": reason.as_str()})
                .to_string()
                .into(),
        }
    }

    /// About the bytes that it takes.
    pub(super) fn weight(&self) -> usize {
        self.data.len() + self.subject.len() + 100
    }
}

fn subject(name: ItemName, kind: &str, params: &Value) -> String {
    let of = |field: &str| match &params[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let which = match (name, kind) {
        (ItemName::Approval, _) => format!("notice:{}:{}", of("task_id"), of("approval_id")),
        (_, "task" | "run" | "progress" | "output") => of("task_id"),
        (_, "step") => format!("{}:{}", of("task_id"), params["step"]["id"]),
        (_, "approval") => of("approval_id"),
        (_, "session") => of("session_id"),
        (_, "actor") => of("path"),
        (_, "queue") => of("queue"),
        (_, "schedule") => of("name"),
        _ => String::new(),
    };
    format!("{kind}:{which}")
}

/// Appends a server-sent event. `data` has no line end.
pub(super) fn write_frame(
    out: &mut BytesMut,
    id: Option<&dyn std::fmt::Display>,
    name: &str,
    data: &str,
) {
    // Writing to memory does not fail.
    let _ = match id {
        Some(id) => write!(out, "id: {id}\nevent: {name}\ndata: {data}\n\n"),
        None => write!(out, "event: {name}\ndata: {data}\n\n"),
    };
}

/// Appends a comment with a position: the client goes on from there, and learns that the connection is alive.
pub(super) fn write_alive(out: &mut BytesMut, id: Option<&dyn std::fmt::Display>) {
    let _ = match id {
        Some(id) => write!(out, ": alive\nid: {id}\n\n"),
        None => write!(out, ": alive\n\n"),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_position_is_written_and_read() {
        let position = StreamPosition::parse("1a203c8f406-2be4:38").unwrap();
        assert_eq!((&*position.boot_id, position.seq), ("1a203c8f406-2be4", 38));
        assert_eq!(position.to_string(), "1a203c8f406-2be4:38");
        for bad in ["", "38", "b:", "b:x", "b:-1"] {
            assert_eq!(StreamPosition::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn events_about_the_same_thing_have_the_same_subject() {
        let subject = |params: Value| SseItem::event(&params).unwrap().subject;
        let task = |seq: u64| subject(json!({"seq": seq, "event": "task", "task_id": 7}));
        assert_eq!(task(1), task(2));
        let step = |id: &str| {
            subject(json!({"seq": 1, "event": "step", "task_id": 7, "step": {"id": id}}))
        };
        assert_ne!(step("a"), step("b"));
        assert_ne!(
            task(1),
            subject(json!({"seq": 1, "event": "run", "task_id": 7}))
        );
        let schedule = |name: &str| subject(json!({"seq": 1, "event": "schedule", "name": name}));
        assert_ne!(schedule("a"), schedule("b"));
    }

    #[test]
    fn frames_have_the_form_of_server_sent_events() {
        let mut out = BytesMut::new();
        write_frame(&mut out, Some(&"b:7"), "event", "{}");
        write_frame(&mut out, None, "gap", "{}");
        write_alive(&mut out, Some(&"b:9"));
        let expected =
            "id: b:7\nevent: event\ndata: {}\n\nevent: gap\ndata: {}\n\n: alive\nid: b:9\n\n";
        assert_eq!(out, expected.as_bytes());
    }
}
