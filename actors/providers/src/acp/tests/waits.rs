//! Answers after which nothing can follow, and notices of a retry.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::machine::{AcpAction, AcpMachine};
use super::super::rpc::{RpcMessage, read};
use super::super::turn::TurnStart;
use crate::definition::Definition;
use crate::output::Outlook;

/// An agent that has got its prompt.
fn prompted(preset: &str) -> AcpMachine {
    let none = serde_json::Map::new();
    let definition = Definition::read_acp(Some(preset), &none).unwrap();
    let mut machine = AcpMachine::new("x", &Arc::new(definition));
    machine.begin(TurnStart {
        limit: 1 << 20,
        ..TurnStart::default()
    });
    for (id, result) in [
        (1, json!({"protocolVersion": 1})),
        (2, json!({"sessionId": "s"})),
    ] {
        let outcome = Ok(result);
        machine.on(RpcMessage::Answer { id, outcome });
    }
    assert!(machine.is_prompting());
    machine
}

fn look(machine: &mut AcpMachine, update: &Value) -> Outlook {
    let line = json!({"jsonrpc": "2.0", "method": "session/update", "params": {"sessionId": "s", "update": update}});
    let message = read(line.to_string().as_bytes()).messages.remove(0);
    let mut looks = machine.on(message).into_iter().filter_map(|it| match it {
        AcpAction::Observe(outlook) => Some(outlook),
        _ => None,
    });
    looks.next_back().unwrap_or_default()
}

fn text(text: &str) -> Value {
    json!({"sessionUpdate": "agent_message_chunk", "content": {"type": "text", "text": text}})
}

#[test]
fn a_limit_as_the_answer_leaves_the_agent_stuck_until_more_text_follows() {
    let mut machine = prompted("claude");
    assert_eq!(look(&mut machine, &text("You've hit")), Outlook::Works);
    let limit = look(&mut machine, &text(" your limit · resets 3pm (UTC)"));
    assert!(
        matches!(&limit, Outlook::Stuck(it) if it.class.as_str() == "rate_limited"),
        "{limit:?}"
    );
    assert_eq!(
        look(&mut machine, &text(" is what it prints.")),
        Outlook::Works
    );
    let mut machine = prompted("copilot");
    let refused = look(&mut machine, &text("Error: 401 Unauthorized"));
    assert!(
        matches!(&refused, Outlook::Stuck(it) if it.class.as_str() == "auth_required"),
        "{refused:?}"
    );
}

#[test]
fn a_notice_of_another_try_is_a_wait() {
    let mut machine = prompted("copilot");
    let notice =
        "Info: Request failed due to a transient API error (503 Service Unavailable). Retrying...";
    let wait = look(&mut machine, &text(notice));
    assert!(
        matches!(&wait, Outlook::Waits(it) if it.is_retry),
        "{wait:?}"
    );
    let other = look(
        &mut machine,
        &json!({"sessionUpdate": "notice", "title": "MCP server failed"}),
    );
    assert_eq!(other, Outlook::Unchanged);
}
