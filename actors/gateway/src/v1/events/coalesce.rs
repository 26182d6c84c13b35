//! Several events as one: of those about the same thing the newest, and the output of a task as one text.

use super::item::{ItemName, SseItem};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::Arc;

/// The most bytes of a task's output in one batch; of a longer one the end.
const OUTPUT_BYTES: usize = 64 << 10;

/// The events of one batch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct EventBatch {
    /// The parameters of the notifications, JSON.
    pub(super) events: Vec<String>,
    /// The number of events that are left out, because a later one is about the same thing.
    pub(super) dropped: usize,
}

impl EventBatch {
    /// The data of the server-sent event `batch`.
    pub(super) fn data(&self) -> String {
        let events = self.events.join(",");
        format!("{{\"events\":[{events}],\"dropped\":{}}}", self.dropped)
    }
}

/// Coalesces events, which are in their order. The result has the order of the newest event about each thing.
pub(super) fn coalesce(items: &[Arc<SseItem>]) -> EventBatch {
    let mut newest: HashMap<&str, usize> = HashMap::with_capacity(items.len());
    let mut output: HashMap<&str, Vec<&SseItem>> = HashMap::new();
    for (at, item) in items.iter().enumerate() {
        newest.insert(&item.subject, at);
        if is_output(item) {
            output.entry(&item.subject).or_default().push(item);
        }
    }
    let mut batch = EventBatch::default();
    for (at, item) in items.iter().enumerate() {
        if newest.get(&*item.subject) != Some(&at) {
            batch.dropped += usize::from(!is_output(item));
            continue;
        }
        match output.get(&*item.subject) {
            Some(parts) => batch.events.push(joined(parts)),
            None => batch.events.push(item.data.to_string()),
        }
    }
    batch
}

fn is_output(item: &SseItem) -> bool {
    item.name == ItemName::Event && &*item.kind == "output"
}

/// The output of a task as one event: that of the newest attempt, with the number of its first chunk as `chunk`, and the number of
/// chunks as `chunks`. `cut` if the beginning is left out.
fn joined(parts: &[&SseItem]) -> String {
    let read = |part: &&SseItem| serde_json::from_str::<Map<String, Value>>(&part.data).ok();
    let parts: Vec<Map<String, Value>> = parts.iter().filter_map(read).collect();
    let Some(last) = parts.last() else {
        return "{}".to_owned();
    };
    let fence = last.get("fence").cloned();
    let of_attempt: Vec<_> = parts
        .iter()
        .filter(|part| part.get("fence") == fence.as_ref())
        .collect();
    let text: String = of_attempt
        .iter()
        .filter_map(|part| part.get("text")?.as_str())
        .collect();
    let mut whole = last.clone();
    if let Some(chunk) = of_attempt.first().and_then(|part| part.get("chunk")) {
        whole.insert("chunk".to_owned(), chunk.clone());
    }
    whole.insert("chunks".to_owned(), of_attempt.len().into());
    let (end, is_cut) = tail(&text, OUTPUT_BYTES);
    whole.insert("text".to_owned(), end.into());
    if is_cut || of_attempt.len() < parts.len() {
        whole.insert("cut".to_owned(), true.into());
    }
    Value::Object(whole).to_string()
}

/// The end of a text, and whether it is not the whole.
fn tail(text: &str, bytes: usize) -> (&str, bool) {
    let from = text.len().saturating_sub(bytes);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    let from = from.unwrap_or(text.len());
    (&text[from..], from > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn items(events: &[Value]) -> Vec<Arc<SseItem>> {
        let item = |(seq, event): (usize, &Value)| {
            let mut event = event.clone();
            event["seq"] = seq.into();
            Arc::new(SseItem::event(&event).unwrap())
        };
        events.iter().enumerate().map(item).collect()
    }

    fn batch(events: &[Value]) -> (Vec<Value>, usize) {
        let batch = coalesce(&items(events));
        let data: Value = serde_json::from_str(&batch.data()).unwrap();
        assert_eq!(data["dropped"], batch.dropped);
        (data["events"].as_array().unwrap().clone(), batch.dropped)
    }

    #[test]
    fn the_newest_event_about_each_thing_is_kept_in_order() {
        let task =
            |id: i64, status: &str| json!({"event": "task", "task_id": id, "status": status});
        let (events, dropped) = batch(&[
            task(1, "queued"),
            task(2, "queued"),
            task(1, "leased"),
            json!({"event": "queue", "queue": "a", "state": "paused"}),
            task(1, "done"),
            json!({"event": "queue", "queue": "b", "state": "paused"}),
        ]);
        assert_eq!(dropped, 2);
        let said: Vec<(u64, Option<&str>)> = events
            .iter()
            .map(|it| (it["seq"].as_u64().unwrap(), it["status"].as_str()))
            .collect();
        assert_eq!(
            said,
            [(1, Some("queued")), (3, None), (4, Some("done")), (5, None)]
        );
    }

    #[test]
    fn progress_is_the_newest_and_output_is_one_text_per_task() {
        let output = |id: i64, fence: i64, chunk: u64, text: &str| json!({"event": "output", "task_id": id, "fence": fence, "chunk": chunk, "text": text});
        let (events, dropped) = batch(&[
            output(1, 1, 7, "old"),
            output(1, 2, 0, "a"),
            json!({"event": "progress", "task_id": 1, "fence": 2, "data": {"percent": 10}}),
            output(2, 1, 0, "other"),
            output(1, 2, 1, "ö"),
            json!({"event": "progress", "task_id": 1, "fence": 2, "data": {"percent": 20}}),
        ]);
        assert_eq!(dropped, 1);
        assert_eq!(events[0]["text"], "other");
        let one = &events[1];
        assert_eq!(
            (
                &one["fence"],
                &one["chunk"],
                &one["chunks"],
                &one["text"],
                &one["cut"]
            ),
            (&json!(2), &json!(0), &json!(2), &json!("aö"), &json!(true))
        );
        assert_eq!(events[2]["data"]["percent"], 20);
    }

    #[test]
    fn a_long_output_is_its_end() {
        let long = "ö".repeat(OUTPUT_BYTES);
        let event = json!({"event": "output", "task_id": 1, "fence": 1, "chunk": 0, "text": long});
        let (events, _) = batch(&[event]);
        let text = events[0]["text"].as_str().unwrap();
        assert!(text.len() <= OUTPUT_BYTES && text.len() > OUTPUT_BYTES - 4);
        assert_eq!(events[0]["cut"], true);
    }

    #[test]
    fn nothing_is_an_empty_batch() {
        assert_eq!(coalesce(&[]), EventBatch::default());
    }
}
