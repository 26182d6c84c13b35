//! Permission requests of the agent, and the responses to them.

use serde_json::Value;

use super::super::{permission_options, rpc};
use super::{AcpAction, AcpActions, AcpMachine, OPEN_REQUESTS};
use crate::event::RunEvent;
use crate::permission::PermissionDecision;

impl AcpMachine {
    /// Responds to a permission request. A late decision has no effect.
    pub(in crate::acp) fn decided(
        &mut self,
        key: &str,
        decision: &PermissionDecision,
    ) -> AcpActions {
        let mut actions = AcpActions::new();
        let Some((id, offered, call)) = self.requests.remove(key) else {
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
            let reported = self.turn.denied(&call, &reason);
            actions.extend(reported.map(AcpAction::Emit));
        }
        actions
    }

    pub(super) fn permission_requested(
        &mut self,
        id: Value,
        params: &Value,
        actions: &mut AcpActions,
    ) {
        let is_ours = params["sessionId"].as_str() == Some(self.turn.session());
        let is_wanted = self.is_prompting() && !self.turn.cancelling;
        if !is_ours || !is_wanted || self.requests.len() >= OPEN_REQUESTS {
            actions.push(AcpAction::Send(rpc::answer(
                &id,
                permission_options::cancelled(),
            )));
            return;
        }
        let key = id.to_string();
        let offer = permission_options::offer(&params["options"]);
        let (request, reported) = self.turn.request(&params["toolCall"], &key, offer);
        self.requests.insert(
            key.clone(),
            (id, params["options"].clone(), request.call.clone()),
        );
        actions.extend(reported.into_iter().map(AcpAction::Emit));
        actions.push(AcpAction::RequestPermission(key, request));
    }
}
