//! The fields of the plan itself, of its inputs and limits.

use super::step::STEP;
use super::{Field, Kind, Preset, TableSpec, field};
use crate::limits::{
    CONCURRENCY_MAX, DEPTH, INSERT_BYTES, ITEMS, PASSES, PlanBound, STEPS, TASKS, WEIGHT_MAX,
};
use kirosu_protocol::limits::{TOKENS_MAX, USD_MAX};

pub(crate) static PLAN: TableSpec = TableSpec {
    name: "plan",
    doc: "A plan: steps, and the order in which they run",
    fields: &[
        field(
            "name",
            Kind::Name,
            "The plan's name; by default that of its file",
        ),
        field("description", Kind::Text, "The purpose, for people"),
        field(
            "inputs",
            Kind::Map(&Kind::Table(&INPUT)),
            "Values that a run is given, by name: `inputs.NAME` in templates",
        ),
        field(
            "limits",
            Kind::Table(&LIMITS),
            "Limits of a run, which its sub-runs inherit",
        ),
        field(
            "weight",
            Kind::Whole(1, WEIGHT_MAX as i64),
            "The share of a run among other runs",
        )
        .preset(Preset::Whole(1)),
        field("pipeline", Kind::List(&Kind::Table(&STEP)), "The steps")
            .alias("steps")
            .required(),
    ],
};

static INPUT: TableSpec = TableSpec {
    name: "input",
    doc: "A value that a run is given",
    fields: &[
        field("description", Kind::Text, "The meaning, for people"),
        field(
            "default",
            Kind::Json,
            "The value of a run that is not given one",
        ),
        field(
            "required",
            Kind::Flag,
            "Whether a run must be given a value",
        )
        .preset(Preset::Flag(false)),
        field(
            "type",
            Kind::Word(&["text", "integer", "number", "boolean", "list", "object"]),
            "The type of value",
        ),
        field("enum", Kind::List(&Kind::Json), "The allowed values"),
    ],
};

const fn limit(name: &'static str, bound: PlanBound, doc: &'static str) -> Field {
    field(name, Kind::Whole(1, bound.hardest as i64), doc).preset(Preset::Whole(bound.default))
}

static LIMITS: TableSpec = TableSpec {
    name: "limits",
    doc: "Limits of a run",
    fields: &[
        field(
            "tokens",
            Kind::Whole(1, TOKENS_MAX as i64),
            "Tokens of all tasks together; none by default",
        ),
        field(
            "usd",
            Kind::Float(0.0, USD_MAX),
            "US dollars of all tasks together; none by default",
        ),
        field(
            "deadline",
            Kind::Duration,
            "Time from the start to the end; none by default",
        ),
        limit("tasks", TASKS, "Tasks"),
        limit(
            "depth",
            DEPTH,
            "Levels of runs: a sub-pipeline is one below its parent",
        ),
        field(
            "concurrency",
            Kind::Whole(1, CONCURRENCY_MAX as i64),
            "Open tasks; by default twice the sessions that can take them",
        ),
        field(
            "passes",
            Kind::Whole(1, PASSES.hardest as i64),
            "The greatest `max` of a loop, and that of a loop without one",
        ),
        limit("items", ITEMS, "Items of each map"),
        limit("steps", STEPS, "Steps of the plan, inner ones included"),
        field(
            "max_insert",
            Kind::Size(INSERT_BYTES.hardest),
            "Bytes that one insertion of a result into a template may have; 64 KiB by default",
        )
        .preset(Preset::Whole(INSERT_BYTES.default)),
        field(
            "pools",
            Kind::List(&Kind::Name),
            "The only pools that the plan, and plans that its planners write, may name",
        ),
    ],
};
