//! The fields of a step.

use super::kinds::{APPROVE, LOOP, MAP, PLANNER, REDUCE, VOTE};
use super::{Kind, Preset, TableSpec, field};
use crate::limits::{ATTEMPTS_MAX, PRIORITY_MAX};
use kirosu_protocol::limits::DAY_MS;

/// The fields that make a step one of another kind than `task`.
pub(crate) const KINDS: [&str; 9] = [
    "map", "reduce", "loop", "race", "vote", "approve", "run", "pipeline", "plan",
];

pub(crate) static STEP: TableSpec = TableSpec {
    name: "step",
    doc: "A step: a task, unless a field makes it one of another kind",
    fields: &[
        field(
            "id",
            Kind::Name,
            "The step's name in `depends_on` and templates, unique in the plan",
        )
        .required(),
        field(
            "depends_on",
            Kind::OneOrMore(&Kind::Name),
            "The steps that must end first",
        )
        .alias("needs"),
        field(
            "if",
            Kind::Expression,
            "Whether the step runs; else it is skipped",
        ),
        field(
            "always",
            Kind::Flag,
            "Whether the step runs at the end of the run, whatever happened",
        )
        .preset(Preset::Flag(false)),
        field(
            "may_fail",
            Kind::Flag,
            "Whether the run goes on, and ends as partial, if the step fails",
        )
        .preset(Preset::Flag(false)),
        // Kinds.
        field("map", Kind::Table(&MAP), "One task per item"),
        field(
            "reduce",
            Kind::Table(&REDUCE),
            "Results of a step, merged until one is left",
        ),
        field("loop", Kind::Table(&LOOP), "Repeats `steps`"),
        field(
            "race",
            Kind::List(&Kind::Table(&STEP)),
            "Steps of which the first that is done wins",
        ),
        field(
            "vote",
            Kind::Table(&VOTE),
            "Several answers to one prompt, of which one is chosen",
        ),
        field("approve", Kind::Table(&APPROVE), "A person's decision"),
        field(
            "run",
            Kind::List(&Kind::Template),
            "A program with its arguments, without a shell",
        ),
        field("pipeline", Kind::Text, "Another plan, by file or name"),
        field(
            "plan",
            Kind::Table(&PLANNER),
            "A planner: its answer is a plan, which then runs",
        ),
        // Parts of kinds.
        field(
            "steps",
            Kind::List(&Kind::Table(&STEP)),
            "The steps of a loop",
        ),
        field(
            "shell",
            Kind::Flag,
            "Whether `run` is one text for a shell: not rendered, values are environment variables",
        ),
        field(
            "inputs",
            Kind::Map(&Kind::Either(&[Kind::Template, Kind::Json])),
            "The inputs of `pipeline`",
        ),
        // Tasks.
        field("prompt", Kind::Template, "The prompt"),
        field("system", Kind::Template, "The system prompt"),
        field("pool", Kind::Name, "The pool whose sessions run the tasks"),
        field(
            "module",
            Kind::Text,
            "The pool of this name (its last part after a dot) if there is one, else the default",
        ),
        field("provider", Kind::Text, "The provider"),
        field("model", Kind::Template, "The model"),
        field(
            "result",
            Kind::Either(&[Kind::Word(&["each"]), Kind::Table(&RESULT)]),
            "The form of the result; `each` of a map with batches: one element per item",
        ),
        field(
            "accept",
            Kind::Table(&ACCEPT),
            "Conditions that the result must meet",
        ),
        field(
            "effects",
            Kind::Word(&["none", "repeatable", "once"]),
            "The effects of a run on the world",
        )
        .preset(Preset::Word("repeatable")),
        field(
            "cache",
            Kind::Table(&CACHE),
            "Uses an earlier result of the same prompt; needs `effects: none`",
        ),
        field("timeout", Kind::Duration, "The longest run of a task"),
        field(
            "max_attempts",
            Kind::Whole(1, ATTEMPTS_MAX as i64),
            "Attempts per task",
        ),
        field("retry", Kind::Table(&RETRY), "Pauses between attempts"),
        field("labels", Kind::List(&Kind::Text), "Labels of the tasks"),
        field(
            "priority",
            Kind::Whole(-PRIORITY_MAX, PRIORITY_MAX),
            "Priority of the tasks",
        )
        .preset(Preset::Whole(0)),
        field("workdir", Kind::Template, "A folder inside the workspace"),
        field(
            "fence",
            Kind::Flag,
            "Whether results in the prompt are marked as results of other agents",
        )
        .preset(Preset::Flag(false)),
    ],
};

static RESULT: TableSpec = TableSpec {
    name: "result",
    doc: "The form of a result",
    fields: &[
        field(
            "schema",
            Kind::Schema,
            "The JSON schema that the result must match",
        ),
        field(
            "each",
            Kind::Flag,
            "Whether the result of a batch is a list with one element per item",
        )
        .preset(Preset::Flag(false)),
    ],
};

static ACCEPT: TableSpec = TableSpec {
    name: "accept",
    doc: "Conditions that a result must meet, as in docs/accept.md",
    fields: &[
        field(
            "file",
            Kind::OneOrMore(&Kind::Text),
            "Files that must exist in the workspace",
        ),
        field(
            "diff",
            Kind::Flag,
            "Whether the run must change the git work tree",
        ),
        field("regex", Kind::Text, "Must match somewhere in the answer"),
        field(
            "schema",
            Kind::Schema,
            "The JSON schema that the answer must match",
        ),
        field(
            "command",
            Kind::List(&Kind::Text),
            "A program that must exit with 0 in the workspace",
        ),
        field(
            "timeout_seconds",
            Kind::Float(0.001, (DAY_MS / 1000) as f64),
            "Seconds; the limit of the command",
        ),
    ],
};

static CACHE: TableSpec = TableSpec {
    name: "cache",
    doc: "The use of earlier results",
    fields: &[
        field(
            "ttl",
            Kind::Duration,
            "The greatest age of a result; no limit by default",
        ),
        field(
            "scope",
            Kind::Word(&["run", "plan", "hub"]),
            "The tasks whose results count",
        )
        .preset(Preset::Word("plan")),
    ],
};

static RETRY: TableSpec = TableSpec {
    name: "retry",
    doc: "Pauses between attempts",
    fields: &[
        field("initial", Kind::Duration, "The first pause; 1s by default"),
        field("max", Kind::Duration, "The longest pause; 5m by default"),
        field(
            "factor",
            Kind::Float(1.0, 100.0),
            "The ratio of a pause to the one before; 2 by default",
        ),
    ],
};
