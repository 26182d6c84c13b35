//! Reads a table into a [`Definition`] and reports all faults.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::table_reader::{FaultList, FromKey, FromTable, POINTER, TableReader, is_pointer};
use super::{DefaultsFile, Definition, Format, McpForm, Phrase, TrustProfile, placeholders};
use crate::outcome::FailureKind;

/// Failure kinds that a definition may name.
const CLASSES: &[(&str, FailureKind)] = &[
    ("provider_error", FailureKind::ProviderError),
    ("rate_limited", FailureKind::RateLimited { until: None }),
    ("auth_required", FailureKind::AuthRequired),
    ("network", FailureKind::Network),
    ("crashed", FailureKind::Crashed),
    ("bad_input", FailureKind::BadInput),
    ("refused_by_policy", FailureKind::RefusedByPolicy),
];

pub(super) fn definition(table: &Map<String, Value>) -> Result<Definition, Vec<String>> {
    let faults = FaultList::default();
    let table = TableReader::new("", table, &faults);
    let definition = Definition::from_table(&table);
    fits(&definition, &table);
    table.finish();
    let faults = faults.into_inner();
    match faults.is_empty() {
        true => Ok(definition),
        false => Err(faults),
    }
}

/// Checks the conditions between keys.
fn fits(definition: &Definition, table: &TableReader<'_>) {
    let mcp = &definition.mcp;
    if mcp.form != McpForm::Codex && mcp.args.iter().any(|it| it.contains("{mcp_json}")) {
        table.fault(
            "mcp.args",
            "cannot hold {mcp_json}: every user of the machine can read arguments, and it may contain keys; use {mcp_file}",
        );
    }
    if definition.command.first().is_none_or(String::is_empty) {
        table.fault("command", "has to be set: [\"program\", \"argument\"]");
        return;
    }
    unknown_places(definition, table);
    let trust = &definition.trust;
    let trust_args = [&trust.safe, &trust.edit, &trust.all]
        .map(|it| it.args.as_slice())
        .concat();
    // A command without {resume_args} cannot continue a conversation and begins anew, which is not a fault.
    let groups = [
        ("{model_args}", &definition.model_args),
        ("{system_args}", &definition.system_args),
        ("{trust_args}", &trust_args),
        ("{extra_args}", &definition.extra_args),
    ];
    for (place, args) in groups {
        if !args.is_empty() && !definition.command.iter().any(|it| it == place) {
            let key = place.trim_matches(['{', '}']);
            let message =
                format!("needs the place \"{place}\", as there are {key}; or set them to []");
            table.fault("command", &message);
        }
    }
    let output = &definition.output;
    if output.format != Format::Text && output.done.is_empty() {
        table.fault(
            "output.done",
            "has to be set for json and jsonl: without it no run can succeed",
        );
    }
}

/// Reports placeholders that no value fills in.
fn unknown_places(definition: &Definition, table: &TableReader<'_>) {
    let trust = &definition.trust;
    let lists = [
        ("command", &definition.command),
        ("model_args", &definition.model_args),
        ("system_args", &definition.system_args),
        ("resume_args", &definition.resume_args),
        ("extra_args", &definition.extra_args),
        ("trust.safe", &trust.safe.args),
        ("trust.edit", &trust.edit.args),
        ("trust.all", &trust.all.args),
        ("mcp.args", &definition.mcp.args),
    ];
    for (key, arguments) in lists {
        for argument in arguments {
            if let Some(message) = placeholders::fault(argument, key == "command") {
                table.fault(key, &message);
            }
        }
    }
}

// The functions below read a key of a table, for `define_table!`.

pub(super) fn class(table: &TableReader<'_>, name: &'static str) -> Option<FailureKind> {
    table.one_of(name, CLASSES)
}

/// Reads a list of arguments, or a table of arguments and variables.
pub(super) fn trust_profile(table: &TableReader<'_>, name: &'static str) -> TrustProfile {
    match table.peek(name) {
        Some(Value::Object(_)) => FromKey::from_key(table, name),
        _ => TrustProfile {
            args: FromKey::from_key(table, name),
            ..TrustProfile::default()
        },
    }
}

/// The default is true for JSON and false for text.
pub(super) fn known_errors(table: &TableReader<'_>, name: &'static str) -> bool {
    let is_json = table.peek("format").is_some_and(|format| format != "text");
    table.flag_or(name, is_json)
}

pub(super) fn defaults_file(table: &TableReader<'_>, name: &'static str) -> Option<DefaultsFile> {
    let read = |table: &TableReader<'_>| {
        let env = table.filled("env");
        if env.is_none() {
            table.fault("env", "a file of defaults needs the variable that names it");
        }
        Some(DefaultsFile {
            machine: table.text("machine"),
            content: table.values("content").into_iter().collect(),
            env: env?,
        })
    };
    table.table(name, read).flatten()
}

/// The key is `match`, which cannot be the name of a field.
pub(super) fn match_conditions(table: &TableReader<'_>, _: &'static str) -> Vec<(String, Value)> {
    conditions(table, "match")
}

pub(super) fn conditions(table: &TableReader<'_>, name: &'static str) -> Vec<(String, Value)> {
    let conditions = table.values(name);
    for pointer in conditions.keys().filter(|it| !is_pointer(it)) {
        table.fault(name, &format!("{pointer:?} is not {POINTER}"));
    }
    conditions.into_iter().collect()
}

pub(super) fn phrases(table: &TableReader<'_>, name: &'static str) -> Vec<Phrase> {
    let phrase = |table: &TableReader<'_>| {
        let (contains, class) = (table.filled("contains"), class(table, "class"));
        if contains.is_none() || class.is_none() {
            table.fault("contains", "an error needs contains and class");
        }
        Some(Phrase {
            contains: contains?.to_lowercase(),
            class: class?,
        })
    };
    table.tables(name, phrase).into_iter().flatten().collect()
}

/// Reads exit codes, which are the keys of their table.
pub(super) fn exit_codes(
    table: &TableReader<'_>,
    name: &'static str,
) -> BTreeMap<i32, FailureKind> {
    let exit_code = |name: &str, word: &str| {
        let code = name.parse().ok().filter(|it| (0..=255).contains(it))?;
        let class = CLASSES.iter().find(|(it, _)| *it == word)?.1;
        Some((code, class))
    };
    let codes = table.table(name, |codes| codes.rest(exit_code));
    codes.unwrap_or_default().into_iter().collect()
}
