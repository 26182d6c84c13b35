//! Settings that an agent lets its client choose, mode and model, as config options or by the older methods.

use serde_json::{Value, json};

/// A setting of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Mode,
    Model,
}

/// One control of a setting: a config option, or the older method.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SettingControl {
    setting: Setting,
    /// The id of the config option. `None` for the older method.
    option: Option<String>,
    pub(super) current: Option<String>,
    pub(super) values: Vec<String>,
}

impl Setting {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Mode => "mode",
            Self::Model => "model",
        }
    }

    /// The controls that the response to `session/new` (or load, or resume) offers, the preferred one first.
    pub(super) fn ways(self, result: &Value) -> Vec<SettingControl> {
        [self.option(&result["configOptions"]), self.older(result)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// The current value, as far as this response or update states it.
    pub(super) fn current(self, reported: &Value) -> Option<String> {
        let option = self.option(&reported["configOptions"]);
        let stated = match self {
            Self::Mode => reported["currentModeId"].as_str(),
            Self::Model => reported["currentModelId"].as_str(),
        };
        option
            .and_then(|it| it.current)
            .or_else(|| stated.map(str::to_owned))
    }

    fn option(self, options: &Value) -> Option<SettingControl> {
        let word = self.word();
        let meant = |it: &&Value| match it["category"].as_str() {
            Some(category) => category == word,
            None => it["id"] == word,
        };
        let option = options.as_array()?.iter().find(meant)?;
        let mut values = Vec::new();
        collect(&option["options"], &mut values);
        Some(SettingControl {
            setting: self,
            option: Some(option["id"].as_str()?.to_owned()),
            current: option["currentValue"].as_str().map(str::to_owned),
            values,
        })
    }

    fn older(self, result: &Value) -> Option<SettingControl> {
        let (list, current, id) = match self {
            Self::Mode => ("/modes/availableModes", "/modes/currentModeId", "id"),
            Self::Model => (
                "/models/availableModels",
                "/models/currentModelId",
                "modelId",
            ),
        };
        let values = result.pointer(list)?.as_array()?.iter();
        let text = |it: &Value| it.as_str().map(str::to_owned);
        Some(SettingControl {
            setting: self,
            option: None,
            current: result.pointer(current).and_then(text),
            values: values.filter_map(|it| text(&it[id])).collect(),
        })
    }
}

impl SettingControl {
    /// The method and its parameters that set `value`.
    pub(super) fn call(&self, session: &str, value: &str) -> (&'static str, Value) {
        match (&self.option, self.setting) {
            (Some(option), _) => (
                "session/set_config_option",
                json!({"sessionId": session, "configId": option, "value": value}),
            ),
            (None, Setting::Mode) => (
                "session/set_mode",
                json!({"sessionId": session, "modeId": value}),
            ),
            (None, Setting::Model) => (
                "session/set_model",
                json!({"sessionId": session, "modelId": value}),
            ),
        }
    }
}

/// Collects the values, which may be in groups.
fn collect(options: &Value, values: &mut Vec<String>) {
    for option in options.as_array().into_iter().flatten() {
        match option["value"].as_str() {
            Some(value) => values.push(value.to_owned()),
            None => collect(&option["options"], values),
        }
    }
}
