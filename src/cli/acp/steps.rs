//! The steps of a run as the entries of a plan.

use kirosu_plan::Plan;
use kirosu_protocol::text::{one_line, shorten};
use kirosu_protocol::{StepInfo, StepState};
use serde_json::{Value, json};

/// Entries that an update has at most. The last one counts the others.
const ENTRIES: usize = 200;
/// Characters of a reason in an entry.
const REASON: usize = 120;

/// The update of the plan: the steps in the order of the plan, those within loops and races after theirs. `begun` are the steps
/// that have begun.
pub fn plan(plan: Option<&Plan>, begun: &[StepInfo]) -> Value {
    let mut entries = Vec::new();
    let mut left: Vec<&StepInfo> = begun.iter().collect();
    for step in plan.iter().flat_map(|plan| &plan.pipeline) {
        let (own, others): (Vec<_>, Vec<_>) = left
            .into_iter()
            .partition(|it| first_id(&it.path) == step.id);
        left = others;
        if !own.iter().any(|it| it.path == step.id) {
            entries.push(entry(&step.id, "pending", "medium"));
        }
        entries.extend(own.into_iter().map(entry_of));
    }
    // Steps that a planner has added, and all of a run whose plan is not known.
    entries.extend(left.into_iter().map(entry_of));
    if entries.len() > ENTRIES {
        let more = entries.split_off(ENTRIES - 1).len();
        entries.push(entry(&format!("and {more} more steps"), "pending", "low"));
    }
    json!({"sessionUpdate": "plan", "entries": entries})
}

/// The id of the highest step of a path: `polish` of `polish[2].write`.
fn first_id(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or(path)
}

fn entry(content: &str, status: &str, priority: &str) -> Value {
    json!({"content": content, "status": status, "priority": priority})
}

fn entry_of(step: &StepInfo) -> Value {
    let status = match step.state {
        StepState::Pending => "pending",
        StepState::Open => "in_progress",
        _ => "completed",
    };
    let priority = match step.state == StepState::Failed || step.failed > 0 {
        true => "high",
        false => "medium",
    };
    entry(&content(step), status, priority)
}

/// The step, its count of items if it has several, and its end if that is not `done`.
fn content(step: &StepInfo) -> String {
    let mut facts = Vec::new();
    if let Some(total) = step.total.filter(|total| *total != 1) {
        facts.push(format!("{} of {total}", step.done));
    }
    if step.failed > 0 && step.total != Some(1) {
        facts.push(format!("{} failed", step.failed));
    }
    if !matches!(
        step.state,
        StepState::Pending | StepState::Open | StepState::Done
    ) {
        facts.push(step.state.to_string());
    }
    if let Some(reason) = step.reason.as_deref().filter(|it| !it.is_empty()) {
        facts.push(shorten(&one_line(reason), REASON));
    }
    match facts.is_empty() {
        true => step.path.clone(),
        false => format!("{}: {}", step.path, facts.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::show::run::tests::step;
    use kirosu_plan::{PlanFormat, compile};

    fn shown(update: &Value) -> Vec<String> {
        let entries = update["entries"].as_array().unwrap().iter();
        entries
            .map(|it| {
                format!(
                    "{} {}",
                    it["status"].as_str().unwrap(),
                    it["content"].as_str().unwrap()
                )
            })
            .collect()
    }

    #[test]
    fn steps_are_in_the_order_of_the_plan_and_their_parts_after_them() {
        let text = "
pipeline:
  - { id: read, map: { over: [a, b] }, prompt: x }
  - { id: polish, depends_on: [read], loop: { max: 2 }, steps: [{ id: write, prompt: y }] }
  - { id: last, depends_on: [polish], prompt: z }
";
        let compiled = compile(text, PlanFormat::Yaml).unwrap();
        assert_eq!(
            shown(&plan(Some(&compiled), &[])),
            ["pending read", "pending polish", "pending last"]
        );
        let mut read = step("read", "map", StepState::Partial);
        (read.total, read.done, read.failed) = (Some(2), 1, 1);
        let begun = [
            step("polish", "loop", StepState::Open),
            step("polish[1].write", "prompt", StepState::Done),
            read,
        ];
        let update = plan(Some(&compiled), &begun);
        assert_eq!(update["entries"][0]["priority"], "high");
        let entries = shown(&update);
        assert_eq!(entries[0], "completed read: 1 of 2, 1 failed, partial");
        assert!(entries[1].starts_with("in_progress polish"), "{entries:?}");
        assert!(
            entries[2].starts_with("completed polish[1].write"),
            "{entries:?}"
        );
        assert_eq!(entries[3], "pending last");
    }

    #[test]
    fn many_steps_are_counted() {
        let begun: Vec<StepInfo> = (0..300)
            .map(|n| step(&format!("s{n}"), "prompt", StepState::Done))
            .collect();
        let entries = shown(&plan(None, &begun));
        assert_eq!(entries.len(), ENTRIES);
        assert_eq!(entries[ENTRIES - 1], "pending and 101 more steps");
    }
}
