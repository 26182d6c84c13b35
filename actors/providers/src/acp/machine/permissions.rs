//! Permission requests of the agent, and their answers.

use serde_json::Value;

use super::super::{permission_options, rpc};
use super::{ASKS, AcpAction, AcpActions, AcpMachine};
use crate::event::RunEvent;
use crate::permission::PermissionDecision;

impl AcpMachine {
    /// Somebody decided. Late decisions change nothing.
    pub(in crate::acp) fn decided(
        &mut self,
        key: &str,
        decision: &PermissionDecision,
    ) -> AcpActions {
        let mut actions = AcpActions::new();
        let Some((id, offered, call)) = self.asks.remove(key) else {
            return actions;
        };
        let (answer, complaint) = permission_options::outcome(&offered, decision);
        let reason = match decision {
            PermissionDecision::Allow | PermissionDecision::Choose { .. } => complaint.clone(),
            PermissionDecision::Deny { reason } => Some(reason.clone().unwrap_or_default()),
            PermissionDecision::Refuse { reason } => {
                self.turn.refused(&call, reason);
                Some(reason.clone())
            }
        };
        actions.push(AcpAction::Send(rpc::answer(&id, answer)));
        if let Some(message) = complaint {
            actions.push(AcpAction::Emit(RunEvent::Warning { message }));
        }
        if let Some(reason) = reason {
            let told = self.turn.denied(&call, &reason);
            actions.extend(told.map(AcpAction::Emit));
        }
        actions
    }

    pub(super) fn asked(&mut self, id: Value, params: &Value, actions: &mut AcpActions) {
        let is_ours = params["sessionId"].as_str() == Some(self.turn.session());
        let is_wanted = self.is_prompting() && !self.turn.cancelling;
        if !is_ours || !is_wanted || self.asks.len() >= ASKS {
            actions.push(AcpAction::Send(rpc::answer(
                &id,
                permission_options::cancelled(),
            )));
            return;
        }
        let key = id.to_string();
        let offer = permission_options::offer(&params["options"]);
        let (ask, told) = self.turn.ask(&params["toolCall"], &key, offer);
        self.asks.insert(
            key.clone(),
            (id, params["options"].clone(), ask.call.clone()),
        );
        actions.extend(told.into_iter().map(AcpAction::Emit));
        actions.push(AcpAction::RequestPermission(key, ask));
    }
}
