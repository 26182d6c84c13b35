//! The filter: words that a task holds, and `status:`, `queue:`, `type:`, `label:`, `parent:` for what the hub can pick itself.

use kirosu_protocol::verbs::list::{ListParams, ListStatus};
use kirosu_protocol::{Status, Task, TaskId};

/// Bytes of each of a task's texts that are searched.
const SEARCHED: usize = 64 << 10;

/// A filter that was understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Only of this status.
    pub status: Option<Status>,
    /// Only of this queue.
    pub queue: Option<String>,
    /// Only of this type.
    pub task_type: Option<String>,
    /// Only with all of these labels.
    pub labels: Vec<String>,
    /// Only children of this task.
    pub parent: Option<TaskId>,
    /// Words that all have to be found; in lower case.
    pub words: Vec<String>,
}

impl Query {
    /// Reads a filter as it was typed; the error says which word cannot be meant.
    pub fn read(text: &str) -> Result<Query, String> {
        let mut query = Query::default();
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

    /// Words alone, for what the hub has no filter for.
    pub fn words(text: &str) -> Query {
        Query {
            words: text.split_whitespace().map(str::to_lowercase).collect(),
            ..Query::default()
        }
    }

    /// Whether everything passes.
    pub fn is_empty(&self) -> bool {
        *self == Query::default()
    }

    /// The hub's part of it, for a page of `limit` tasks below `before`.
    pub fn ask(&self, limit: u32, before: Option<TaskId>) -> ListParams {
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

    /// Whether a task holds all words: in its number, type, queue, worker, prompt, result or error.
    pub fn finds(&self, task: &Task) -> bool {
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
        self.found_in(texts.into_iter().flatten())
    }

    /// Whether these texts together hold all words.
    pub fn found_in<'a>(&self, texts: impl Iterator<Item = &'a str>) -> bool {
        let mut missing: Vec<&String> = self.words.iter().collect();
        for text in texts {
            if missing.is_empty() {
                break;
            }
            let text = text[..floor(text, SEARCHED)].to_lowercase();
            missing.retain(|word| !text.contains(word.as_str()));
        }
        missing.is_empty()
    }
}

/// The greatest border between characters that is not beyond `at`.
fn floor(text: &str, at: usize) -> usize {
    if at >= text.len() {
        return text.len();
    }
    (0..=at)
        .rev()
        .find(|at| text.is_char_boundary(*at))
        .unwrap_or(0)
}

/// A status, by its name, a beginning of it that no other has, or the word people use.
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
    fn a_filter_is_read_as_it_is_typed() {
        let query = Query::read("status:fail Timeout queue:docs parent:7 a:b").unwrap();
        assert_eq!(query.status, Some(Status::Failed));
        assert_eq!(query.queue.as_deref(), Some("docs"));
        assert_eq!(query.parent, Some(7));
        assert_eq!(query.words, ["timeout", "a:b"]);
        assert_eq!(
            Query::read("s:running").unwrap().status,
            Some(Status::Leased)
        );
        assert!(
            Query::read("status:odd")
                .unwrap_err()
                .contains("queued, blocked")
        );
        assert!(Query::read("parent:x").is_err());
        assert!(Query::read("  ").unwrap().is_empty());
    }

    #[test]
    fn words_may_stand_in_different_texts() {
        let query = Query::words("Alpha 42");
        assert!(query.found_in(["task 42", "ALPHABET"].into_iter()));
        assert!(!query.found_in(["task 43", "alphabet"].into_iter()));
    }
}
