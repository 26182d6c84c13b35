//! Permission requests of the agent, and their answers.

use serde_json::Value;

use super::super::{options, rpc};
use super::{ASKS, Action, Actions, Machine};
use crate::event::RunEvent;
use crate::permission::PermissionDecision;

impl Machine {
    /// Somebody decided. Late decisions change nothing.
    pub(in crate::acp) fn decided(&mut self, key: &str, decision: &PermissionDecision) -> Actions {
        let mut actions = Actions::new();
        let Some((id, offered, call)) = self.asks.remove(key) else {
            return actions;
        };
        let (answer, complaint) = options::outcome(&offered, decision);
        let reason = match decision {
            PermissionDecision::Allow | PermissionDecision::Choose { .. } => complaint.clone(),
            PermissionDecision::Deny { reason } => Some(reason.clone().unwrap_or_default()),
            PermissionDecision::Refuse { reason } => {
                self.turn.refused(&call, reason);
                Some(reason.clone())
            }
        };
        actions.push(Action::Send(rpc::answer(&id, answer)));
        if let Some(message) = complaint {
            actions.push(Action::Tell(RunEvent::Warning { message }));
        }
        if let Some(reason) = reason {
            let told = self.turn.denied(&call, &reason);
            actions.extend(told.map(Action::Tell));
        }
        actions
    }

    pub(super) fn asked(&mut self, id: Value, params: &Value, actions: &mut Actions) {
        let is_ours = params["sessionId"].as_str() == Some(self.turn.session());
        let is_wanted = self.is_prompting() && !self.turn.cancelling;
        if !is_ours || !is_wanted || self.asks.len() >= ASKS {
            actions.push(Action::Send(rpc::answer(&id, options::cancelled())));
            return;
        }
        let key = id.to_string();
        let offer = options::offer(&params["options"]);
        let (ask, told) = self.turn.ask(&params["toolCall"], &key, offer);
        self.asks.insert(
            key.clone(),
            (id, params["options"].clone(), ask.call.clone()),
        );
        actions.extend(told.into_iter().map(Action::Tell));
        actions.push(Action::Ask(key, ask));
    }
}
