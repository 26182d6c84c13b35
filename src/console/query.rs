//! The filter: words, which are searched here, and `status:`, `queue:`, `type:`, `label:`, `parent:`, which the hub
//! applies.

use kirosu_protocol::text::head;
use kirosu_protocol::{ListParams, ListStatus, Status, Task, TaskId};

/// Bytes of each text of a task that are searched.
const SEARCHED: usize = 64 << 10;

/// A parsed filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Only tasks with this status.
    pub status: Option<Status>,
    /// Only tasks of this queue.
    pub queue: Option<String>,
    /// Only tasks of this type.
    pub task_type: Option<String>,
    /// Only tasks with all of these labels.
    pub labels: Vec<String>,
    /// Only children of this task.
    pub parent: Option<TaskId>,
    /// Words that must all be found, in lower case.
    pub words: Vec<String>,
}

impl TaskFilter {
    /// Parses a filter.
    ///
    /// # Errors
    /// A word with a prefix has no valid value; the message names it.
    pub fn read(text: &str) -> Result<TaskFilter, String> {
        let mut query = TaskFilter::default();
        for word in text.split_whitespace() {
            match word.split_once(':') {
                Some(("status" | "s", name)) => query.status = Some(status(name)?),
                Some(("queue" | "q", name)) if !name.is_empty() => query.queue = Some(name.into()),
                Some(("type" | "t", name)) if !name.is_empty() => {
                    query.task_type = Some(name.into())
                }
                Some(("label" | "l", name)) if !name.is_empty() => query.labels.push(name.into()),
                Some(("parent", id)) => {
                    let id = id.parse().ok().filter(|id| *id > 0);
                    query.parent =
                        Some(id.ok_or("parent: wants a task's number, such as parent:42")?);
                }
                _ => query.words.push(word.to_lowercase()),
            }
        }
        Ok(query)
    }

    /// A filter that only has words, for lists that the hub cannot filter.
    pub fn words(text: &str) -> TaskFilter {
        TaskFilter {
            words: text.split_whitespace().map(str::to_lowercase).collect(),
            ..TaskFilter::default()
        }
    }

    /// Whether the filter matches everything.
    pub fn is_empty(&self) -> bool {
        *self == TaskFilter::default()
    }

    /// The hub's part of the filter, for a page of `limit` tasks below `before`.
    pub fn params(&self, limit: u32, before: Option<TaskId>) -> ListParams {
        ListParams {
            status: self.status.map_or(ListStatus::Any, ListStatus::Is),
            limit: Some(limit),
            queue: self.queue.clone(),
            task_type: self.task_type.clone(),
            parent_id: self.parent,
            before,
            preview_bytes: Some(SEARCHED as u32),
            labels: self.labels.clone(),
            ..ListParams::default()
        }
    }

    /// Whether a task contains all words in its number, type, queue, status, worker, prompt, result or error.
    pub fn matches(&self, task: &Task) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let id = task.task_id.to_string();
        let texts = [
            Some(id.as_str()),
            Some(task.task_type.as_str()),
            Some(task.queue.as_str()),
            Some(task.status.as_str()),
            task.worker_id.as_deref(),
            Some(task.prompt.as_str()),
            task.result.as_deref(),
            task.error.as_deref(),
        ];
        self.matches_texts(texts.into_iter().flatten())
    }

    /// Whether these texts together contain all words.
    pub fn matches_texts<'a>(&self, texts: impl Iterator<Item = &'a str>) -> bool {
        let mut missing: Vec<&String> = self.words.iter().collect();
        for text in texts {
            if missing.is_empty() {
                break;
            }
            let text = head(text, SEARCHED).to_lowercase();
            missing.retain(|word| !text.contains(word.as_str()));
        }
        missing.is_empty()
    }
}

/// Parses a status: its name, an unambiguous prefix, or `running` and `approval`.
fn status(name: &str) -> Result<Status, String> {
    let name = name.to_lowercase().replace('-', "_");
    let name = match name.as_str() {
        "running" => "leased",
        "approval" => "awaiting_approval",
        name => name,
    };
    let mut fits = Status::ALL
        .into_iter()
        .filter(|status| !name.is_empty() && status.as_str().starts_with(name));
    match (fits.next(), fits.next()) {
        (Some(status), None) => Ok(status),
        _ => {
            let known = Status::ALL.map(Status::as_str).join(", ");
            Err(format!("status: is one of {known}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_parsed() {
        let query = TaskFilter::read("status:fail Timeout queue:docs parent:7 a:b").unwrap();
        assert_eq!(query.status, Some(Status::Failed));
        assert_eq!(query.queue.as_deref(), Some("docs"));
        assert_eq!(query.parent, Some(7));
        assert_eq!(query.words, ["timeout", "a:b"]);
        assert_eq!(
            TaskFilter::read("s:running").unwrap().status,
            Some(Status::Leased)
        );
        assert!(
            TaskFilter::read("status:odd")
                .unwrap_err()
                .contains("queued, blocked")
        );
        assert!(TaskFilter::read("parent:x").is_err());
        assert!(TaskFilter::read("  ").unwrap().is_empty());
    }

    #[test]
    fn words_may_be_in_different_texts() {
        let query = TaskFilter::words("Alpha 42");
        assert!(query.matches_texts(["task 42", "ALPHABET"].into_iter()));
        assert!(!query.matches_texts(["task 43", "alphabet"].into_iter()));
    }
}
