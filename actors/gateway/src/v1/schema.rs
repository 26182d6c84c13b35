//! The parameters and answers of the routes as JSON schemas, from the types of the protocol.

use super::table::{RouteKind, V1Route};
use kirosu_protocol::{Method, Verb, verbs};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

/// Parameters of `GET /v1/events` that the verb `watch` has not, or has in another form.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct EventsQuery {
    /// Only these kinds of events.
    kinds: Option<Vec<String>>,
    /// Only events of this task.
    task_id: Option<i64>,
    /// The id of the last event that the client has, as the header `Last-Event-ID`, which counts before this.
    since: Option<String>,
    /// At most one event `batch` in this time in milliseconds, in which of several events about the same thing only the newest is.
    #[schema(minimum = 50, maximum = 5000)]
    coalesce: Option<u32>,
}

/// Parameters of the output of a task.
#[derive(serde::Serialize, ToSchema)]
pub(super) struct OutputQuery {
    /// The task.
    task_id: i64,
    /// The number of the last chunk that the client has.
    #[schema(minimum = 0)]
    after: Option<i64>,
    /// Whether the stream goes on until the task has ended.
    #[schema(required = false)]
    follow: bool,
}

/// The schemas of a verb.
#[derive(Clone)]
pub(super) struct VerbSchema {
    pub(super) purpose: &'static str,
    params: Value,
    pub(super) answer: Value,
}

/// All schemas.
pub(super) struct Schemas {
    /// By their names, for `components`.
    pub(super) named: BTreeMap<String, Value>,
    verbs: Vec<VerbSchema>,
}

/// The parameters of a route.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct RouteFields {
    pub(super) properties: BTreeMap<String, Value>,
    pub(super) required: BTreeSet<String>,
}

fn value(schema: &RefOr<Schema>) -> Value {
    // A schema has no map with other keys than texts.
    let mut value = serde_json::to_value(schema).unwrap_or_default();
    in_seconds(&mut value);
    value
}

/// Corrects the descriptions of times: the types have milliseconds where the wire has numbers of seconds.
fn in_seconds(schema: &mut Value) {
    let is_number = has_type(schema, "number");
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get_mut("description")
                && is_number
            {
                *text = text.replace("milliseconds", "seconds");
                *text = text.replace("Milliseconds", "Seconds");
            }
            fields.values_mut().for_each(in_seconds);
        }
        Value::Array(items) => items.iter_mut().for_each(in_seconds),
        _ => {}
    }
}

fn has_type(schema: &Value, wanted: &str) -> bool {
    match &schema["type"] {
        Value::String(name) => name == wanted,
        Value::Array(names) => names.iter().any(|name| name == wanted),
        _ => false,
    }
}

/// The schema of a type, with those that it names.
pub(crate) fn schema_of<T: ToSchema>(named: &mut BTreeMap<String, Value>) -> Value {
    let mut schemas = Vec::new();
    T::schemas(&mut schemas);
    named.extend(
        schemas
            .iter()
            .map(|(name, schema)| (name.clone(), value(schema))),
    );
    value(&T::schema())
}

fn of_verb<V>(purpose: &'static str, named: &mut BTreeMap<String, Value>) -> VerbSchema
where
    V: Verb<Answer: ToSchema> + ToSchema,
{
    let answer = schema_of::<V::Answer>(named);
    let name = <V::Answer as ToSchema>::name().into_owned();
    let reference = serde_json::json!({"$ref": format!("#/components/schemas/{name}")});
    named.insert(name, answer);
    VerbSchema {
        purpose,
        params: schema_of::<V>(named),
        answer: reference,
    }
}

/// The schemas, made once.
pub(super) fn schemas() -> &'static Schemas {
    static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
    SCHEMAS.get_or_init(|| {
        let mut named = BTreeMap::new();
        macro_rules! all {
            ($($(#[doc = $doc:literal])* $module:ident: $variant:ident($params:ident), $effect:ident, $right:ident;)*) => {
                vec![$(of_verb::<verbs::$module::$params>(concat!($($doc),*), &mut named)),*]
            };
        }
        let verbs = kirosu_protocol::for_each_verb!(all);
        Schemas { named, verbs }
    })
}

impl Schemas {
    /// The schemas of a verb.
    pub(super) fn of(&self, verb: Method) -> Option<&VerbSchema> {
        let at = Method::ALL.iter().position(|method| *method == verb)?;
        self.verbs.get(at)
    }

    /// The parameters of a route, those in the path included.
    pub(super) fn fields(&self, route: &V1Route) -> RouteFields {
        let mut named = BTreeMap::new();
        let special = match route.kind {
            RouteKind::Hello => return RouteFields::default(),
            RouteKind::Verb => None,
            RouteKind::NewRun => Some(crate::rest::new_run_schema(&mut named)),
            RouteKind::Events => Some(schema_of::<EventsQuery>(&mut named)),
            RouteKind::Output => Some(schema_of::<OutputQuery>(&mut named)),
        };
        let verb = self.of(route.verb).map(|schema| &schema.params);
        let mut fields = match special.as_ref().or(verb) {
            Some(schema) => self.flatten(schema),
            None => RouteFields::default(),
        };
        if route.kind == RouteKind::NewRun {
            // A run has the other fields of a task, too.
            let task = verb.map(|schema| self.flatten(schema)).unwrap_or_default();
            for (name, schema) in task.properties {
                if !crate::new_run::is_set(&name) {
                    fields.properties.entry(name).or_insert(schema);
                }
            }
        }
        if route.is_safe() {
            fields
                .properties
                .retain(|name, _| !changes(route.verb, name));
        }
        fields
    }

    /// The members of an object whose schema may consist of several.
    fn flatten(&self, schema: &Value) -> RouteFields {
        if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
            return self
                .named
                .get(name)
                .map_or_else(RouteFields::default, |it| self.flatten(it));
        }
        let mut fields = RouteFields::default();
        if let Some(properties) = schema["properties"].as_object() {
            let all = properties
                .iter()
                .map(|(name, it)| (name.clone(), it.clone()));
            fields.properties.extend(all);
        }
        let required = schema["required"].as_array().into_iter().flatten();
        let required = required.filter_map(Value::as_str).map(str::to_owned);
        fields.required.extend(required);
        for part in schema["allOf"].as_array().into_iter().flatten() {
            let part = self.flatten(part);
            fields.properties.extend(part.properties);
            fields.required.extend(part.required);
        }
        for form in ["oneOf", "anyOf"] {
            // A parameter that only one of several forms needs is not required.
            for part in schema[form].as_array().into_iter().flatten() {
                fields.properties.extend(self.flatten(part).properties);
            }
        }
        fields
    }
}

/// Whether a parameter of a verb that only reads otherwise changes something.
pub(super) fn changes(verb: Method, name: &str) -> bool {
    verb == Method::Pools && matches!(name, "resize" | "probe")
}

/// The type of a parameter in a query, which has only texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueryType {
    Switch,
    List,
    Text,
}

/// The type of a parameter by its schema.
pub(super) fn query_type(schema: &Value) -> QueryType {
    match (has_type(schema, "boolean"), has_type(schema, "array")) {
        (true, _) => QueryType::Switch,
        (_, true) => QueryType::List,
        _ => QueryType::Text,
    }
}

/// A schema without `null`: a query has none.
pub(super) fn without_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(names) = schema["type"].as_array() {
        let names: Vec<Value> = names.iter().filter(|it| *it != "null").cloned().collect();
        schema["type"] = match <[Value; 1]>::try_from(names) {
            Ok([one]) => one,
            Err(several) => several.into(),
        };
    }
    for form in ["oneOf", "anyOf"] {
        let Some(parts) = schema[form].as_array() else {
            continue;
        };
        let parts: Vec<Value> = parts
            .iter()
            .filter(|it| it["type"] != "null")
            .cloned()
            .collect();
        let mut rest: Map<String, Value> = schema.as_object().cloned().unwrap_or_default();
        rest.remove(form);
        schema = match <[Value; 1]>::try_from(parts) {
            // `oneOf` with one form is that form.
            Ok([Value::Object(one)]) => {
                rest.extend(one);
                Value::Object(rest)
            }
            Ok([other]) => other,
            Err(several) => {
                rest.insert(form.to_owned(), several.into());
                Value::Object(rest)
            }
        };
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::call::HubCall;
    use crate::v1::table;
    use kirosu_protocol::{Error, ErrorCode, Limits};
    use serde_json::json;

    /// A value of the type of a schema.
    fn sample(schema: &Value, schemas: &Schemas) -> Value {
        let schema = without_null(schema);
        if let Some(name) = schema["$ref"].as_str().and_then(|it| it.rsplit('/').next()) {
            return sample(&schemas.named[name], schemas);
        }
        if let Some(word) = schema["enum"].get(0) {
            return word.clone();
        }
        match schema["type"].as_str() {
            Some("boolean") => json!(true),
            Some("integer") => schema.get("minimum").cloned().unwrap_or(json!(1)),
            Some("number") => json!(1.5),
            Some("array") => json!([sample(&schema["items"], schemas)]),
            Some("string") => json!("hub"),
            _ => {
                let fields = schemas.flatten(&schema);
                let required = fields.required.iter();
                let all =
                    required.map(|name| (name.clone(), sample(&fields.properties[name], schemas)));
                Value::Object(all.collect())
            }
        }
    }

    fn read(verb: Method, params: &Value) -> Result<HubCall, Error> {
        HubCall::read(verb, &params.to_string(), &Limits::default())
    }

    /// The required parameters of a route, but for one.
    fn needed(fields: &RouteFields, but: &str, schemas: &Schemas) -> Value {
        let required = fields.required.iter().filter(|it| *it != but);
        let all = required.map(|name| (name.clone(), sample(&fields.properties[name], schemas)));
        Value::Object(all.collect())
    }

    fn of_verbs() -> impl Iterator<Item = (V1Route, RouteFields)> {
        let routes = table::all().into_iter();
        let routes = routes.filter(|route| route.kind == RouteKind::Verb);
        routes.map(|route| (route, schemas().fields(&route)))
    }

    #[test]
    fn the_parser_reads_every_parameter_that_a_schema_names() {
        // Some verbs take one of several parameters, of which none is required.
        let further = [
            json!({}),
            json!({"task_id": 1}),
            json!({"task_ids": [1]}),
            json!({"task_id": 1, "status": "done"}),
            json!({"every_seconds": 60}),
            json!({"source_id": 1}),
            json!({"queue": "q"}),
        ];
        // Any JSON, or a text that may be any JSON.
        let any = ["metadata", "args", "data", "result", "error", "items"];
        for (route, fields) in of_verbs() {
            for name in fields.properties.keys() {
                let names_it = further.iter().any(|further| {
                    let mut params = needed(&fields, name, schemas());
                    for (other, value) in further.as_object().unwrap() {
                        params[other] = value.clone();
                    }
                    // No parameter is a list of lists of objects.
                    params[name] = json!([[{"no": []}]]);
                    let refused = read(route.verb, &params).err().map(|it| it.message);
                    refused.is_some_and(|it| {
                        it.contains(&format!("`{name}`"))
                            || it.starts_with(&format!("{name} must be"))
                    })
                });
                assert!(names_it || any.contains(&name.as_str()), "{route:?} {name}");
            }
        }
    }

    #[test]
    fn the_ranges_of_a_schema_are_those_of_the_parser() {
        let mut seen = 0;
        for (route, fields) in of_verbs() {
            for (name, schema) in &fields.properties {
                let mut params = needed(&fields, name, schemas());
                let mut read_with = |number: i64| {
                    params[name] = json!(number);
                    read(route.verb, &params).map(drop).map_err(|it| it.code)
                };
                // Some parameters take 0 as left out, and negative numbers as 0.
                if let Some(least) = schema["minimum"]
                    .as_i64()
                    .filter(|it| !(0..=1).contains(it))
                {
                    assert_eq!(read_with(least), Ok(()), "{route:?} {name}");
                    assert_eq!(
                        read_with(least - 1),
                        Err(ErrorCode::InvalidParams),
                        "{route:?} {name}"
                    );
                    seen += 1;
                }
                if let Some(most) = schema["maximum"].as_i64() {
                    assert_eq!(read_with(most), Ok(()), "{route:?} {name}");
                    assert_eq!(
                        read_with(most + 1),
                        Err(ErrorCode::InvalidParams),
                        "{route:?} {name}"
                    );
                    seen += 1;
                }
            }
        }
        assert!(seen >= 8, "{seen}");
    }

    #[test]
    fn times_are_described_in_the_unit_of_the_wire() {
        for (of, schema) in &schemas().named {
            for (name, property) in schemas().flatten(schema).properties {
                let is_said = property.to_string().contains("illiseconds");
                assert!(
                    !is_said || of == "Limits" || name.ends_with("_ms"),
                    "{of}.{name}"
                );
            }
        }
    }
}
