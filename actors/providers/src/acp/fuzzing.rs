//! Arbitrary bytes as the output of an agent that speaks ACP.

use std::sync::Arc;

use serde_json::{Map, json};

use super::machine::AcpMachine;
use super::rpc::{RpcMessage, read};
use super::turn::TurnStart;
use crate::definition::Definition;

/// Feeds the lines to an agent's state machine that waits for the end of its prompt.
///
/// # Panics
/// When the machine does, or the output of the turn is longer than its limit.
pub fn fuzz_lines(bytes: &[u8]) {
    const LIMIT: usize = 256;
    let Ok(definition) = Definition::read_acp(Some("claude"), &Map::new()) else {
        panic!("the built-in definition cannot be read");
    };
    let mut machine = AcpMachine::new("agent", &Arc::new(definition));
    machine.begin(TurnStart {
        limit: LIMIT,
        ..TurnStart::default()
    });
    for (id, result) in [
        (1, json!({"protocolVersion": 1})),
        (2, json!({"sessionId": "s"})),
    ] {
        machine.on(RpcMessage::Answer {
            id,
            outcome: Ok(result),
        });
    }
    for line in bytes.split(|byte| *byte == b'\n') {
        for message in read(line).messages {
            machine.on(message);
        }
    }
    machine.settled();
    machine.take_turn();
}
