//! Updates that the agent sends while it works.

use serde_json::Value;

use super::super::session_settings::Setting;
use super::{AcpAction, AcpActions, AcpMachine};
use crate::event::RunEvent;
use crate::limits::ReferenceTime;
use crate::output::{Outlook, ServiceWait};

impl AcpMachine {
    pub(super) fn update(&mut self, params: &Value, actions: &mut AcpActions) {
        if params["sessionId"].as_str() != Some(self.turn.session()) {
            return;
        }
        let update = &params["update"];
        let is_open = self.is_prompting() || self.answer.is_some();
        for setting in [Setting::Mode, Setting::Model] {
            if let Some(value) = setting.current(update) {
                if setting == Setting::Mode && self.is_prompting() {
                    actions.extend(self.turn.left_mode(&value).map(AcpAction::Emit));
                }
                self.turn.seen.retain(|(it, _)| *it != setting);
                self.turn.seen.push((setting, value));
            }
        }
        // A loaded conversation is replayed; only its notices are new.
        let may_tell = is_open || update["sessionUpdate"] == "notice";
        if let Some(notice) = may_tell.then(|| self.turn.notice(update)).flatten() {
            let wait = ServiceWait::of_notice(&notice, &ReferenceTime::now());
            actions.extend(wait.map(|it| AcpAction::Observe(Outlook::Waits(it))));
            return actions.push(AcpAction::Emit(RunEvent::Warning { message: notice }));
        }
        if is_open {
            let events = self.turn.update(update);
            let is_work = |it: &RunEvent| {
                matches!(
                    it,
                    RunEvent::Text { .. } | RunEvent::Thought { .. } | RunEvent::Tool { .. }
                )
            };
            if events.iter().any(is_work) {
                actions.push(AcpAction::Observe(
                    match self.turn.stuck(&self.definition) {
                        Some(wait) => Outlook::Stuck(wait),
                        None => Outlook::of_work(events.last()),
                    },
                ));
            }
            actions.extend(events.into_iter().map(AcpAction::Emit));
        }
    }

    /// Whether a notification is an update of the session.
    pub(super) fn is_update(&self, method: &str) -> bool {
        let more = &self.definition.acp.updates;
        method == "session/update" || more.iter().any(|it| it == method)
    }
}
