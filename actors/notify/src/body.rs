//! The form of an event for receivers: JSON, and text for people.

use kirosu_protocol::text::{head, one_line};
use kirosu_protocol::{NoticeData, NoticeInfo, NoticeKind};
use serde::Serialize;
use std::time::{Duration, UNIX_EPOCH};

/// The most bytes of each text that an event includes.
const TEXT_BYTES: usize = 16 << 10;

/// IncludedTexts of a task, if the target wants them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct IncludedTexts {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl IncludedTexts {
    /// These texts, each cut to [`TEXT_BYTES`].
    pub fn cut(prompt: Option<&str>, result: Option<&str>) -> IncludedTexts {
        let cut = |text: &str| head(text, TEXT_BYTES).to_owned();
        IncludedTexts {
            prompt: prompt.map(cut),
            result: result.map(cut),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    event: NoticeKind,
    id: &'a str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(flatten)]
    data: &'a NoticeData,
    #[serde(flatten)]
    texts: &'a IncludedTexts,
}

/// The event as JSON, the same at each delivery.
///
/// # Errors
/// It cannot be written as JSON.
pub(crate) fn json(notice: &NoticeInfo, texts: &IncludedTexts) -> serde_json::Result<Vec<u8>> {
    let at = UNIX_EPOCH + Duration::from_millis((notice.at * 1000.0).round() as u64);
    serde_json::to_vec(&Body {
        event: notice.event,
        id: &notice.id,
        timestamp: humantime::format_rfc3339_millis(at).to_string(),
        data: Data {
            data: &notice.data,
            texts,
        },
    })
}

/// The event in one line.
pub(crate) fn line(notice: &NoticeInfo) -> String {
    let data = &notice.data;
    let task = data
        .task_id
        .map_or_else(String::new, |id| format!("task {id}"));
    let name = data.name.as_deref().unwrap_or_default();
    let status = data.status.as_deref().unwrap_or_default();
    let text = match notice.event {
        NoticeKind::WaitsForPerson => match &data.tool {
            Some(tool) => format!("{task}: may its agent use {tool}?"),
            None => format!("{task} waits for a person"),
        },
        NoticeKind::Failed => format!("{task} failed"),
        NoticeKind::RunEnded => format!("run {name} ({task}) ended: {status}"),
        NoticeKind::PoolDown => format!("pool {name} is down: {status}"),
        NoticeKind::BudgetUsedUp => format!("the budget {name} is used up"),
        NoticeKind::Drained => "the hub has drained".to_owned(),
        NoticeKind::Test => format!("test of the target {name}"),
    };
    let text = match &data.error {
        Some(error) => format!("{text}: {error}"),
        None => text,
    };
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> NoticeInfo {
        NoticeInfo {
            number: 7,
            id: "n7-00".to_owned(),
            event: NoticeKind::Failed,
            at: 1_790_000_000.25,
            data: NoticeData {
                task_id: Some(42),
                queue: Some("default".to_owned()),
                error: Some("exit code 1".to_owned()),
                ..NoticeData::default()
            },
        }
    }

    #[test]
    fn an_event_is_json_with_its_texts_only_if_they_are_wanted() {
        let plain = String::from_utf8(json(&notice(), &IncludedTexts::default()).unwrap()).unwrap();
        let expected = r#"{"type":"failed","id":"n7-00","timestamp":"2026-09-21T14:13:20.250Z","data":{"task_id":42,"queue":"default","error":"exit code 1"}}"#;
        assert_eq!(plain, expected);
        let texts = IncludedTexts::cut(Some(&"p".repeat(TEXT_BYTES + 1)), None);
        let with = json(&notice(), &texts).unwrap();
        let with: serde_json::Value = serde_json::from_slice(&with).unwrap();
        assert_eq!(with["data"]["prompt"].as_str().unwrap().len(), TEXT_BYTES);
    }

    #[test]
    fn an_event_is_one_line_for_people() {
        assert_eq!(line(&notice()), "task 42 failed: exit code 1");
    }
}
