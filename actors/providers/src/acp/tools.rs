//! The tool calls of a turn: collects what several messages state about one call.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::definition::AcpRules;
use crate::event::{RunEvent, ToolStatus};
use crate::permission::PermissionRequest;

/// Calls that are remembered. Beyond that, finished calls are forgotten first.
const CALLS: usize = 4096;

/// Places of a tool's name, after those of the definition.
const NAMES: &[&str] = &[
    "/name",
    "/_meta/claudeCode/toolName",
    "/_meta/goose/toolCall/toolName",
];

/// The known data of a call.
#[derive(Debug, Clone, Default)]
struct ToolCall {
    name: Option<String>,
    kind: Option<String>,
    title: Option<String>,
    input: Option<Value>,
    started: bool,
    ended: bool,
}

/// All calls of one turn.
#[derive(Debug)]
pub(super) struct ToolCalls {
    names: Vec<String>,
    name_ends: Option<String>,
    ignored: Vec<String>,
    calls: HashMap<String, ToolCall>,
}

impl ToolCalls {
    pub(super) fn new(acp: &AcpRules) -> Self {
        Self {
            names: acp.tool_name.clone(),
            name_ends: acp.tool_name_ends.clone(),
            ignored: acp.input_ignored.clone(),
            calls: HashMap::new(),
        }
    }

    /// Whether there was any call.
    pub(super) fn any(&self) -> bool {
        !self.calls.is_empty()
    }

    /// Takes a `tool_call` or `tool_call_update`. Returns the events of the call. Its start is reported once its arguments
    /// are known: some agents send them in a later message.
    pub(super) fn update(&mut self, update: &Value) -> Vec<RunEvent> {
        let Some(id) = update["toolCallId"].as_str() else {
            return Vec::new();
        };
        let is_first = !self.calls.contains_key(id);
        let call = self.learn(id, update);
        let ended = match update["status"].as_str() {
            Some("completed") => Some(ToolStatus::Done),
            Some("failed") => Some(ToolStatus::Failed),
            _ => None,
        };
        let may_wait = is_first && update["status"] == "pending" && !call.has_arguments();
        let mut events = Vec::new();
        if !call.ended && (ended.is_some() || !may_wait) {
            events.extend(call.begin(id));
        }
        if let Some(status) = ended.filter(|_| !call.ended) {
            call.ended = true;
            // The arguments may be long, and a later call may reuse the id.
            call.input = None;
            events.push(RunEvent::Tool {
                id: id.to_owned(),
                name: call.word(),
                status,
                detail: output(update),
            });
        }
        events
    }

    /// The name of a tool call, for people.
    pub(super) fn title(&self, id: &str) -> String {
        let call = self.calls.get(id);
        call.map_or_else(
            || id.to_owned(),
            |it| it.title.clone().unwrap_or_else(|| it.word()),
        )
    }

    /// The start of the call, if it was not reported before.
    pub(super) fn begin(&mut self, id: &str) -> Option<RunEvent> {
        self.calls.get_mut(id)?.begin(id)
    }

    /// The permission request for a tool call. `key` is its id where the agent states none.
    pub(super) fn request(&mut self, tool_call: &Value, key: &str) -> PermissionRequest {
        let id = tool_call["toolCallId"].as_str().unwrap_or(key);
        let call = self.learn(id, tool_call);
        let title = call.title.clone().unwrap_or_else(|| call.word());
        let input = call.input.clone();
        PermissionRequest {
            call: id.to_owned(),
            tool: call.word(),
            kind: call.kind.clone(),
            input: input.or_else(|| Some(shown(&title, &tool_call["content"]))),
            title,
            options: Vec::new(),
            is_unallowable: false,
        }
    }

    /// Marks the call as denied. Returns its failure, once.
    pub(super) fn denied(&mut self, id: &str, reason: Option<&str>) -> Option<RunEvent> {
        let call = self.calls.entry(id.to_owned()).or_default();
        if std::mem::replace(&mut call.ended, true) {
            return None;
        }
        let detail = match reason {
            Some(reason) => format!("denied: {reason}"),
            None => "denied".to_owned(),
        };
        Some(RunEvent::Tool {
            id: id.to_owned(),
            name: call.word(),
            status: ToolStatus::Failed,
            detail: Some(detail.into()),
        })
    }

    fn learn(&mut self, id: &str, reported: &Value) -> &mut ToolCall {
        if self.calls.len() >= CALLS && !self.calls.contains_key(id) {
            self.calls.retain(|_, call| !call.ended);
            if self.calls.len() >= CALLS {
                self.calls.clear();
            }
        }
        let text = |name: &str| reported[name].as_str().filter(|it| !it.is_empty());
        let own = self.names.iter().map(String::as_str);
        let name = own
            .chain(NAMES.iter().copied())
            .find_map(|at| reported.pointer(at)?.as_str())
            .or_else(|| Some(id.split_once(self.name_ends.as_deref()?)?.0));
        let call = self.calls.entry(id.to_owned()).or_default();
        // The first name stays: some agents later send the arguments in the same place.
        if call.name.is_none() {
            call.name = name.map(str::to_owned);
        }
        let keep = |old: &mut Option<String>, new: Option<&str>| {
            if let Some(new) = new {
                *old = Some(new.to_owned());
            }
        };
        keep(&mut call.kind, text("kind"));
        keep(&mut call.title, text("title"));
        let input = &reported["rawInput"];
        let says_something = !input.is_null() && input.as_object().is_none_or(|it| !it.is_empty());
        if says_something {
            call.input = Some(without(input, &self.ignored));
        }
        call
    }
}

/// The part of a tool call that a person sees, as one text: its content, else its title.
pub(super) fn text(update: &Value) -> String {
    match output(update) {
        Some(Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => update["title"].as_str().unwrap_or_default().to_owned(),
    }
}

impl ToolCall {
    fn begin(&mut self, id: &str) -> Option<RunEvent> {
        if std::mem::replace(&mut self.started, true) {
            return None;
        }
        let title = self.title.clone().map(Value::from);
        Some(RunEvent::Tool {
            id: id.to_owned(),
            name: self.word(),
            status: ToolStatus::Started,
            detail: self.input.clone().or(title),
        })
    }

    /// Whether the arguments state more than the folder.
    fn has_arguments(&self) -> bool {
        let Some(Value::Object(input)) = &self.input else {
            return self.input.is_some();
        };
        input
            .keys()
            .any(|key| !["cwd", "workdir"].contains(&key.as_str()))
    }

    /// The tool's name, else its kind, else `tool`.
    fn word(&self) -> String {
        let word = self.name.as_ref().or(self.kind.as_ref());
        word.cloned().unwrap_or_else(|| "tool".to_owned())
    }
}

/// The arguments without values that differ per call (times, ids), so that equal calls have equal arguments.
fn without(input: &Value, ignored: &[String]) -> Value {
    let mut input = input.clone();
    if let Some(map) = input.as_object_mut() {
        map.retain(|key, _| !ignored.contains(key));
    }
    input
}

/// Replaces arguments that the agent does not state: everything that it shows a person. A decision for one call must not
/// apply to a different one.
fn shown(title: &str, content: &Value) -> Value {
    match content.as_array().is_some_and(|it| !it.is_empty()) {
        true => json!({"title": title, "content": content}),
        false => json!({"title": title}),
    }
}

/// The result of a call: its raw output, else its text.
fn output(update: &Value) -> Option<Value> {
    let raw = update.get("rawOutput").filter(|it| !it.is_null());
    let text = || {
        let pieces = update["content"].as_array()?.iter();
        let texts: Vec<&str> = pieces
            .filter_map(|it| it.pointer("/content/text")?.as_str())
            .collect();
        (!texts.is_empty()).then(|| Value::from(texts.join("\n")))
    };
    raw.cloned().or_else(text)
}
