//! The tools that a client is offered: those that the rights of its key allow.
//!
//! Only the list depends on it. The hub checks each request, so a client that calls a tool that it was not offered is refused
//! there.

use crate::link::HubLink;
use kirosu_protocol::Right;
use serde::Deserialize;

/// The tools, each with the right that the verbs behind it need.
const NEEDS: [(&str, Right); 21] = [
    ("answer_task", Right::Person),
    ("approve_task", Right::Person),
    ("cancel_task", Right::Enqueue),
    ("cancel_tasks", Right::Enqueue),
    ("enqueue_task", Right::Enqueue),
    ("enqueue_tasks", Right::Enqueue),
    ("get_results", Right::Observe),
    ("get_run", Right::Observe),
    ("get_task_status", Right::Observe),
    ("list_questions", Right::Observe),
    ("list_run_items", Right::Observe),
    ("list_runs", Right::Observe),
    ("list_schedules", Right::Observe),
    ("list_tasks", Right::Observe),
    ("map_items", Right::Enqueue),
    ("reject_task", Right::Person),
    ("retry_run", Right::Enqueue),
    ("run_plan", Right::Enqueue),
    // It is for the token of a run; the hub refuses it to others.
    ("wait_for_children", Right::Work),
    ("wait_for_task", Right::Observe),
    ("wait_for_tasks", Right::Observe),
];
/// The tools for the token of a run.
const OF_RUNS: [&str; 10] = [
    "cancel_task",
    "cancel_tasks",
    "enqueue_task",
    "enqueue_tasks",
    "get_results",
    "get_task_status",
    "list_tasks",
    "wait_for_children",
    "wait_for_task",
    "wait_for_tasks",
];
/// The tools for a client without a key, in addition to those of its rights.
const KEYLESS: [&str; 3] = ["approve_task", "enqueue_task", "list_tasks"];

/// The part of the hub's answer to `hello` that is about the client.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub(super) struct Introduced {
    /// The role of the key, `admin` for the hub's own, `run` for the token of a run. Missing or `keyless` without a key.
    #[serde(default)]
    role: Option<String>,
    /// The rights. Missing from a hub that does not say; then all tools are offered.
    #[serde(default)]
    rights: Option<Vec<String>>,
}

impl Introduced {
    /// Asks the hub. Nothing is known while it cannot be reached.
    pub(super) async fn of(hub: &HubLink) -> Introduced {
        let answer = hub.request_as::<_, Introduced>(hub.introduction()).await;
        answer.unwrap_or_default()
    }

    /// Whether the client is offered a tool.
    pub(super) fn is_offered(&self, tool: &str) -> bool {
        let Some(rights) = &self.rights else {
            return true;
        };
        let role = self.role.as_deref().unwrap_or("keyless");
        if role == "run" {
            return OF_RUNS.contains(&tool);
        }
        if role == "keyless" && KEYLESS.contains(&tool) {
            return true;
        }
        let has = |right: Right| rights.iter().any(|it| it == right.as_str());
        match NEEDS.iter().find(|(name, _)| *name == tool) {
            // Whether the hub's own key decides as a person depends on the process that sends it.
            Some((_, Right::Person)) => has(Right::Person) || role == "admin",
            Some((_, right)) => has(*right),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::tools::McpTools;
    use kirosu_protocol::AccessRole;
    use serde_json::json;

    fn offered(hello: serde_json::Value) -> Vec<String> {
        let client: Introduced = serde_json::from_value(hello).unwrap();
        let all = McpTools::router(true).list_all().into_iter();
        let names = all.map(|tool| tool.name.to_string());
        names.filter(|name| client.is_offered(name)).collect()
    }

    fn of_role(role: AccessRole) -> Vec<String> {
        let rights = [
            Right::Connect,
            Right::Observe,
            Right::Enqueue,
            Right::Work,
            Right::Person,
            Right::Admin,
        ];
        let rights = rights.into_iter().filter(|right| role.has(*right));
        let rights: Vec<&str> = rights.map(Right::as_str).collect();
        offered(json!({"role": role.as_str(), "rights": rights}))
    }

    #[test]
    fn every_tool_has_its_right() {
        let names: Vec<&str> = NEEDS.iter().map(|(name, _)| *name).collect();
        let all = McpTools::router(true).list_all();
        let all: Vec<&str> = all.iter().map(|tool| tool.name.as_ref()).collect();
        assert_eq!(names, all);
    }

    #[test]
    fn a_key_is_offered_what_its_role_allows() {
        let reading = [
            "get_results",
            "get_run",
            "get_task_status",
            "list_questions",
            "list_run_items",
            "list_runs",
            "list_schedules",
            "list_tasks",
            "wait_for_task",
            "wait_for_tasks",
        ];
        assert_eq!(of_role(AccessRole::Observe), reading);
        let enqueue = of_role(AccessRole::Enqueue);
        assert!(
            reading
                .iter()
                .all(|tool| enqueue.contains(&(*tool).to_owned()))
        );
        assert!(enqueue.contains(&"map_items".to_owned()));
        assert!(!enqueue.contains(&"approve_task".to_owned()), "{enqueue:?}");
        let person = of_role(AccessRole::Person);
        assert!(person.contains(&"reject_task".to_owned()));
        assert!(!person.contains(&"enqueue_task".to_owned()), "{person:?}");
        let admin = of_role(AccessRole::Admin);
        assert_eq!(admin.len(), NEEDS.len(), "{admin:?}");
        assert_eq!(of_role(AccessRole::Work), ["wait_for_children"]);
    }

    #[test]
    fn others_are_offered_what_they_may_do() {
        let run = offered(json!({"role": "run", "rights": []}));
        assert_eq!(run, OF_RUNS);
        for keyless in [
            json!({"rights": ["connect"]}),
            json!({"role": "keyless", "rights": []}),
        ] {
            assert_eq!(offered(keyless), KEYLESS);
        }
        let silent = offered(json!({"protocol": 1}));
        assert_eq!(silent.len(), NEEDS.len());
    }
}
