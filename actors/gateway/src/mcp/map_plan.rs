//! The plan of `map_items`, in the form of that of `kirosu map`.

use super::error::ToolError;
use kirosu_protocol::Error;
use rmcp::model::JsonObject;
use serde_json::{Value, json};

/// The id of the map, which its results have.
pub(super) const MAP: &str = "map";
/// The id of the step that merges the results.
const REDUCE: &str = "reduce";
/// The default of `tolerate`: all items have their turn.
const TOLERATE: &str = "100%";
/// Tasks that a plan may make by default; a merge makes further ones.
const TASKS: usize = 10_000;
/// Arguments that are fields of the map itself.
const OF_MAP: [&str; 3] = ["key", "batch", "concurrency"];
/// Arguments that both steps have, with their names in plans.
const OF_STEPS: [(&str, &str); 4] = [
    ("system_prompt", "system"),
    ("provider", "provider"),
    ("model", "model"),
    ("max_attempts", "max_attempts"),
];

/// A call as a plan with its input `items`; what is left of the arguments are fields of its run.
///
/// # Errors
/// `invalid_params` if there are no items or too many, or the prompt does not use them.
pub(super) fn read(mut given: JsonObject, most: usize) -> Result<MapCall, ToolError> {
    let items = match given.remove("items") {
        Some(Value::Array(items)) if (1..=most).contains(&items.len()) => items,
        _ => return Err(invalid("items", &format!("a list of 1 to {most} items"))),
    };
    let prompt = text(&mut given, "prompt")?.unwrap_or_default();
    let reduce = text(&mut given, "reduce")?;
    // A batch of 1 is no list.
    let is_one = |batch: &Value| batch.as_u64() == Some(1) || batch.as_str() == Some("1");
    if given.get("batch").is_some_and(is_one) {
        given.remove("batch");
    }
    let named = if given.contains_key("batch") {
        "items"
    } else {
        "item"
    };
    if !(prompt.contains("{{") || prompt.contains("{%")) {
        return Err(invalid(
            "prompt",
            &format!("a template that uses {{{{ {named} }}}}"),
        ));
    }
    let mut map = json!({"over": "inputs.items"});
    for name in OF_MAP {
        if let Some(value) = given.remove(name) {
            map[name] = value;
        }
    }
    let tolerate = given.remove("tolerate").unwrap_or_else(|| TOLERATE.into());
    let number = tolerate
        .as_str()
        .and_then(|text| text.trim().parse::<u64>().ok());
    // A number as a number, so that a fault names the rule for it.
    map["tolerate"] = number.map_or(tolerate, Value::from);
    let mut both = JsonObject::new();
    for (ours, plans) in OF_STEPS {
        if let Some(value) = given.remove(ours) {
            both.insert(plans.to_owned(), value);
        }
    }
    let step = |id: &str, prompt: String| {
        let mut step = both.clone();
        step.insert("id".to_owned(), id.into());
        step.insert("prompt".to_owned(), prompt.into());
        step
    };
    let mut first = step(MAP, prompt);
    first.insert("map".to_owned(), map);
    if let Some(schema) = given.remove("schema") {
        first.insert("result".to_owned(), json!({"schema": schema}));
    }
    let mut pipeline = vec![first];
    let merges = reduce.is_some();
    if let Some(prompt) = reduce {
        let mut last = step(REDUCE, prompt);
        last.insert("reduce".to_owned(), json!({"of": MAP}));
        pipeline.push(last);
    }
    let number = items.len();
    let plan = json!({
        "name": MAP,
        "inputs": {"items": {}},
        "limits": {"items": number, "tasks": (2 * number).max(TASKS)},
        "pipeline": pipeline,
    });
    given.insert("plan".to_owned(), plan);
    given.insert("inputs".to_owned(), json!({"items": items}));
    Ok(MapCall {
        run: given,
        items: number,
        merges,
    })
}

/// A call of `map_items`.
#[derive(Debug, PartialEq)]
pub(super) struct MapCall {
    /// The fields of the run, as `run_plan` has them.
    pub(super) run: JsonObject,
    /// The number of items.
    pub(super) items: usize,
    /// Whether the results are merged.
    pub(super) merges: bool,
}

fn text(given: &mut JsonObject, name: &str) -> Result<Option<String>, ToolError> {
    match given.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(invalid(name, "a text")),
    }
}

fn invalid(name: &str, rule: &str) -> ToolError {
    Error::invalid_params(format!("`{name}` must be {rule}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(value: Value) -> Result<MapCall, ToolError> {
        read(value.as_object().unwrap().clone(), 3)
    }

    #[test]
    fn a_call_becomes_a_plan_and_the_fields_of_its_run() {
        let given = json!({
            "prompt": "Read {{ items }}", "items": ["a", {"b": 1}], "reduce": "Join {{ results }}", "batch": 2, "key": "{{ index }}",
            "system_prompt": "s", "model": "m", "schema": {"type": "object"}, "queue": "q", "labels": ["l"], "tolerate": "2",
        });
        let call = call(given).unwrap();
        assert_eq!((call.items, call.merges), (2, true));
        let plan = &call.run["plan"];
        let map = json!({"over": "inputs.items", "key": "{{ index }}", "batch": 2, "tolerate": 2});
        assert_eq!(plan["pipeline"][0]["map"], map);
        assert_eq!(
            plan["pipeline"][0]["result"]["schema"]["type"],
            json!("object")
        );
        assert_eq!(plan["pipeline"][1]["reduce"], json!({"of": "map"}));
        assert_eq!(plan["pipeline"][1]["model"], "m");
        let rest: Vec<&str> = call.run.keys().map(String::as_str).collect();
        assert_eq!(rest, ["inputs", "labels", "plan", "queue"]);
        assert_eq!(call.run["inputs"]["items"], json!(["a", {"b": 1}]));
    }

    #[test]
    fn a_call_without_items_or_without_a_place_for_them_is_refused() {
        for (given, why) in [
            (json!({"prompt": "{{ item }}"}), "`items` must be a list"),
            (json!({"prompt": "{{ item }}", "items": []}), "1 to 3 items"),
            (
                json!({"prompt": "{{ item }}", "items": [1, 2, 3, 4]}),
                "1 to 3 items",
            ),
            (json!({"prompt": "do", "items": [1]}), "uses {{ item }}"),
            (
                json!({"prompt": "do", "items": [1], "batch": 2}),
                "uses {{ items }}",
            ),
            (
                json!({"prompt": 7, "items": [1]}),
                "`prompt` must be a text",
            ),
        ] {
            let refused = call(given).unwrap_err().0;
            assert!(refused.contains(why), "{refused}");
        }
        let one = call(json!({"prompt": "{{ item }}", "items": [1], "batch": 1})).unwrap();
        let map = &one.run["plan"]["pipeline"][0]["map"];
        assert!(map.get("batch").is_none() && !one.merges, "{map}");
        assert_eq!(map["tolerate"], "100%");
    }
}
