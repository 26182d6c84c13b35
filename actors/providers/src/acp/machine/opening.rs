//! From a new process to an open session.

use serde_json::{Value, json};

use super::super::rpc;
use super::super::servers::{self, AcceptedTransports};
use super::{AcpAction, AcpActions, AcpMachine, Capabilities, PendingMethod};
use crate::definition::SystemWay;
use crate::event::RunEvent;
use crate::outcome::FailureKind;

impl AcpMachine {
    pub(super) fn initialized(&mut self, result: &Value, actions: &mut AcpActions) {
        let version = &result["protocolVersion"];
        // Some agents send the version as a string.
        if version.as_f64() != Some(1.0) && version != "1" {
            let message = format!(
                "'{}' speaks version {version} of ACP, and kirosu version 1; use another version of it",
                self.program
            );
            return self.end(FailureKind::ProviderError, message, actions);
        }
        let can = &result["agentCapabilities"];
        let offers = |at: &str| {
            can.pointer(at)
                .is_some_and(|it| it.is_object() || it == true)
        };
        let logins = result["authMethods"].as_array().into_iter().flatten();
        self.agent = Some(Capabilities {
            resume: offers("/sessionCapabilities/resume"),
            load: offers("/loadSession") && self.definition.acp.load,
            close: offers("/sessionCapabilities/close"),
            http: offers("/mcpCapabilities/http"),
            logins: logins
                .filter_map(|it| Some(it["name"].as_str()?.to_owned()))
                .collect(),
        });
        self.open(actions);
    }

    pub(super) fn cannot_resume(&mut self, why: &str, actions: &mut AcpActions) {
        self.end(FailureKind::BadInput, not_continued(why), actions);
    }

    /// Opens a session: the earlier one where the job has one and the agent can resume or load it, else a new one.
    pub(super) fn open(&mut self, actions: &mut AcpActions) {
        let agent = self.agent.clone().unwrap_or_default();
        let old = self.turn.start.resume.as_ref().map(|it| it.session.clone());
        let former = self.former.take().filter(|it| Some(it) != old.as_ref());
        if let Some(former) = former.filter(|_| agent.close) {
            // Its response is not needed.
            self.next_id += 1;
            let params = json!({"sessionId": former});
            actions.push(AcpAction::Send(rpc::request(
                self.next_id,
                "session/close",
                params,
            )));
        }
        let takes = AcceptedTransports {
            stdio: self.definition.acp.stdio_servers,
            http: agent.http,
        };
        let find = &self.turn.start.find;
        let (handed, left) = servers::hand_over(&self.turn.start.mcp, takes, |it| find(it));
        let warning = |message| AcpAction::Emit(RunEvent::Warning { message });
        // Warns once, also when the earlier conversation is lost and a new one begins.
        if !std::mem::replace(&mut self.turn.has_warned_servers, true) {
            actions.extend(left.into_iter().map(warning));
        }
        let mut params = json!({"cwd": self.turn.start.cwd, "mcpServers": handed});
        if let (SystemWay::Append, Some(system)) =
            (self.definition.acp.system, &self.turn.start.system)
        {
            params["_meta"] = json!({"systemPrompt": {"append": system}});
        }
        match old {
            Some(old) if agent.resume || agent.load => {
                params["sessionId"] = old.into();
                let method = if agent.resume {
                    "session/resume"
                } else {
                    "session/load"
                };
                self.call(PendingMethod::Resume, method, params, actions);
            }
            Some(_) if self.turn.start.must_resume => {
                self.cannot_resume("the agent cannot load one", actions);
            }
            Some(_) => {
                actions.push(AcpAction::Emit(lost("the agent cannot load one")));
                self.turn.start.resume = None;
                self.call(PendingMethod::New, "session/new", params, actions);
            }
            None => self.call(PendingMethod::New, "session/new", params, actions),
        }
    }
}

/// The failure of a turn that must continue a conversation and cannot.
pub(in crate::acp) fn not_continued(why: &str) -> String {
    format!("the conversation of the earlier task cannot be continued: {why}")
}

/// The warning that the earlier conversation cannot be continued.
pub(in crate::acp) fn lost(why: &str) -> RunEvent {
    RunEvent::Warning {
        message: format!("the earlier conversation is lost ({why}); a new one begins"),
    }
}
