//! Reads a table into a [`Definition`] and reports all faults.

use serde_json::{Map, Value};

use super::table_reader::{FaultList, POINTER, TableReader, is_pointer};
use super::{
    AnswerMode, Counting, Definition, DeniedRule, FailRule, Format, FrameRule, OutputRules, Phrase,
    StopSignal, ToolRule, TrustProfile, TrustProfiles, UsageFields, UsageRule, WaitRule,
};
use super::{DefaultsFile, OwnModel, acp, login, mcp, placeholders};
use crate::event::ToolStatus;
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
    let taker = TableReader::new("", table, &faults);
    let list = |name| taker.texts(name).unwrap_or_default();
    let definition = Definition {
        install: taker.text("install"),
        version: taker.texts("version"),
        oldest: taker.text("oldest"),
        login: taker.table("login", login::read).unwrap_or_default(),
        own_model: taker.table("own_model", own_model).unwrap_or_default(),
        command: list("command"),
        model_args: list("model_args"),
        resume_args: list("resume_args"),
        system_args: list("system_args"),
        extra_args: list("extra_args"),
        trust: taker.table("trust", trust).unwrap_or_default(),
        env: taker.map("env"),
        env_pass: taker.texts("env_pass"),
        mcp: taker.table("mcp", mcp::read).unwrap_or_default(),
        system_file_env: taker.text("system_file_env"),
        defaults_file: taker.table("defaults_file", defaults_file).flatten(),
        stop_signal: taker
            .choice(
                "stop_signal",
                &[("TERM", StopSignal::Term), ("INT", StopSignal::Int)],
            )
            .unwrap_or_default(),
        output: taker.table("output", output).unwrap_or_default(),
        acp: taker.table("acp", acp::read).unwrap_or_default(),
    };
    fits(&definition, &taker);
    taker.finish();
    let faults = faults.into_inner();
    match faults.is_empty() {
        true => Ok(definition),
        false => Err(faults),
    }
}

/// Checks the conditions between keys.
fn fits(definition: &Definition, taker: &TableReader<'_>) {
    if definition.command.first().is_none_or(String::is_empty) {
        taker.fault("command", "has to be set: [\"program\", \"argument\"]");
        return;
    }
    unknown_places(definition, taker);
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
            taker.fault("command", &message);
        }
    }
    let output = &definition.output;
    if output.format != Format::Text && output.done.is_empty() {
        taker.fault(
            "output.done",
            "has to be set for json and jsonl: without it no run can succeed",
        );
    }
}

/// Reports placeholders that no value fills in.
fn unknown_places(definition: &Definition, taker: &TableReader<'_>) {
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
                taker.fault(key, &message);
            }
        }
    }
}

fn own_model(taker: &TableReader<'_>) -> OwnModel {
    OwnModel {
        default: taker.text("default"),
        settings: taker.texts("settings").unwrap_or_default(),
        flags: taker.texts("flags").unwrap_or_default(),
    }
}

fn trust(taker: &TableReader<'_>) -> TrustProfiles {
    TrustProfiles {
        safe: profile(taker, "safe"),
        edit: profile(taker, "edit"),
        all: profile(taker, "all"),
    }
}

/// Reads a list of arguments, or a table of arguments and variables.
fn profile(taker: &TableReader<'_>, name: &'static str) -> TrustProfile {
    if !taker.is_table(name) {
        return TrustProfile {
            args: taker.texts(name).unwrap_or_default(),
            ..TrustProfile::default()
        };
    }
    let read = |below: &TableReader<'_>| TrustProfile {
        args: below.texts("args").unwrap_or_default(),
        env: below.map("env"),
    };
    taker.table(name, read).unwrap_or_default()
}

fn output(taker: &TableReader<'_>) -> OutputRules {
    let formats = [
        ("text", Format::Text),
        ("json", Format::Json),
        ("jsonl", Format::Jsonl),
    ];
    let answers = [("joined", AnswerMode::Joined), ("last", AnswerMode::Last)];
    let format: Format = taker.choice("format", &formats).unwrap_or_default();
    let words = |name| {
        let words = taker.texts(name).unwrap_or_default();
        words.iter().map(|it| it.to_lowercase()).collect()
    };
    OutputRules {
        format,
        prefix: taker.text("prefix").unwrap_or_default(),
        session: taker.tables("session", rule),
        text: taker.tables("text", rule),
        answer: taker.choice("answer", &answers).unwrap_or_default(),
        result: taker.tables("result", rule),
        thought: taker.tables("thought", rule),
        tool: taker.tables("tool", tool),
        warning: taker.tables("warning", rule),
        denied: taker.tables("denied", denied),
        done: taker.tables("done", rule),
        last_word: taker.flag("last_word"),
        limit: taker.tables("limit", rule),
        wait: taker.tables("wait", wait),
        wait_words: words("wait_words"),
        lost: words("lost"),
        known_errors: taker.flag_or("known_errors", format != Format::Text),
        mcp_failed: taker.tables("mcp_failed", rule),
        fail: taker.tables("fail", fail),
        usage: taker.tables("usage", usage),
        error_answers: taker.texts("error_answers").unwrap_or_default(),
        errors: taker
            .tables("errors", phrase)
            .into_iter()
            .flatten()
            .collect(),
        exit: taker
            .table("exit", exit_codes)
            .unwrap_or_default()
            .into_iter()
            .collect(),
    }
}

fn rule(taker: &TableReader<'_>) -> FrameRule {
    FrameRule {
        when: conditions(taker, "match"),
        each: taker.pointer("each"),
        item: conditions(taker, "item"),
        value: taker.pointer("value"),
    }
}

fn defaults_file(taker: &TableReader<'_>) -> Option<DefaultsFile> {
    let env = taker.text("env").filter(|it| !it.is_empty());
    if env.is_none() {
        taker.fault("env", "a file of defaults needs the variable that names it");
    }
    Some(DefaultsFile {
        machine: taker.text("machine"),
        content: taker.values("content").into_iter().collect(),
        env: env?,
    })
}

fn conditions(taker: &TableReader<'_>, name: &'static str) -> Vec<(String, Value)> {
    let conditions = taker.values(name);
    for pointer in conditions.keys().filter(|it| !is_pointer(it)) {
        taker.fault(name, &format!("{pointer:?} is not {POINTER}"));
    }
    conditions.into_iter().collect()
}

fn wait(taker: &TableReader<'_>) -> WaitRule {
    WaitRule {
        rule: rule(taker),
        contains: taker.text("contains").unwrap_or_default().to_lowercase(),
        class: taker.choice("class", CLASSES),
    }
}

fn denied(taker: &TableReader<'_>) -> DeniedRule {
    DeniedRule {
        rule: rule(taker),
        id: taker.pointer("id"),
    }
}

fn fail(taker: &TableReader<'_>) -> FailRule {
    FailRule {
        rule: rule(taker),
        contains: taker.text("contains").unwrap_or_default().to_lowercase(),
        status: taker.pointer("status"),
        class: taker.choice("class", CLASSES),
    }
}

fn tool(taker: &TableReader<'_>) -> ToolRule {
    let states = [
        ("started", ToolStatus::Started),
        ("done", ToolStatus::Done),
        ("failed", ToolStatus::Failed),
    ];
    ToolRule {
        rule: rule(taker),
        id: taker.pointer("id"),
        name: taker.pointer("name"),
        named: taker.text("named").unwrap_or_default(),
        input: taker.pointer("input"),
        status: taker
            .choice("status", &states)
            .unwrap_or(ToolStatus::Started),
    }
}

fn usage(taker: &TableReader<'_>) -> UsageRule {
    let modes = [("delta", Counting::Delta), ("running", Counting::Running)];
    let mode = taker.choice("mode", &modes).unwrap_or_default();
    UsageRule {
        rule: rule(taker),
        fields: UsageFields {
            input: taker.pointer("input"),
            cached_input: taker.pointer("cached_input"),
            cache_write: taker.pointer("cache_write"),
            output: taker.pointer("output"),
            reasoning: taker.pointer("reasoning"),
            cost: taker.pointer("cost"),
        },
        mode,
        cost_mode: taker.choice("cost_mode", &modes).unwrap_or(mode),
        input_includes_cached: taker.flag("input_includes_cached"),
        output_includes_reasoning: taker.flag("output_includes_reasoning"),
    }
}

fn phrase(taker: &TableReader<'_>) -> Option<Phrase> {
    let contains = taker.text("contains").filter(|it| !it.is_empty());
    let class = taker.choice("class", CLASSES);
    if contains.is_none() || class.is_none() {
        taker.fault("contains", "an error needs contains and class");
    }
    Some(Phrase {
        contains: contains?.to_lowercase(),
        class: class?,
    })
}

/// Reads exit codes, which are the keys of their table.
fn exit_codes(taker: &TableReader<'_>) -> Vec<(i32, FailureKind)> {
    taker.rest(|name, word| {
        let code = name.parse().ok().filter(|it| (0..=255).contains(it))?;
        let class = CLASSES.iter().find(|(it, _)| *it == word)?.1;
        Some((code, class))
    })
}
