//! Results of earlier tasks for steps with `cache`.

use super::context::StepValues;
use super::expand::Gathered;
use kirosu_plan::{CacheRule, Step, Work};
use kirosu_protocol::task::{TYPE_CHAT, TYPE_PYTHON};
use kirosu_protocol::{NewTask, TaskId};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

impl StepValues<'_> {
    /// Takes the results of earlier tasks for those that would be equal to them. The others are noted, for later ones.
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
        let since = match rule.ttl_ms.and_then(|ttl| i64::try_from(ttl).ok()) {
            Some(ttl) => now_ms.saturating_sub(ttl),
            None => 0,
        };
        let mut hits: HashMap<usize, TaskId> = HashMap::new();
        let mut prints = Vec::with_capacity(gathered.tasks.len());
        for (at, task) in gathered.tasks.iter().enumerate() {
            if ![TYPE_CHAT, TYPE_PYTHON].contains(&task.task_type.as_str()) {
                return Ok(());
            }
            let print = self.fingerprint(step, rule, task);
            let hit = self.results.store.cached_task(&print, since);
            if let Some(hit) = hit.map_err(|why| why.to_string())? {
                hits.insert(at, hit);
            }
            prints.push(print);
        }
        let mut places = HashMap::new();
        let mut at = 0;
        gathered.tasks.retain(|_| {
            let is_new = !hits.contains_key(&at);
            if is_new {
                places.insert(at, places.len());
                let print = std::mem::take(&mut prints[at]);
                gathered.fingerprints.push(print);
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

    /// Equal for tasks whose results may replace each other: all that the agent gets, and the scope of the cache.
    fn fingerprint(&self, step: &Step, rule: &CacheRule, task: &NewTask) -> String {
        let scope = match rule.scope.as_str() {
            "run" => json!({"run": self.live.id}),
            "hub" => json!({}),
            _ => match self.live.name() {
                Some(name) => json!({"name": name}),
                None => json!({"plan": self.live.hash}),
            },
        };
        // The answers of a vote must not be one and the same.
        let key = match &step.work {
            Work::Vote(_) => task.metadata.as_ref().map(|it| it["run"]["key"].clone()),
            _ => None,
        };
        let parts = json!([
            scope,
            key,
            task.task_type,
            task.queue,
            task.provider,
            task.model,
            task.system_prompt,
            task.prompt,
            task.workdir,
            task.accept,
        ]);
        let hash = Sha256::digest(parts.to_string().as_bytes());
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
