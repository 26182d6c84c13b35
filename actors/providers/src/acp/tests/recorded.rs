//! The machine against recorded traffic of real agents, in both directions: the agent's messages are input, and the
//! machine must send the recorded client's messages.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::super::machine::{AcpAction, AcpMachine};
use super::super::rpc::{self, RpcMessage};
use super::super::turn::{AgentTurn, TurnStart};
use super::super::verdict::TurnVerdict;
use crate::definition::Definition;
use crate::event::{RunEvent, ToolStatus};
use crate::outcome::{Conversation, FailureKind};
use crate::permission::PermissionDecision;

/// A recording, read from its beginning to its end.
struct Tape {
    /// Whether the agent sent it, and the message.
    messages: Vec<(bool, Value)>,
    at: usize,
    opened: Value,
}

impl Tape {
    fn load(agent: &str) -> Self {
        let path = format!("{}/tests/acp/{agent}.jsonl", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(PathBuf::from(&path)).expect(&path);
        let read = |line: &str| {
            let line: Value = serde_json::from_str(line).unwrap();
            (line["from"] == "agent", line["msg"].clone())
        };
        let messages: Vec<_> = text.lines().map(read).collect();
        let is_session = |it: &&(bool, Value)| it.1.pointer("/result/sessionId").is_some();
        let opened = messages.iter().find(is_session).unwrap().1["result"].clone();
        Self {
            messages,
            at: 0,
            opened,
        }
    }

    /// Advances behind the next request of the client with this method, before the next prompt. Returns its id and
    /// parameters, or `None` where there is none.
    fn seek(&mut self, method: &str) -> Option<(Value, Value)> {
        let rest = &self.messages[self.at..];
        let is = |it: &(bool, Value), method| !it.0 && it.1["method"] == method;
        let prompt = rest.iter().position(|it| is(it, "session/prompt"))?;
        let found = rest[..=prompt].iter().position(|it| is(it, method))?;
        let message = &rest[found].1;
        self.at += found + 1;
        Some((message["id"].clone(), message["params"].clone()))
    }

    fn next(&mut self) -> (bool, Value) {
        self.at += 1;
        self.messages[self.at - 1].clone()
    }
}

/// The result of a turn.
struct Outcome {
    verdict: TurnVerdict,
    events: Vec<RunEvent>,
    turn: AgentTurn,
    conversation: Conversation,
}

impl Outcome {
    fn class(&self) -> Option<FailureKind> {
        match &self.verdict {
            TurnVerdict::Good => None,
            TurnVerdict::Bad(class, _) => Some(*class),
        }
    }

    fn text(&self) -> String {
        let piece = |it: &RunEvent| match it {
            RunEvent::Text { text } => Some(text.clone()),
            _ => None,
        };
        self.events.iter().filter_map(piece).collect()
    }

    /// Tools that ended, as `name done` or `name failed`.
    fn tools(&self) -> Vec<String> {
        let ended = |it: &RunEvent| match it {
            RunEvent::Tool { name, status, .. } if *status == ToolStatus::Done => {
                Some(format!("{name} done"))
            }
            RunEvent::Tool { name, status, .. } if *status == ToolStatus::Failed => {
                Some(format!("{name} failed"))
            }
            _ => None,
        };
        self.events.iter().filter_map(ended).collect()
    }

    /// Input tokens without a cache, and the cost in millionths of a dollar.
    fn used(&self) -> (u64, u64) {
        let usage = self.turn.usage().unwrap_or_default();
        (usage.input, usage.cost_micros.unwrap_or(0))
    }
}

/// Plays the next recorded prompt.
fn play(machine: &mut AcpMachine, tape: &mut Tape, resume: Option<Conversation>) -> Outcome {
    let at = tape.at;
    let (_, params) = tape.seek("session/prompt").expect("another prompt");
    tape.at = at;
    let start = TurnStart {
        prompt: params["prompt"][0]["text"].as_str().unwrap().to_owned(),
        resume,
        limit: 1 << 20,
        ..TurnStart::default()
    };
    let mut actions: VecDeque<AcpAction> = machine.begin(start).into();
    let mut events = Vec::new();
    loop {
        match actions.pop_front().expect("the turn goes on") {
            AcpAction::Send(message) if message.get("method").is_some() => {
                actions.extend(exchange(machine, tape, &message, &mut events));
            }
            AcpAction::Emit(event) => events.push(event),
            AcpAction::End(verdict) => {
                let conversation = machine.conversation().unwrap();
                return Outcome {
                    verdict,
                    events,
                    turn: machine.take_turn(),
                    conversation,
                };
            }
            AcpAction::WithdrawRequests => {}
            AcpAction::Settle => actions.extend(machine.settled()),
            other => panic!("not expected here: {other:?}"),
        }
    }
}

/// The agent's recorded messages for a request of ours, up to its response.
fn exchange(
    machine: &mut AcpMachine,
    tape: &mut Tape,
    request: &Value,
    events: &mut Vec<RunEvent>,
) -> Vec<AcpAction> {
    let id = request["id"].as_u64().expect("requests have ids");
    let method = request["method"].as_str().unwrap();
    let is_prompt = method == "session/prompt";
    let at = tape.at;
    let Some((recorded, params)) = tape.seek(method) else {
        // The recorded client went another way.
        tape.at = at;
        let result = match method {
            "session/resume" | "session/load" | "session/new" => tape.opened.clone(),
            _ => json!({}),
        };
        return machine.on(RpcMessage::Answer {
            id,
            outcome: Ok(result),
        });
    };
    if is_prompt {
        assert_eq!(request["params"], params);
    }
    let mut asks = Vec::new();
    loop {
        let (from_agent, mut message) = tape.next();
        if !from_agent {
            client(machine, &message, &mut asks, events);
            continue;
        }
        let is_answer = message["id"] == recorded && message.get("method").is_none();
        if is_answer {
            message["id"] = id.into();
        }
        let mut read = rpc::read(message.to_string().as_bytes());
        let actions = machine.on(read.messages.pop().expect("a message"));
        if is_answer {
            return actions;
        }
        for action in actions {
            match action {
                AcpAction::Emit(event) => events.push(event),
                AcpAction::RequestPermission(key, ask) => {
                    asks.push((key, ask, message["params"]["options"].clone()))
                }
                AcpAction::Observe(_) => {}
                other => panic!("not expected here: {other:?}"),
            }
        }
    }
}

/// Repeats a recorded message of the client: the machine must send the same.
fn client(
    machine: &mut AcpMachine,
    recorded: &Value,
    asks: &mut Vec<(String, crate::PermissionRequest, Value)>,
    events: &mut Vec<RunEvent>,
) {
    let mut sent = Vec::new();
    if recorded["method"] == "session/cancel" {
        let mut take = |action| match action {
            AcpAction::Send(message) => sent.push(message),
            AcpAction::WithdrawRequests => {}
            other => panic!("not expected here: {other:?}"),
        };
        machine.cancel().into_iter().for_each(&mut take);
        assert_eq!(&sent[0], recorded);
        let cancelled = json!({"outcome": {"outcome": "cancelled"}});
        assert!(sent[1..].iter().all(|it| it["result"] == cancelled));
        assert_eq!(sent.len() - 1, asks.len());
        return;
    }
    let chosen = &recorded["result"]["outcome"];
    if chosen["outcome"] == "cancelled" {
        return;
    }
    let (key, ask, options) = asks.pop().expect("a question");
    assert!(!ask.title.is_empty() && !ask.tool.is_empty(), "{ask:?}");
    // Some agents state no arguments. The input still says what the call does.
    let input = ask.input.expect("what is asked for").to_string();
    let words = ["cat README.txt", "hub_ping", "pong", "hi"];
    assert!(words.iter().any(|it| input.contains(it)), "{input}");
    let kind_of = |it: &&Value| it["optionId"] == chosen["optionId"];
    let kind = &options.as_array().unwrap().iter().find(kind_of).unwrap()["kind"];
    let decision = match kind.as_str() {
        Some("allow_once") => PermissionDecision::Allow,
        _ => PermissionDecision::Deny { reason: None },
    };
    for action in machine.decided(&key, &decision) {
        match action {
            AcpAction::Send(message) => assert_eq!(&message, recorded),
            AcpAction::Emit(event) => events.push(event),
            other => panic!("not expected here: {other:?}"),
        }
    }
}

fn machine(agent: &str) -> AcpMachine {
    let definition = Definition::read_acp(Some(agent), &Map::new()).unwrap();
    AcpMachine::new(agent, &Arc::new(definition))
}

/// The seven turns: plain, denied, allowed, a tool of an MCP server, cancelled, cancelled during a request, and after that.
fn all(agent: &str) -> (Vec<Outcome>, Tape) {
    let mut tape = Tape::load(agent);
    let mut machine = machine(agent);
    let mut turns: Vec<Outcome> = Vec::new();
    for _ in 0..7 {
        let resume = turns.last().map(|it| it.conversation.clone());
        turns.push(play(&mut machine, &mut tape, resume));
    }
    (turns, tape)
}

const REFUSED: Option<FailureKind> = Some(FailureKind::RefusedByPolicy);

/// Agent, end of the denied turn, the tool's name when it was denied and when it ran, input tokens and cost of the first
/// four turns.
type Expected = (
    &'static str,
    Option<FailureKind>,
    [&'static str; 2],
    [(u64, u64); 4],
);

#[rustfmt::skip]
const EXPECTED: &[Expected] = &[
    ("claude", None, ["Bash", "Bash"], [(1000, 9440), (2000, 9440), (2000, 14160), (2000, 14160)]),
    ("codex", REFUSED, ["execute", "exec_command"], [(1000, 0), (1000, 0), (2000, 0), (2000, 0)]),
    ("gemini", None, ["run_shell_command", "run_shell_command"], [(1200, 0), (2400, 0), (2400, 0), (2400, 0)]),
    // Lower bounds: only the last model call counts. The cost is complete.
    ("goose", None, ["shell", "shell"], [(1200, 0), (1200, 0), (1200, 0), (1200, 0)]),
    ("opencode", REFUSED, ["bash", "bash"], [(1000, 1068), (1000, 1068), (1000, 2136), (1000, 2136)]),
];

#[test]
fn recorded_traffic_of_five_agents_is_read_as_expected() {
    for (agent, denied, [asked, ran], used) in EXPECTED {
        let (turns, _) = all(agent);
        let [plain, no, yes, mcp, cancelled, unasked, after] = &turns[..] else {
            panic!("seven turns");
        };
        assert_eq!(plain.class(), None, "{agent}: {:?}", plain.verdict);
        assert!(
            plain.text().contains("What is two plus two?"),
            "{agent}: {}",
            plain.text()
        );
        assert_eq!(no.class(), *denied, "{agent}: {:?}", no.verdict);
        assert_eq!(no.tools(), [format!("{asked} failed")], "{agent}");
        assert_eq!(yes.class(), None, "{agent}: {:?}", yes.verdict);
        assert_eq!(yes.tools(), [format!("{ran} done")], "{agent}");
        assert!(yes.text().contains("hello from the project"), "{agent}");
        assert!(mcp.text().contains("pong: hi"), "{agent}");
        for (turn, used) in turns.iter().zip(used) {
            assert_eq!(turn.used(), *used, "{agent}");
        }
        for turn in [cancelled, unasked] {
            assert!(turn.class().is_some(), "{agent}");
        }
        assert!(cancelled.text().contains("tick11"), "{agent}");
        assert_eq!(after.class(), None, "{agent}: {:?}", after.verdict);
        // None of this is unusual, so there are no further warnings.
        let warned = turns.iter().flat_map(|it| &it.events);
        let warnings: Vec<_> = warned
            .filter(|it| matches!(it, RunEvent::Warning { .. }))
            .collect();
        let expected = match *agent {
            // Its conversations are lost.
            "gemini" => 6,
            // A notice about the model, once per turn; it is not part of the answer.
            "codex" => 7,
            _ => 0,
        };
        assert_eq!(warnings.len(), expected, "{agent}: {warnings:?}");
        for turn in &turns {
            assert!(!turn.text().contains("Model metadata"), "{agent}");
        }
    }
}

#[test]
fn recorded_conversations_go_on_in_a_new_process() {
    for agent in ["claude", "codex", "goose", "opencode"] {
        let (turns, mut tape) = all(agent);
        let last = turns.last().unwrap();
        let before = &last.conversation;
        let again = play(&mut machine(agent), &mut tape, Some(before.clone()));
        assert_eq!(again.class(), None, "{agent}: {:?}", again.verdict);
        // goose replays the conversation while it loads it. The replay is not output.
        assert!(again.text().contains("do you remember?"), "{agent}");
        assert!(!again.text().contains("tick"), "{agent}");
        assert_eq!(again.conversation.session, before.session);
        let (now, once) = (again.used().1, last.used().1);
        assert!(now <= 2 * once, "{agent}: {now} is not of this turn");
    }
}
