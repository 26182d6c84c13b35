//! The OpenAPI description of `/v1`, from the table of routes and the types of the protocol.

use super::params::IDEMPOTENCY_KEY;
use super::problem::TYPE_PREFIX;
use super::schema::{QueryType, RouteFields, query_type, schemas, without_null};
use super::table::{self, RouteKind, V1Route};
use actix_web::HttpResponse;
use kirosu_protocol::{ErrorCode, Method, VerbEffect};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// `GET /v1/openapi.json`
pub(super) async fn serve() -> HttpResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| description().to_string());
    HttpResponse::Ok()
        .content_type("application/json")
        .body(text.as_str())
}

/// The description.
pub(crate) fn description() -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut seen: Vec<Method> = Vec::new();
    for route in table::all() {
        let is_first = !seen.contains(&route.verb);
        seen.push(route.verb);
        let operation = operation(&route, is_first);
        let method = route.method.name().to_ascii_lowercase();
        paths
            .entry(route.path)
            .or_default()
            .insert(method, operation);
    }
    let mut named = schemas().named.clone();
    named.insert("Problem".to_owned(), problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Kirosu",
            "description": "The verbs of a Kirosu hub. Each GET has a HEAD, and each path answers OPTIONS.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": named,
            "responses": {"Problem": {
                "description": "the request was refused or failed",
                "content": {"application/problem+json": {"schema": reference("Problem")}},
                "headers": {"X-Request-Id": request_id()},
            }},
            "securitySchemes": {
                "key": {"type": "apiKey", "in": "header", "name": "x-kiro-key"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "kirosu_session"},
            },
        },
        "security": [{}, {"key": []}, {"bearer": []}, {"session": []}],
    })
}

fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

fn request_id() -> Value {
    json!({
        "description": "the id of the request: the client's `X-Request-Id`, or a new one",
        "schema": {"type": "string"},
        "required": true,
    })
}

/// The schema of an error.
fn problem() -> Value {
    json!({
        "type": "object",
        "description": "An error (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": {"type": "string", "description": format!("`{TYPE_PREFIX}` and the code")},
            "title": {"type": "string", "description": "the meaning of the status"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "a sentence for a person"},
            "code": {"type": "string", "enum": ErrorCode::ALL.map(ErrorCode::as_str)},
            "data": {"type": "object", "description": "details for a program, as `data` of the protocol's error"},
            "request_id": {"type": "string"},
        },
    })
}

fn operation(route: &V1Route, is_first: bool) -> Value {
    let fields = schemas().fields(route);
    let purpose = schemas().of(route.verb).map_or("", |it| it.purpose).trim();
    let (verb, right) = (route.verb.name(), route.verb.right());
    let summary = match route.kind {
        RouteKind::Verb | RouteKind::Events => purpose,
        RouteKind::Hello => {
            "Returns the hub's version and limits, and the role and rights of the client."
        }
        RouteKind::NewRun => "Starts a run of a plan.",
        RouteKind::Output => "Streams the output of a task.",
    };
    let mut operation = json!({
        "operationId": operation_id(route, is_first),
        "tags": [tag(route)],
        "summary": summary,
        "description": format!("The verb `{verb}`. It needs the right `{right}`."),
        "parameters": parameters(route, &fields),
        "responses": responses(route),
        "x-kirosu-verb": verb,
        "x-kirosu-right": right.as_str(),
        "x-kirosu-changes": route.verb.effect() == VerbEffect::Change,
    });
    if route.method.has_body() {
        let body = body(route, fields);
        operation["requestBody"] = json!({
            "required": !body["required"].as_array().is_none_or(Vec::is_empty),
            "content": {"application/json": {"schema": body}},
        });
    }
    operation
}

/// The verb's name; of its further routes with the words of the path.
fn operation_id(route: &V1Route, is_first: bool) -> String {
    let words = route.path.trim_start_matches("/v1/");
    let words = words.replace(['{', '}'], "").replace('/', "_");
    let verb = route.verb.name();
    match is_first {
        true => verb.to_owned(),
        false => format!(
            "{verb}_{}_{words}",
            route.method.name().to_ascii_lowercase()
        ),
    }
}

fn tag(route: &V1Route) -> &'static str {
    route.path.split('/').nth(2).unwrap_or_default()
}

fn parameters(route: &V1Route, fields: &RouteFields) -> Vec<Value> {
    let in_path: Vec<&str> = route.path_parameters().collect();
    let mut parameters = Vec::new();
    for (name, schema) in &fields.properties {
        let is_in_path = in_path.contains(&name.as_str());
        if !is_in_path && route.method.has_body() {
            continue;
        }
        let mut schema = without_null(schema);
        let description = schema
            .as_object_mut()
            .and_then(|it| it.remove("description"));
        let mut parameter = json!({
            "name": name,
            "in": if is_in_path { "path" } else { "query" },
            "required": is_in_path || fields.required.contains(name),
            "description": description.unwrap_or_default(),
            "schema": schema,
        });
        if query_type(&parameter["schema"]) == QueryType::List {
            parameter["style"] = "form".into();
            parameter["explode"] = false.into();
        }
        parameters.push(parameter);
    }
    let mut header = |name: &str, description: &str| {
        parameters.push(json!({
            "name": name, "in": "header", "required": false, "description": description, "schema": {"type": "string"},
        }));
    };
    header(
        "X-Request-Id",
        "an id for the response and the log of the gateway",
    );
    if route.takes_idempotency_key() {
        header(IDEMPOTENCY_KEY, "the parameter `idempotency_key`");
    }
    if matches!(route.kind, RouteKind::Events | RouteKind::Output) {
        header(
            "Last-Event-ID",
            "the id of the last event that the client has",
        );
    }
    parameters
}

/// The schema of the body: the parameters that are not in the path.
fn body(route: &V1Route, fields: RouteFields) -> Value {
    let in_path: Vec<&str> = route.path_parameters().collect();
    let is_in_body = |name: &String| !in_path.contains(&name.as_str());
    let properties: BTreeMap<String, Value> = fields
        .properties
        .into_iter()
        .filter(|(name, _)| is_in_body(name))
        .collect();
    let required: Vec<String> = fields.required.into_iter().filter(is_in_body).collect();
    json!({"type": "object", "properties": properties, "required": required})
}

fn responses(route: &V1Route) -> Value {
    let content = match route.kind {
        RouteKind::Events | RouteKind::Output => {
            json!({"text/event-stream": {"schema": {"type": "string"}}})
        }
        _ => {
            let answer = schemas().of(route.verb).map(|it| it.answer.clone());
            json!({"application/json": {"schema": answer.unwrap_or_default()}})
        }
    };
    let mut headers = json!({"X-Request-Id": request_id()});
    if super::page::cursor(route.verb).is_some() {
        headers["Link"] = json!({
            "description": "the next page, with `rel=\"next\"`; left out on the last page and for answers above 64 KiB that are streamed",
            "schema": {"type": "string"},
        });
    }
    let mut responses = json!({
        "200": {"description": "the answer of the hub", "content": content, "headers": headers},
        "4XX": {"$ref": "#/components/responses/Problem"},
        "5XX": {"$ref": "#/components/responses/Problem"},
    });
    if route.kind == RouteKind::Output {
        let description = "the client has the whole output of a task that has ended";
        responses["204"] = json!({"description": description});
    }
    responses
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::table::RouteMethod;

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_own_name() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(fields) => {
                    found.extend(fields.get("$ref").and_then(Value::as_str));
                    fields.values().for_each(|it| references(it, found));
                }
                Value::Array(items) => items.iter().for_each(|it| references(it, found)),
                _ => {}
            }
        }
        let description = description();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 100);
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
        let mut names = std::collections::HashSet::new();
        for operations in description["paths"].as_object().unwrap().values() {
            for operation in operations.as_object().unwrap().values() {
                let name = operation["operationId"].as_str().unwrap();
                assert!(names.insert(name), "{name}");
                assert!(!operation["summary"].as_str().unwrap().is_empty(), "{name}");
            }
        }
        assert_eq!(names.len(), table::all().len());
    }

    #[test]
    fn parameters_in_the_path_are_parameters_of_the_verb() {
        for route in table::all() {
            let fields = schemas().fields(&route);
            for name in route.path_parameters() {
                assert!(fields.properties.contains_key(name), "{route:?}");
            }
        }
    }

    #[test]
    fn a_safe_route_has_no_parameters_that_change_something() {
        let route = |method| {
            let mut all = table::all().into_iter();
            let found = all.find(|it| it.path == "/v1/pools" && it.method == method);
            schemas().fields(&found.unwrap()).properties
        };
        assert!(route(RouteMethod::Get).is_empty());
        assert!(route(RouteMethod::Post).contains_key("resize"));
    }
}
