//! From an open session to the prompt: sets its mode and its model, and checks them.

use serde_json::Value;

use super::super::rpc::{self, RpcError};
use super::super::rpc_failure;
use super::super::session_settings::{Setting, SettingControl};
use super::{AcpAction, AcpActions, AcpMachine, PendingMethod};
use crate::event::RunEvent;
use crate::outcome::FailureKind;

impl AcpMachine {
    /// Handles an open session: queues its mode and its model.
    pub(super) fn session_opened(
        &mut self,
        session: String,
        result: Value,
        actions: &mut AcpActions,
    ) {
        self.turn.session_opened(&session);
        self.former = Some(session.clone());
        actions.push(AcpAction::Emit(RunEvent::Session { session }));
        self.opened = result;
        let model = self.turn.start.model.iter().cloned().collect();
        self.wanted_settings = vec![
            (Setting::Model, model),
            (Setting::Mode, self.turn.start.mode.clone()),
        ];
        self.advance(actions);
    }

    /// Sends the next setting, or the prompt after the last.
    fn advance(&mut self, actions: &mut AcpActions) {
        while let Some((setting, wanted)) = self.wanted_settings.pop() {
            let ways = setting.ways(&self.opened);
            let Some(first) = wanted.first() else {
                continue;
            };
            if ways.is_empty() {
                if setting == Setting::Mode || self.definition.model_args.is_empty() {
                    let message = format!(
                        "'{}' offers no choice of its {}; its own settings apply",
                        self.program,
                        setting.word()
                    );
                    actions.push(AcpAction::Emit(RunEvent::Warning { message }));
                }
                continue;
            }
            let offered = |value: &&String| ways.iter().any(|way| way.values.contains(*value));
            let value = match wanted.iter().find(offered) {
                Some(value) => value.clone(),
                // The agent may know models that it does not list.
                None if setting == Setting::Model => first.clone(),
                None => return self.not_offered(setting, first, &ways, None, actions),
            };
            if ways.iter().any(|way| way.current.as_ref() == Some(&value)) {
                continue;
            }
            let mut ways = ways;
            // Tried from the last to the first: controls that list the value come last.
            ways.sort_by_key(|way| !way.values.contains(&value));
            ways.reverse();
            return self.set(setting, ways, value, actions);
        }
        let text = self.turn.prompt(self.definition.acp.system);
        self.prompt(&text, actions);
    }

    fn set(
        &mut self,
        setting: Setting,
        mut ways: Vec<SettingControl>,
        value: String,
        actions: &mut AcpActions,
    ) {
        let Some(way) = ways.pop() else { return };
        let (method, params) = way.call(self.turn.session(), &value);
        self.turn.seen.retain(|(it, _)| *it != setting);
        self.call(
            PendingMethod::Set(setting, ways, value),
            method,
            params,
            actions,
        );
    }

    pub(super) fn has_set(
        &mut self,
        setting: Setting,
        value: &str,
        result: &Value,
        actions: &mut AcpActions,
    ) {
        let seen = self.turn.seen.iter().find(|(it, _)| *it == setting);
        let current = setting
            .current(result)
            .or_else(|| seen.map(|(_, value)| value.clone()));
        match current {
            Some(current) if current != value => {
                let message = format!(
                    "'{}' was set to {} '{value}' but stays with '{current}'",
                    self.program,
                    setting.word()
                );
                self.end(class_of(setting), message, actions);
            }
            _ => self.advance(actions),
        }
    }

    pub(super) fn not_set(
        &mut self,
        setting: Setting,
        ways: Vec<SettingControl>,
        value: &str,
        error: &RpcError,
        actions: &mut AcpActions,
    ) {
        if error.code == rpc::METHOD_NOT_FOUND && !ways.is_empty() {
            return self.set(setting, ways, value.to_owned(), actions);
        }
        // A service that checks the value may refuse for another reason.
        let class = rpc_failure::class(&self.definition, error);
        if !matches!(class, FailureKind::ProviderError | FailureKind::BadInput) {
            let verdict = self.refused(&PendingMethod::Set(setting, ways, value.to_owned()), error);
            return actions.push(AcpAction::End(verdict));
        }
        let ways = setting.ways(&self.opened);
        self.not_offered(setting, value, &ways, Some(&error.message), actions);
    }

    fn not_offered(
        &mut self,
        setting: Setting,
        value: &str,
        ways: &[SettingControl],
        why: Option<&str>,
        actions: &mut AcpActions,
    ) {
        let offered: Vec<&str> = ways
            .first()
            .into_iter()
            .flat_map(|way| way.values.iter().map(String::as_str))
            .take(20)
            .collect();
        let why = why.map(|it| format!(" ({it})")).unwrap_or_default();
        let message = format!(
            "'{}' does not take the {word} '{value}'{why}; it offers {}; set another {word}",
            self.program,
            offered.join(", "),
            word = setting.word(),
        );
        self.end(class_of(setting), message, actions);
    }
}

/// The failure of a run whose agent does not take a setting. A missing model is the task's fault; the mode comes from the
/// definition.
const fn class_of(setting: Setting) -> FailureKind {
    match setting {
        Setting::Model => FailureKind::BadInput,
        Setting::Mode => FailureKind::ProviderError,
    }
}
