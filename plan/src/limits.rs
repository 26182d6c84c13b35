//! Limits of plans. Each has its default and its hardest value here only; the table of fields, the schema and the messages
//! take them from here.

/// A limit that a plan may set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanBound {
    /// The value without a setting.
    pub default: u64,
    /// The greatest value that a plan may set.
    pub hardest: u64,
}

const fn bound(default: u64, hardest: u64) -> PlanBound {
    PlanBound { default, hardest }
}

/// Levels of runs: a sub-pipeline or a planned pipeline is one level below its parent.
pub const DEPTH: PlanBound = bound(3, 8);
/// Steps of a plan, those in loops and races included.
pub const STEPS: PlanBound = bound(200, 1000);
/// Items of a map.
pub const ITEMS: PlanBound = bound(10_000, 1_000_000);
/// Tasks of a run.
pub const TASKS: PlanBound = bound(10_000, 5_000_000);
/// Steps of a run that have begun, once per pass of the loops around them. Each turn of a run reads them all.
pub const BEGUN_STEPS: usize = 10_000;
/// Passes of a loop.
pub const PASSES: PlanBound = bound(5, 100);
/// Answers of a vote.
pub const VOTES: PlanBound = bound(3, 15);
/// Plans that a planner may write until one has no fault.
pub const TRIES: PlanBound = bound(3, 10);
/// Results per task of a reduce.
pub const ARITY: PlanBound = bound(50, 1000);
/// Items that must fail first, and all with one class of failure, until the step waits for a person.
pub const BREAKER: PlanBound = bound(5, 1000);
/// Bytes that one insertion of a result into a template may have.
pub const INSERT_BYTES: PlanBound = bound(64 << 10, 8 << 20);
/// Bytes of a result.
pub const RESULT_BYTES: PlanBound = bound(8 << 20, 8 << 20);

/// The most open tasks of a step, and of a run.
pub const CONCURRENCY_MAX: u64 = 1000;
/// The most items per task.
pub const BATCH_MAX: u64 = 1000;
/// The most attempts of a task, as in the protocol.
pub const ATTEMPTS_MAX: u64 = 1000;
/// The greatest priority, as in the protocol; the smallest is its negative.
pub const PRIORITY_MAX: i64 = 1000;
/// The greatest share of a run among other runs.
pub const WEIGHT_MAX: u64 = 1000;
/// The longest duration in a plan, in milliseconds: 366 days.
pub const DURATION_MAX_MS: u64 = 366 * kirosu_protocol::limits::DAY_MS;
/// The largest plan, in bytes of its text.
pub const PLAN_BYTES: usize = 1 << 20;
/// The deepest nesting of lists and tables in a plan's text.
pub const NESTING_MAX: usize = 64;
/// The most values in a plan's text, copies by YAML aliases included.
pub const VALUES_MAX: usize = 100_000;
/// The most bytes that all copies by YAML aliases have together.
pub const ALIAS_BYTES: usize = 1 << 20;
/// The longest id and name, in bytes.
pub const NAME_BYTES: usize = 64;
/// The longest template, in bytes. Positions in templates are 32-bit numbers in minijinja.
pub const TEMPLATE_BYTES: usize = PLAN_BYTES;
/// The most faults of a plan that are kept.
pub const FAULTS_MAX: usize = 100;
/// The most bytes that a template renders, by default: those of a prompt.
pub const OUTPUT_BYTES: usize = 8 << 20;
/// The fuel of a rendering, by default. minijinja burns one unit per instruction and per 64 bytes of data.
pub const FUEL: u64 = 500_000;
