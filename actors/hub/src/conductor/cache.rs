//! Results of earlier tasks for steps with `cache`.

use super::context::StepValues;
use super::expand::Gathered;
use kirosu_plan::{CacheRule, Step, Work};
use kirosu_protocol::task::{TYPE_CHAT, TYPE_PYTHON};
use kirosu_protocol::{CacheMiss, NewTask, TaskId};
use kirosu_store::{CacheEntry, EarlierResult};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// The names of the parts of a task that its agent gets, in the order of [`parts`].
const PARTS: [&str; 8] = [
    "type",
    "pool",
    "provider",
    "model",
    "system prompt",
    "prompt",
    "folder",
    "conditions of the result",
];
/// Characters of the hash of a part. Two parts that look equal by chance change an explanation only.
const PART: usize = 8;

impl StepValues<'_> {
    /// Takes the results of earlier tasks for those that would be equal to them. The others are noted, for later ones, and say why
    /// they are made.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn use_cache(
        &mut self,
        step: &Step,
        gathered: &mut Gathered,
        now_ms: i64,
    ) -> Result<(), String> {
        let Some(rule) = &step.cache else {
            return Ok(());
        };
        let ttl = rule.ttl_ms.and_then(|ttl| i64::try_from(ttl).ok());
        let since = ttl.map_or(0, |ttl| now_ms.saturating_sub(ttl));
        let mut hits: HashMap<usize, TaskId> = HashMap::new();
        let mut entries = Vec::with_capacity(gathered.tasks.len());
        for (at, task) in gathered.tasks.iter_mut().enumerate() {
            if ![TYPE_CHAT, TYPE_PYTHON].contains(&task.task_type.as_str()) {
                return Ok(());
            }
            let entry = self.entry(step, rule, task);
            let store = &mut self.results.store;
            let hit = store.cached_task(&entry.fingerprint, since);
            match hit.map_err(|why| why.to_string())? {
                Some(hit) => drop(hits.insert(at, hit)),
                None => {
                    let earlier = store.earlier_result(&entry.fingerprint, &entry.place);
                    let earlier = earlier.map_err(|why| why.to_string())?;
                    note(task, &miss(&entry, earlier, ttl));
                }
            }
            entries.push(entry);
        }
        let mut places = HashMap::new();
        let mut at = 0;
        gathered.tasks.retain(|_| {
            let is_new = !hits.contains_key(&at);
            if is_new {
                places.insert(at, places.len());
                gathered.cache.push(std::mem::take(&mut entries[at]));
            }
            at += 1;
            is_new
        });
        for item in &mut gathered.items {
            let Some(task) = item.task else {
                continue;
            };
            item.cached = hits.get(&task).copied();
            item.task = places.get(&task).copied();
        }
        Ok(())
    }

    /// The fingerprint is equal for tasks whose results may replace each other: all that the agent gets, and the scope of the cache.
    fn entry(&self, step: &Step, rule: &CacheRule, task: &NewTask) -> CacheEntry {
        let scope = match rule.scope.as_str() {
            "run" => json!({"run": self.live.id}),
            "hub" => json!({}),
            _ => match self.live.name() {
                Some(name) => json!({"name": name}),
                None => json!({"plan": self.live.hash}),
            },
        };
        let key = task.metadata.as_ref().map(|it| it["run"]["key"].clone());
        let place = hashed(&json!([scope, step.id, key]));
        // The answers of a vote must not be one and the same.
        let key = key.filter(|_| matches!(step.work, Work::Vote(_)));
        let parts = parts(task);
        let mut all = vec![scope, json!(key)];
        all.extend(parts.iter().cloned());
        let short = parts.iter().map(|part| {
            let mut hash = hashed(part);
            hash.truncate(PART);
            hash
        });
        CacheEntry {
            fingerprint: hashed(&Value::Array(all)),
            place,
            parts: short.collect::<Vec<String>>().join(" "),
        }
    }
}

/// All that the agent of a task gets, named by [`PARTS`].
fn parts(task: &NewTask) -> [Value; 8] {
    [
        json!(task.task_type),
        json!(task.queue),
        json!(task.provider),
        json!(task.model),
        json!(task.system_prompt),
        json!(task.prompt),
        json!(task.workdir),
        json!(task.accept),
    ]
}

fn hashed(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string().as_bytes());
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why no result was taken. `earlier`: the equal task, or else the newest one of this item.
fn miss(entry: &CacheEntry, earlier: Option<EarlierResult>, ttl: Option<i64>) -> CacheMiss {
    let Some(earlier) = earlier else {
        return CacheMiss::Nothing;
    };
    let task_id = earlier.task_id;
    if earlier.is_equal == 0 {
        let (own, other) = (entry.parts.split(' '), earlier.parts.split(' '));
        let pairs = PARTS.iter().zip(own.zip(other));
        let parts = pairs.filter(|(_, (own, other))| own != other);
        let parts = parts.map(|(name, _)| (*name).to_owned()).collect();
        return CacheMiss::Differs { task_id, parts };
    }
    match (earlier.is_done, ttl) {
        (1, Some(ttl)) => CacheMiss::Expired {
            task_id,
            at: earlier.created_at.saturating_add(ttl) as f64 / 1000.0,
        },
        _ => CacheMiss::NotDone { task_id },
    }
}

fn note(task: &mut NewTask, miss: &CacheMiss) {
    let run = task.metadata.as_mut().and_then(|it| it.get_mut("run"));
    // It always is a table with texts as keys.
    if let (Some(Value::Object(run)), Ok(miss)) = (run, serde_json::to_value(miss)) {
        run.insert("not_cached".into(), miss);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(prompt: &str, model: Option<&str>) -> CacheEntry {
        let task = NewTask {
            model: model.map(str::to_owned),
            ..NewTask::chat(prompt)
        };
        let short = parts(&task).map(|part| hashed(&part)[..PART].to_owned());
        CacheEntry {
            parts: short.join(" "),
            ..CacheEntry::default()
        }
    }

    #[test]
    fn a_task_that_is_made_says_what_it_found() {
        let (one, other) = (entry("a", None), entry("b", Some("large")));
        let earlier = |is_equal, is_done| EarlierResult {
            task_id: 7,
            created_at: 5000,
            parts: other.parts.clone(),
            is_equal,
            is_done,
        };
        assert_eq!(miss(&one, None, None), CacheMiss::Nothing);
        let parts = vec!["model".to_owned(), "prompt".to_owned()];
        let differs = CacheMiss::Differs { task_id: 7, parts };
        assert_eq!(miss(&one, Some(earlier(0, 1)), None), differs);
        let expired = CacheMiss::Expired {
            task_id: 7,
            at: 6.5,
        };
        assert_eq!(miss(&other, Some(earlier(1, 1)), Some(1500)), expired);
        let not_done = CacheMiss::NotDone { task_id: 7 };
        assert_eq!(miss(&other, Some(earlier(1, 0)), Some(1500)), not_done);
    }
}
