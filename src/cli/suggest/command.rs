//! The command that carries a task out with a topology.

use super::keywords::glob;
use super::topology::Topology;
use crate::cli::map::literal;
use serde_json::{Value, json};
use std::fmt;

/// Tokens of an autonomous run, and of a plan.
const TOKENS: u64 = 200_000;
const PLAN_TOKENS: u64 = 500_000;
/// Passes of an iterative run.
const PASSES: u64 = 3;
/// Stages or views where none are suggested.
const STAGES: [&str; 3] = [
    "Find out what the task needs, and list it.",
    "Carry the task out.",
    "Check the result against the task, and correct it.",
];
const VIEWS: [&str; 3] = [
    "Look at it from the technical side.",
    "Look at it as those who will use it.",
    "Look for its risks.",
];

/// A command line, and a plan on its standard input.
#[derive(Debug, PartialEq)]
pub struct SuggestedCommand {
    /// The words, from `kirosu` on.
    pub words: Vec<String>,
    pub plan: Option<Value>,
}

/// The parts of a task that a provider or its words suggest.
#[derive(Debug, Default)]
pub struct Parts {
    /// Stages of a chain, or the views of parallel agents; empty for the usual ones.
    pub steps: Vec<String>,
    /// A glob of files, for parallel agents.
    pub files: Option<String>,
}

impl SuggestedCommand {
    /// The command for a task.
    pub fn of(topology: Topology, task: &str, parts: &Parts) -> SuggestedCommand {
        let command = |words: &[&str], plan| SuggestedCommand {
            words: words.iter().map(|&word| word.to_owned()).collect(),
            plan,
        };
        let run = |plan| {
            command(
                &["kirosu", "run-pipeline", "--file", "-", "--wait"],
                Some(plan),
            )
        };
        let steps = |usual: [&str; 3]| match parts.steps.is_empty() {
            true => usual.map(str::to_owned).to_vec(),
            false => parts.steps.clone(),
        };
        match topology {
            // After `--` a task that begins with a dash is no flag.
            Topology::Single => command(&["kirosu", "enqueue", "--wait", "--", task], None),
            Topology::Chain => run(chain(task, &steps(STAGES))),
            Topology::Parallel => match parts.files.clone().or_else(|| glob(task)) {
                Some(files) => {
                    let task = literal(task);
                    let prompt = format!(
                        "{task}\n\nThis file only, {{{{ item.path }}}}:\n{{{{ item.text }}}}"
                    );
                    let reduce = format!(
                        "The task: {task}\n\nMerge these results into one:\n{{% for r in results %}}{{{{ r.key }}}}: {{{{ r.result }}}}\n{{% endfor %}}"
                    );
                    let words = [
                        "kirosu".to_owned(),
                        "map".to_owned(),
                        format!("--files={files}"),
                        format!("--prompt={prompt}"),
                        format!("--reduce={reduce}"),
                    ];
                    SuggestedCommand {
                        words: words.to_vec(),
                        plan: None,
                    }
                }
                None => run(views(task, &steps(VIEWS))),
            },
            Topology::Iterative => run(refined(task)),
            Topology::Autonomous => {
                let tokens = TOKENS.to_string();
                command(
                    &["kirosu", "run-recursive", "--tokens", &tokens, "--", task],
                    None,
                )
            }
        }
    }
}

/// The texts of a plan are inputs, so that braces in them are text.
fn plan(name: &str, texts: impl IntoIterator<Item = (String, String)>, steps: Value) -> Value {
    let inputs = texts.into_iter().map(|(name, text)| {
        let input = json!({"type": "text", "default": text});
        (name, input)
    });
    let inputs: serde_json::Map<String, Value> = inputs.collect();
    json!({"name": name, "inputs": inputs, "limits": {"tokens": PLAN_TOKENS}, "pipeline": steps})
}

fn texts(task: &str, steps: &[String]) -> Vec<(String, String)> {
    let steps = steps.iter().enumerate();
    let steps = steps.map(|(at, step)| (format!("step_{}", at + 1), step.clone()));
    std::iter::once(("task".to_owned(), task.to_owned()))
        .chain(steps)
        .collect()
}

fn chain(task: &str, steps: &[String]) -> Value {
    let pipeline: Vec<Value> = (1..=steps.len())
        .map(|at| {
            let id = format!("step_{at}");
            let own = format!(
                "The task: {{{{ inputs.task }}}}\n\nYour part of it: {{{{ inputs.{id} }}}}"
            );
            match at {
                1 => json!({"id": id, "prompt": own}),
                _ => {
                    let before = format!("step_{}", at - 1);
                    let prompt = format!(
                        "{own}\n\nThe result of the part before:\n{{{{ steps.{before}.result }}}}"
                    );
                    json!({"id": id, "depends_on": [before], "prompt": prompt})
                }
            }
        })
        .collect();
    plan("chain", texts(task, steps), pipeline.into())
}

fn views(task: &str, steps: &[String]) -> Value {
    let ids: Vec<String> = (1..=steps.len()).map(|at| format!("step_{at}")).collect();
    let mut pipeline: Vec<Value> = ids
        .iter()
        .map(|id| {
            let prompt = format!(
                "The task: {{{{ inputs.task }}}}\n\nYour part of it: {{{{ inputs.{id} }}}}"
            );
            json!({"id": id, "prompt": prompt})
        })
        .collect();
    let results: String = ids
        .iter()
        .map(|id| format!("\n- {{{{ steps.{id}.result }}}}"))
        .collect();
    let merge = format!(
        "The task: {{{{ inputs.task }}}}\n\nMerge these results of its parts into one:{results}"
    );
    pipeline.push(json!({"id": "merge", "depends_on": ids, "prompt": merge}));
    plan("parallel", texts(task, steps), pipeline.into())
}

fn refined(task: &str) -> Value {
    let write = "{{ inputs.task }}\n\n{% if prev.write.result %}Your last version:\n{{ prev.write.result }}\n\n\
        Its review:\n{{ prev.review.result }}\n\nWrite it anew, without these faults.{% endif %}";
    let review = "Review this result of the task, as JSON: `ok`, whether it has no fault, and `faults`, a list of texts.\n\n\
        The task: {{ inputs.task }}\n\nThe result:\n{{ steps.write.result }}";
    let schema = json!({
        "type": "object",
        "required": ["ok", "faults"],
        "properties": {"ok": {"type": "boolean"}, "faults": {"type": "array", "items": {"type": "string"}}},
    });
    let repeated = json!({
        "id": "refine",
        "loop": {"max": PASSES, "until": "steps.review.json.ok", "on_max": "done"},
        "steps": [
            {"id": "review", "depends_on": ["write"], "prompt": review, "max_attempts": 2, "result": {"schema": schema}},
            // The result of a loop is that of its last step in the list.
            {"id": "write", "prompt": write},
        ],
    });
    plan("iterative", texts(task, &[]), json!([repeated]))
}

impl fmt::Display for SuggestedCommand {
    /// The command for a shell. A plan is a document on standard input, whose lines are JSON and never the end mark.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.words.iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))?;
        match &self.plan {
            Some(plan) => write!(f, " <<'PLAN'\n{plan:#}\nPLAN"),
            None => Ok(()),
        }
    }
}

/// A word as a shell reads it.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use crate::cli::plan::file::PlanFile;
    use clap::Parser;
    use kirosu_plan::PlanFormat;
    use std::process::Command;

    const TASKS: [&str; 5] = [
        "Fix the typo",
        "Review src/**/*.rs, each file",
        "it's \"quoted\" $HOME `id` \\ {{ item }} {% raw %} {# x #}",
        "--wait\nPLAN\nlast line",
        "-",
    ];

    fn all() -> impl Iterator<Item = (Topology, SuggestedCommand)> {
        let parts = [
            Parts::default(),
            Parts {
                steps: vec!["{{ one }}".to_owned(), "PLAN\n'two'".to_owned()],
                files: Some("docs/*.md".to_owned()),
            },
        ];
        let tasks = TASKS
            .into_iter()
            .flat_map(|task| Topology::ALL.map(|it| (task, it)));
        tasks.flat_map(move |(task, topology)| {
            let commands = parts.each_ref();
            commands.map(|parts| (topology, SuggestedCommand::of(topology, task, parts)))
        })
    }

    #[test]
    fn every_command_is_one_of_this_build_with_a_plan_without_faults() {
        let mut seen = std::collections::BTreeSet::new();
        for (topology, command) in all() {
            let parsed = Cli::try_parse_from(&command.words);
            assert!(parsed.is_ok(), "{command}\n{:?}", parsed.err());
            if let Some(plan) = &command.plan {
                let file = PlanFile {
                    shown: "-".to_owned(),
                    text: format!("{plan:#}"),
                    format: PlanFormat::Yaml,
                    name: None,
                    path: None,
                };
                if let Err(faults) = file.compile() {
                    panic!("{command}\n{faults}");
                }
            }
            seen.insert(topology);
        }
        assert_eq!(seen.len(), 5);
    }

    #[test]
    fn a_shell_reads_the_words_and_the_plan_as_they_are() {
        for (_, command) in all() {
            let printing = format!(
                "kirosu() {{ printf '%s\\0' kirosu \"$@\"; {}; }}\n{command}\n",
                match command.plan {
                    Some(_) => "cat",
                    None => "true",
                }
            );
            let output = Command::new("sh")
                .arg("-c")
                .arg(&printing)
                .output()
                .unwrap();
            let printed = String::from_utf8(output.stdout).unwrap();
            let mut parts: Vec<&str> = printed.split('\0').collect();
            let rest = parts.pop().unwrap();
            assert_eq!(parts, command.words, "{command}");
            match &command.plan {
                Some(plan) => assert_eq!(&serde_json::from_str::<Value>(rest).unwrap(), plan),
                None => assert_eq!(rest, ""),
            }
        }
    }
}
