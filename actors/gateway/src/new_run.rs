//! A run of a plan from the fields of a request: a task of the type `plan`, for REST and MCP alike.

use kirosu_protocol::accept::read_unchecked;
use kirosu_protocol::{Error, Limits, NewTask, Params, PlanMetadata, TYPE_PLAN, Verb};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields of a request, as text.
type RunFields<'a> = BTreeMap<&'a str, &'a RawValue>;

/// Fields that only a run has. They become the prompt and the metadata of its task; all others are fields of a task.
const OF_RUNS: [&str; 6] = ["plan", "name", "format", "inputs", "sources", "plans"];
/// Whether a field of a task is one that a run sets itself.
pub(crate) fn is_set(name: &str) -> bool {
    SET.contains(&name)
}

/// Fields of a task that a run sets itself.
const SET: [&str; 3] = ["prompt", "type", "metadata"];

/// Reads the task of a run from a JSON object: `plan` (a text, or the plan as an object), the fields `name`, `format`, `inputs`,
/// `sources` and `plans` of [`PlanMetadata`], and fields of a task.
///
/// # Errors
/// `invalid_params` if `plan` is missing, or a field has the wrong type or one of a task's.
pub(crate) fn read(text: &str, limits: &Limits) -> Result<NewTask, Error> {
    let mut fields: RunFields<'_> = serde_json::from_str(text)
        .map_err(|why| Error::invalid_params(format!("the run must be a JSON object: {why}")))?;
    if let Some(name) = SET.iter().find(|name| fields.contains_key(*name)) {
        return Err(invalid(
            name,
            "left out: it is that of a task; a run has a `plan`",
        ));
    }
    let plan = match fields.get("plan").map(|raw| parse(raw)) {
        Some(Ok(Value::String(plan))) if !plan.trim().is_empty() => plan,
        // JSON is YAML, too. The text is that of the client, so that lines of faults are, too.
        Some(Ok(Value::Object(_))) => fields["plan"].get().to_owned(),
        _ => {
            return Err(invalid(
                "plan",
                "the text of a plan, in YAML, JSON or TOML, or a plan as an object",
            ));
        }
    };
    let metadata = metadata(&fields)?;
    fields.retain(|name, _| !OF_RUNS.contains(name));
    let rest = serde_json::to_string(&fields).unwrap_or_default();
    let mut all: Map<String, Value> = serde_json::from_str(&rest).unwrap_or_default();
    all.insert("type".into(), TYPE_PLAN.into());
    all.insert("prompt".into(), plan.into());
    all.insert("metadata".into(), metadata);
    let all = Value::Object(all).to_string();
    // Unchecked, because the hub compiles regexes and schemas, on another thread.
    read_unchecked(|| NewTask::read(&Params::parse(&all)?, limits))
}

fn metadata(fields: &RunFields<'_>) -> Result<Value, Error> {
    let mut metadata = PlanMetadata::default();
    if let Some(name) = of(fields, "name", "a text")? {
        metadata.name = name;
    }
    let format: Option<Option<String>> = of(fields, "format", "yaml or toml")?;
    match format.flatten().as_deref() {
        None | Some("" | "yaml" | "json") => {}
        Some("toml") => metadata.format = Some("toml".to_owned()),
        Some(_) => return Err(invalid("format", "yaml (also for JSON) or toml")),
    }
    if let Some(inputs) = of(fields, "inputs", "an object of values by name")? {
        metadata.inputs = inputs;
    }
    if let Some(sources) = of(fields, "sources", "an object of numbers by step")? {
        metadata.sources = sources;
    }
    if let Some(plans) = of(fields, "plans", "an object of texts by name")? {
        metadata.plans = plans;
    }
    serde_json::to_value(metadata)
        .map_err(|why| Error::invalid_params(format!("the inputs are not JSON: {why}")))
}

/// A field, if it is given and not null.
fn of<T: serde::de::DeserializeOwned>(
    fields: &RunFields<'_>,
    name: &str,
    rule: &str,
) -> Result<Option<T>, Error> {
    match fields.get(name).filter(|raw| raw.get() != "null") {
        None => Ok(None),
        Some(raw) => serde_json::from_str(raw.get())
            .map(Some)
            .map_err(|_| invalid(name, rule)),
    }
}

fn parse(raw: &RawValue) -> serde_json::Result<Value> {
    serde_json::from_str(raw.get())
}

fn invalid(name: &str, rule: &str) -> Error {
    Error::invalid_params(format!("invalid params: `{name}` must be {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(value: Value) -> String {
        let refusal = read(&value.to_string(), &Limits::default()).unwrap_err();
        refusal.message
    }

    #[test]
    fn the_task_of_a_run_has_the_plan_as_its_prompt_and_the_rest_where_it_belongs() {
        let text = json!({
            "plan": "pipeline: []", "name": "n", "format": "toml", "inputs": {"a": [1]}, "sources": {"s": 7}, "plans": {"p": "x"},
            "queue": "q", "priority": 3, "labels": ["l"], "idempotency_key": "k", "budget": {"tree": {"tokens": 9}},
        });
        let task = read(&text.to_string(), &Limits::default()).unwrap();
        assert_eq!(
            (task.task_type.as_str(), task.prompt.as_str()),
            ("plan", "pipeline: []")
        );
        assert_eq!((task.queue.as_str(), task.priority), ("q", 3));
        assert_eq!(task.labels, ["l"]);
        assert_eq!(task.budget.unwrap().tree.unwrap().tokens, Some(9));
        let metadata = json!({"name": "n", "format": "toml", "inputs": {"a": [1]}, "sources": {"s": 7}, "plans": {"p": "x"}});
        assert_eq!(task.metadata, Some(metadata));
    }

    #[test]
    fn a_plan_may_be_an_object_and_must_be_given() {
        let plan = json!({"pipeline": [{"id": "a", "prompt": "p"}]});
        let task = read(&json!({"plan": plan}).to_string(), &Limits::default()).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&task.prompt).unwrap(), plan);
        for without in [json!({}), json!({"plan": " "}), json!({"plan": 7})] {
            assert!(refused(without).contains("`plan` must be the text of a plan"));
        }
        let wrong = json!({"plan": "p", "inputs": []});
        assert_eq!(
            refused(wrong),
            "invalid params: `inputs` must be an object of values by name"
        );
        let wrong = json!({"plan": "p", "prompt": "p"});
        assert!(refused(wrong).contains("`prompt` must be left out"));
        let wrong = json!({"plan": "p", "priority": 5000});
        assert!(refused(wrong).contains("`priority`"));
    }
}
