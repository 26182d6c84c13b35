//! The fields of the kinds of steps.

use super::{Kind, Preset, TableSpec, field};
use crate::limits::{
    ARITY, BATCH_MAX, BREAKER, CONCURRENCY_MAX, ITEMS, PASSES, RESULT_BYTES, TRIES, VOTES,
};

pub(super) static MAP: TableSpec = TableSpec {
    name: "map",
    doc: "One task per item",
    fields: &[
        field(
            "over",
            Kind::Either(&[Kind::List(&Kind::Json), Kind::Table(&SOURCE), Kind::Expression]),
            "The items: a list, a source, or an expression such as steps.read.json",
        )
        .required(),
        field("key", Kind::Template, "The identity of an item; by default the hash of its content"),
        field(
            "batch",
            Kind::Either(&[Kind::Whole(1, BATCH_MAX as i64), Kind::Table(&BATCH)]),
            "Items per task, by number or size; above 1 a template has `items`",
        )
        .preset(Preset::Whole(1)),
        field(
            "sample",
            Kind::Whole(1, ITEMS.hardest as i64),
            "Items that run first; the others follow when these are done",
        ),
        field("ask", Kind::Flag, "Whether a person agrees after the sample, knowing its cost")
            .preset(Preset::Flag(false)),
        field(
            "tolerate",
            Kind::Either(&[Kind::Whole(0, ITEMS.hardest as i64), Kind::Percent]),
            "Items that may fail, as number or percentage of those that ran",
        )
        .preset(Preset::Whole(0)),
        field(
            "stop",
            Kind::Word(&["drain", "cancel"]),
            "The running tasks of a step that fails: finish or cancel them",
        )
        .preset(Preset::Word("drain")),
        field(
            "breaker",
            Kind::Whole(1, BREAKER.hardest as i64),
            "Items that must fail first, all with one class of failure, until the step waits for a person",
        )
        .preset(Preset::Whole(BREAKER.default)),
        field(
            "concurrency",
            Kind::Whole(1, CONCURRENCY_MAX as i64),
            "Open tasks of the step; by default twice the sessions that can take them",
        ),
    ],
};

pub(crate) static SOURCE: TableSpec = TableSpec {
    name: "source",
    doc: "A source of items: one of these",
    fields: &[
        field(
            "files",
            Kind::Template,
            "A glob; an item has `path`, `text`",
        ),
        field("lines", Kind::Template, "A text file; an item is a line"),
        field(
            "jsonl",
            Kind::Template,
            "A file of JSON lines; an item is a value",
        ),
        field(
            "csv",
            Kind::Template,
            "A CSV file with a heading; an item is a row by its columns",
        ),
        field(
            "stdin",
            Kind::Word(&["lines", "jsonl", "csv"]),
            "The standard input of the command",
        ),
    ],
};

static BATCH: TableSpec = TableSpec {
    name: "batch",
    doc: "Items per task by their size",
    fields: &[field(
        "bytes",
        Kind::Size(RESULT_BYTES.hardest),
        "Bytes of all items of a task",
    )
    .required()],
};

pub(super) static REDUCE: TableSpec = TableSpec {
    name: "reduce",
    doc: "Results of a step, merged level by level until one is left",
    fields: &[
        field("of", Kind::Name, "The step with the results").required(),
        field(
            "arity",
            Kind::Whole(2, ARITY.hardest as i64),
            "Results per task",
        )
        .preset(Preset::Whole(ARITY.default)),
        field(
            "order",
            Kind::Word(&["index", "done"]),
            "The order of the results: of the items, or of their ends",
        )
        .preset(Preset::Word("index")),
        field(
            "into",
            Kind::Word(&["jsonl", "json", "concat"]),
            "Joins the results without an agent",
        ),
        field(
            "may_be_empty",
            Kind::Flag,
            "Whether the step is done without any result",
        )
        .preset(Preset::Flag(true)),
    ],
};

pub(super) static LOOP: TableSpec = TableSpec {
    name: "loop",
    doc: "The field `steps` of the step, repeated",
    fields: &[
        field(
            "max",
            Kind::Whole(1, PASSES.hardest as i64),
            "Passes; by default 5, or `limits.passes`",
        ),
        field("until", Kind::Expression, "Ends the loop as done"),
        field(
            "same",
            Kind::Whole(2, PASSES.hardest as i64),
            "Ends the loop, as at `max`, after equal results of this number of passes",
        ),
        field(
            "score",
            Kind::Expression,
            "A number; `best` is the pass with the greatest",
        ),
        field(
            "on_max",
            Kind::Word(&["failed", "done"]),
            "The state of the step after `max` passes",
        )
        .preset(Preset::Word("failed")),
    ],
};

pub(super) static VOTE: TableSpec = TableSpec {
    name: "vote",
    doc: "Several answers to one prompt, of which one is chosen",
    fields: &[
        field("n", Kind::Whole(2, VOTES.hardest as i64), "Answers")
            .preset(Preset::Whole(VOTES.default)),
        field(
            "by",
            Kind::Word(&["majority", "judge"]),
            "The choice: the most frequent answer, or a judge's",
        )
        .preset(Preset::Word("majority")),
        field(
            "key",
            Kind::Text,
            "The path in the JSON of an answer by which answers are equal",
        ),
        field(
            "judge",
            Kind::Table(&JUDGE),
            "Decides, or decides when there is no majority",
        ),
    ],
};

static JUDGE: TableSpec = TableSpec {
    name: "judge",
    doc: "A task that chooses one of `results`",
    fields: &[
        field("prompt", Kind::Template, "The prompt").required(),
        field("system", Kind::Template, "The system prompt"),
        field("pool", Kind::Name, "The pool").alias("module"),
        field("provider", Kind::Text, "The provider"),
        field("model", Kind::Template, "The model"),
        field(
            "fence",
            Kind::Flag,
            "Whether results are marked as results in the prompt",
        )
        .preset(Preset::Flag(true)),
    ],
};

pub(super) static APPROVE: TableSpec = TableSpec {
    name: "approve",
    doc: "A person's decision",
    fields: &[
        field("prompt", Kind::Template, "The question").required(),
        field("form", Kind::Schema, "The JSON schema of the answer"),
        field(
            "timeout",
            Kind::Duration,
            "The longest wait; none by default",
        ),
        field(
            "on_timeout",
            Kind::Word(&["wait", "deny", "approve"]),
            "The decision after the longest wait",
        )
        .preset(Preset::Word("wait")),
    ],
};

pub(super) static PLANNER: TableSpec = TableSpec {
    name: "planner",
    doc: "A task whose answer is a plan, which then runs",
    fields: &[
        field("goal", Kind::Template, "The goal").required(),
        field("pool", Kind::Name, "The planner's pool").alias("module"),
        field(
            "ask",
            Kind::Flag,
            "Whether a person approves the plan; by default on a terminal",
        ),
        field(
            "tries",
            Kind::Whole(1, TRIES.hardest as i64),
            "Plans until one has no fault",
        )
        .preset(Preset::Whole(TRIES.default)),
    ],
};
