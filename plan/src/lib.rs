//! Plans as files: steps, their order and their limits.
//!
//! # Theory of operation
//!
//! [`compile`] reads a text into one tree of values with positions (`yaml.rs` for YAML and JSON, `toml_text.rs`), compares the
//! tree with the table of all fields (`fields/`), and checks the rules about several fields (`check/`). The answer is a
//! [`Plan`], or all faults at once: a faulty value is replaced by an empty one, so that the other rules are checked in any
//! case. Equal plans have equal [`Plan::hash`]es, whatever their format was.
//!
//! The same table makes [`schema`], the JSON schema for editors. [`tree`] and [`mermaid`] draw a plan. [`render`],
//! [`evaluate`] and [`holds`] run templates and expressions, with bounds.
//!
//! The crate does no input or output: its callers read files.

pub mod advance;
mod check;
mod compiled;
mod draw;
mod fault;
mod fields;
pub mod limits;
mod node;
mod place;
mod plan_use;
mod planned;
mod replan;
mod result_file;
mod schema;
mod source;
mod template;
mod toml_text;
mod yaml;

#[cfg(test)]
mod tests;

pub use compiled::{
    ApproveWork, Batch, CacheRule, Effects, InputType, ItemSource, JudgeWork, LoopWork, MapWork,
    Over, PipelineWork, Plan, PlanInput, PlanLimits, PlannerWork, ReduceWork, ResultForm,
    RetryPauses, RunWork, Step, StopMode, Tolerance, VoteWork, Work, no_earlier_pass,
};
pub use draw::{mermaid, tree};
pub use fault::{PlanFault, PlanFaults};
pub use place::Place;
pub use plan_use::{NamedPlans, PlanSource, PlanUse, check_sources, plan_sources};
pub use planned::{PLANNER_GUIDE, PlannedRules, ask_always, planned_faults, pool_faults};
pub use replan::{PlanVersion, StepFate, needs_source, replanned, to_clear};
pub use result_file::result_file;
pub use schema::schema;
pub use source::{PlanFormat, compile};
pub use template::{RenderError, RenderLimits, evaluate, holds, names, render};
