//! The choices of a conversation: the queue of its tasks.

use super::hub::insist;
use super::request_error::RequestError;
use super::session::EditorSessionState;
use crate::cli::{Failure, HubClient, text};
use kirosu_protocol::client::CallError;
use kirosu_protocol::{PoolInfo, PoolsParams};
use kirosu_providers::rpc::INVALID_PARAMS;
use serde_json::{Value, json};

/// The id of the choice.
const QUEUE: &str = "queue";
/// Queues to choose from.
const QUEUES: usize = 200;

/// The queues of the pools in the hub's process, with their descriptions; `own` is the first.
///
/// # Errors
/// The hub does not answer. One that refuses to list its pools has no others.
pub async fn queues(hub: &HubClient, own: &str) -> Result<Vec<(String, String)>, Failure> {
    let pools = match insist(hub, &PoolsParams::default()).await {
        Ok(answer) => answer.pools,
        Err(Failure::Call(CallError::Refused(_))) => Vec::new(),
        Err(why) => return Err(why),
    };
    Ok(of_pools(&pools, own))
}

fn of_pools(pools: &[PoolInfo], own: &str) -> Vec<(String, String)> {
    let all = pools.iter().flat_map(|pool| &pool.queues);
    let mut queues: Vec<(String, String)> = Vec::new();
    for queue in std::iter::once(own).chain(all.map(String::as_str)) {
        if queues.iter().any(|(known, _)| known == queue) || queues.len() == QUEUES {
            continue;
        }
        let of_it = pools
            .iter()
            .filter(|pool| pool.queues.iter().any(|it| it == queue));
        let about: Vec<String> = of_it.map(described).collect();
        let about = match about.is_empty() {
            true => "no pool of the hub serves it".to_owned(),
            false => about.join("; "),
        };
        queues.push((queue.to_owned(), about));
    }
    queues
}

fn described(pool: &PoolInfo) -> String {
    let model = pool.model.as_ref().map(|model| format!(" {model}"));
    format!(
        "{}: {}{}, {}, {}",
        pool.name,
        pool.provider,
        model.unwrap_or_default(),
        text::count(pool.size.into(), "agent"),
        pool.state
    )
}

/// The choices, as the protocol writes them.
pub fn options(state: &EditorSessionState) -> Value {
    let options = state.queues.iter();
    let options: Vec<Value> = options
        .map(|(name, about)| json!({"value": name, "name": name, "description": about}))
        .collect();
    json!([{
        "id": QUEUE,
        "name": "Queue",
        "description": "The queue of tasks, whose pool runs them",
        "type": "select",
        "currentValue": state.queue,
        "options": options,
    }])
}

/// Makes a choice. The agents of another queue do not know the conversation so far: the next prompt repeats it.
///
/// # Errors
/// There is no such choice.
pub fn set(state: &mut EditorSessionState, params: &Value) -> Result<(), RequestError> {
    let wrong = |why: String| RequestError::new(INVALID_PARAMS, why);
    if params["configId"] != QUEUE {
        return Err(wrong(format!(
            "there is no option {}; there is {QUEUE}",
            params["configId"]
        )));
    }
    let value = params["value"].as_str().unwrap_or_default();
    if !state.queues.iter().any(|(name, _)| name == value) {
        let names: Vec<&str> = state.queues.iter().map(|(name, _)| name.as_str()).collect();
        return Err(wrong(format!(
            "`value` must be one of {}",
            names.join(", ")
        )));
    }
    if state.queue != value {
        state.queue = value.to_owned();
        state.continues_from = state.turns.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str, queues: &[&str]) -> PoolInfo {
        PoolInfo {
            name: name.into(),
            provider: "echo".into(),
            queues: queues.iter().map(|&it| it.to_owned()).collect(),
            size: 2,
            state: "running".into(),
            ..PoolInfo::default()
        }
    }

    #[test]
    fn queues_are_named_once_with_their_pools() {
        let pools = [pool("a", &["default", "fast"]), pool("b", &["fast"])];
        let queues = of_pools(&pools, "own");
        let names: Vec<&str> = queues.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["own", "default", "fast"]);
        assert_eq!(queues[0].1, "no pool of the hub serves it");
        assert_eq!(
            queues[2].1,
            "a: echo, 2 agents, running; b: echo, 2 agents, running"
        );
    }

    #[test]
    fn another_queue_begins_a_new_conversation() {
        let mut state = EditorSessionState {
            queue: "default".into(),
            queues: of_pools(&[pool("a", &["fast"])], "default"),
            ..EditorSessionState::default()
        };
        state.turns = vec![super::super::session::PastTurn {
            task_id: 1,
            is_run: false,
            queue: None,
            words: String::new(),
            outcome: None,
        }];
        let set = |state: &mut EditorSessionState, id: &str, value: Value| {
            set(state, &json!({"configId": id, "value": value}))
        };
        assert!(set(&mut state, "queue", json!("default")).is_ok());
        assert_eq!(state.continues_from, 0);
        assert!(set(&mut state, "queue", json!("fast")).is_ok());
        assert_eq!((state.queue.as_str(), state.continues_from), ("fast", 1));
        for (id, value) in [
            ("queue", json!("x")),
            ("queue", json!(true)),
            ("mode", json!("fast")),
        ] {
            assert!(set(&mut state, id, value).is_err());
        }
        assert_eq!(options(&state)[0]["currentValue"], "fast");
    }
}
