//! Drawings of plans: an indented tree, and Mermaid.

use crate::compiled::{ItemSource, Over, Plan, Step, Work};
use kirosu_protocol::text::{one_line, shorten};

/// The characters of a text of the plan that a drawing shows.
const SHOWN_CHARS: usize = 60;

/// The plan as an indented tree: one line per step, with its kind, its pool and the steps on which it depends.
pub fn tree(plan: &Plan) -> String {
    let mut text = plan.name.clone().unwrap_or_else(|| "plan".to_owned());
    if let Some(description) = &plan.description {
        text += &format!(": {}", brief(description));
    }
    text.push('\n');
    for (name, input) in &plan.inputs {
        let value = match &input.default {
            Some(value) => format!(" = {}", brief(&value.to_string())),
            None if input.required => " (required)".to_owned(),
            None => String::new(),
        };
        text += &format!("  input {name}{value}\n");
    }
    branch(&plan.pipeline, "", &mut text);
    text
}

fn branch(steps: &[Step], indent: &str, text: &mut String) {
    for (index, step) in steps.iter().enumerate() {
        let is_last = index + 1 == steps.len();
        let (mark, below) = match is_last {
            true => ("└── ", "    "),
            false => ("├── ", "│   "),
        };
        *text += &format!("{indent}{mark}{}  {}", step.id, detail(step));
        if let Some(pool) = step.pool.as_ref().or(step.module.as_ref()) {
            *text += &format!("  @{pool}");
        }
        if !step.depends_on.is_empty() {
            *text += &format!("  after {}", step.depends_on.join(", "));
        }
        if let Some(condition) = &step.r#if {
            *text += &format!("  if {}", brief(condition));
        }
        for (flag, word) in [(step.always, "always"), (step.may_fail, "may fail")] {
            if flag {
                *text += &format!("  {word}");
            }
        }
        text.push('\n');
        branch(step.work.steps(), &format!("{indent}{below}"), text);
    }
}

/// The kind of a step with what is special in it.
fn detail(step: &Step) -> String {
    match &step.work {
        Work::Task | Work::Race(_) | Work::Approve(_) => step.work.name().to_owned(),
        Work::Map(map) => {
            let over = match &map.over {
                Over::List(list) => format!("{} items", list.len()),
                Over::Expression(expression) => brief(expression),
                Over::Source(source) => match source {
                    ItemSource::Files(glob) => format!("files {}", brief(glob)),
                    ItemSource::Lines(file) => format!("lines of {}", brief(file)),
                    ItemSource::Jsonl(file) => format!("JSON lines of {}", brief(file)),
                    ItemSource::Csv(file) => format!("rows of {}", brief(file)),
                    ItemSource::Stdin(form) => format!("standard input as {form}"),
                },
            };
            format!("map over {over}")
        }
        Work::Reduce(reduce) => match &reduce.into {
            Some(into) => format!("reduce of {} into {into}", reduce.of),
            None => format!("reduce of {}, {} at a time", reduce.of, reduce.arity),
        },
        Work::Loop(work) => match &work.until {
            Some(until) => format!("loop until {}, at most {}", brief(until), work.max),
            None => format!("loop, {} times", work.max),
        },
        Work::Vote(vote) => format!("vote of {} by {}", vote.n, vote.by),
        Work::Run(run) => format!("run {}", brief(&run.words.join(" "))),
        Work::Pipeline(work) => format!("pipeline {}", brief(&work.plan)),
        Work::Plan(planner) => format!("plan: {}", brief(&planner.goal)),
    }
}

fn brief(text: &str) -> String {
    shorten(&one_line(text), SHOWN_CHARS)
}

/// The plan as a flowchart for Mermaid (<https://mermaid.js.org>), as GitHub shows it.
pub fn mermaid(plan: &Plan) -> String {
    let mut text = "flowchart TD\n".to_owned();
    boxes(&plan.pipeline, "  ", &mut text);
    arrows(&plan.pipeline, &mut text);
    text
}

fn boxes(steps: &[Step], indent: &str, text: &mut String) {
    for step in steps {
        let (node, label) = (node(step), label(step));
        if step.work.steps().is_empty() {
            let (open, close) = match step.work {
                Work::Approve(_) => ("{{", "}}"),
                Work::Map(_) | Work::Vote(_) => ("[[", "]]"),
                Work::Run(_) => ("[/", "/]"),
                Work::Pipeline(_) | Work::Plan(_) => ("([", "])"),
                _ => ("[", "]"),
            };
            *text += &format!("{indent}{node}{open}\"{label}\"{close}\n");
        } else {
            *text += &format!("{indent}subgraph {node}[\"{label}\"]\n");
            boxes(step.work.steps(), &format!("{indent}  "), text);
            *text += &format!("{indent}end\n");
        }
    }
}

fn arrows(steps: &[Step], text: &mut String) {
    for step in steps {
        for id in &step.depends_on {
            if let Some(other) = steps.iter().find(|other| other.id == *id) {
                let label = match step.r#if {
                    Some(_) => " -. if .-> ",
                    None => " --> ",
                };
                *text += &format!("  {}{label}{}\n", node(other), node(step));
            }
        }
        arrows(step.work.steps(), text);
    }
}

/// The name of a node. Mermaid has keywords, such as `end`, that cannot be names.
fn node(step: &Step) -> String {
    format!("s_{}", step.id)
}

/// A label in quotes: `#` begins an entity in Mermaid.
fn label(step: &Step) -> String {
    let text = format!("{}: {}", step.id, detail(step));
    text.replace('#', "#35;")
        .replace('"', "#quot;")
        .replace('<', "#lt;")
        .replace('>', "#gt;")
}
