//! Mode and model against the settings that agents offer.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::machine::{AcpAction, AcpMachine};
use super::super::rpc::{self, RpcMessage};
use super::super::turn::TurnStart;
use super::super::verdict::TurnVerdict;
use crate::definition::Definition;
use crate::event::RunEvent;
use crate::outcome::FailureKind;

/// Begins a turn with an agent that offers these settings. Returns the actions after its session is open.
fn opened(offers: &Value, mode: &str, model: Option<&str>) -> (AcpMachine, Vec<AcpAction>) {
    let overrides = json!({"command": ["x"]});
    let definition = Definition::read_acp(None, overrides.as_object().unwrap()).unwrap();
    let mut machine = AcpMachine::new("x", &Arc::new(definition));
    machine.begin(TurnStart {
        mode: vec!["gone by now".to_owned(), mode.to_owned()],
        model: model.map(str::to_owned),
        ..TurnStart::default()
    });
    answer(&mut machine, 1, Ok(json!({"protocolVersion": 1})));
    let mut result = offers.clone();
    result["sessionId"] = "s".into();
    let actions = answer(&mut machine, 2, Ok(result));
    (machine, actions)
}

fn answer(
    machine: &mut AcpMachine,
    id: u64,
    outcome: Result<Value, rpc::RpcError>,
) -> Vec<AcpAction> {
    machine.on(RpcMessage::Answer { id, outcome })
}

/// Method and value of the last message that was sent.
fn sent(actions: &[AcpAction]) -> (String, String) {
    let Some(AcpAction::Send(message)) = actions.last() else {
        panic!("nothing was sent: {actions:?}");
    };
    let params = &message["params"];
    let value = ["value", "modeId", "modelId"].map(|it| params[it].as_str());
    let value = value.into_iter().flatten().next().unwrap_or_default();
    (
        message["method"].as_str().unwrap().to_owned(),
        value.to_owned(),
    )
}

fn ended(actions: &[AcpAction]) -> (FailureKind, &str) {
    match actions.last() {
        Some(AcpAction::End(TurnVerdict::Bad(class, message))) => (*class, message),
        other => panic!("not an end: {other:?}"),
    }
}

#[test]
fn mode_and_model_are_set_by_an_offered_control_and_checked() {
    let pair = |it: [&str; 2]| (it[0].to_owned(), it[1].to_owned());
    let unknown = rpc::RpcError {
        code: rpc::METHOD_NOT_FOUND,
        message: "no".to_owned(),
        raw: Value::Null,
    };
    let offers = json!({
        "configOptions": [
            {"id": "effort", "category": "thought_level", "currentValue": "ask", "options": [{"value": "ask"}]},
            {"id": "m", "category": "mode", "currentValue": "auto", "options": [{"value": "ask"}, {"value": "auto"}]},
            {"id": "model", "currentValue": "big", "options": [{"group": "g", "options": [{"value": "small"}]}]},
        ],
        "modes": {"currentModeId": "auto", "availableModes": [{"id": "ask"}]},
    });
    // By config option; where the agent does not know that method, by the older one; the model is in a group.
    let (mut machine, actions) = opened(&offers, "ask", Some("small"));
    assert_eq!(sent(&actions), pair(["session/set_config_option", "ask"]));
    let actions = answer(&mut machine, 3, Err(unknown.clone()));
    assert_eq!(sent(&actions), pair(["session/set_mode", "ask"]));
    let actions = answer(&mut machine, 4, Ok(json!({})));
    assert_eq!(sent(&actions), pair(["session/set_config_option", "small"]));
    let actions = answer(&mut machine, 5, Ok(json!({})));
    assert_eq!(sent(&actions).0, "session/prompt");
    // An agent that accepts the mode and does not change it.
    let (mut machine, _) = opened(&offers, "ask", None);
    let stays = json!({"configOptions": offers["configOptions"]});
    let actions = answer(&mut machine, 3, Ok(stays));
    assert!(
        ended(&actions).1.contains("stays with 'auto'"),
        "{actions:?}"
    );
    // A mode that the agent does not have.
    let (_, actions) = opened(&offers, "unheard of", None);
    assert!(
        ended(&actions).1.contains("it offers ask, auto"),
        "{actions:?}"
    );
    let (mut machine, _) = opened(&offers, "auto", Some("huge"));
    let actions = answer(&mut machine, 3, Err(unknown));
    assert_eq!(ended(&actions).0, FailureKind::BadInput);
    // An agent without modes.
    let (_, actions) = opened(&json!({}), "ask", None);
    assert_eq!(sent(&actions).0, "session/prompt");
    assert!(
        actions
            .iter()
            .any(|it| matches!(it, AcpAction::Emit(RunEvent::Warning { .. })))
    );
}

#[test]
fn open_permission_requests_are_bounded() {
    let (mut machine, _) = opened(&json!({}), "ask", None);
    let mut ask = |id: u64| {
        machine.on(RpcMessage::Request {
            id: id.into(),
            method: "session/request_permission".to_owned(),
            params: json!({"sessionId": "s", "toolCall": {"toolCallId": "t"}, "options": []}),
        })
    };
    let asked = (0..1000).map(&mut ask);
    let asked = asked.filter(|it| matches!(it.last(), Some(AcpAction::RequestPermission(..))));
    assert_eq!(asked.count(), 64);
    let [AcpAction::Send(answer)] = &ask(1000)[..] else {
        panic!("not answered");
    };
    assert_eq!(answer["result"]["outcome"]["outcome"], "cancelled");
}
