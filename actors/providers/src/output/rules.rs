//! The application of rules: the frames that they select, and the values that they take.

use serde_json::Value;

use crate::definition::{FrameRule, OutputRules};

/// Whether a rule with conditions selects this frame.
pub(super) fn know(output: &OutputRules, frame: &Value) -> bool {
    let rules = [
        &output.session,
        &output.text,
        &output.thought,
        &output.result,
        &output.done,
        &output.limit,
        &output.warning,
        &output.mcp_failed,
    ];
    let plain = rules.into_iter().flatten();
    let fail = output.fail.iter().map(|it| &it.rule);
    let tool = output.tool.iter().map(|it| &it.rule);
    let wait = output.wait.iter().map(|it| &it.rule);
    let mut all = plain.chain(fail).chain(tool).chain(wait);
    all.any(|rule| !rule.when.is_empty() && fits(&rule.when, frame))
}

/// The elements that a rule selects: the frame itself, or elements of a list in it.
pub(super) fn meant<'v>(rule: &'v FrameRule, frame: &'v Value) -> impl Iterator<Item = &'v Value> {
    let list = fits(&rule.when, frame).then_some(()).and_then(|()| {
        Some(match &rule.each {
            None => std::slice::from_ref(frame),
            Some(pointer) => frame.pointer(pointer)?.as_array()?.as_slice(),
        })
    });
    list.unwrap_or_default()
        .iter()
        .filter(|element| fits(&rule.item, element))
}

/// The first element that a rule selects.
pub(super) fn first<'v>(rule: &'v FrameRule, frame: &'v Value) -> Option<&'v Value> {
    meant(rule, frame).next()
}

/// The values that rules take, as text.
pub(super) fn texts(rules: &[FrameRule], frame: &Value) -> Vec<String> {
    rules
        .iter()
        .flat_map(|rule| meant(rule, frame).filter_map(|it| text(it, rule.value.as_deref())))
        .collect()
}

/// The text at a pointer: a string as it is, other values as JSON, `None` for null.
pub(super) fn text(element: &Value, pointer: Option<&str>) -> Option<String> {
    match element.pointer(pointer?)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn fits(conditions: &[(String, Value)], value: &Value) -> bool {
    conditions.iter().all(|(pointer, wanted)| {
        value.pointer(pointer).is_some_and(|found| match wanted {
            Value::Array(any) => any.contains(found),
            one => one == found,
        })
    })
}
