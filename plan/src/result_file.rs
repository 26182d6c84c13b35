//! Results of steps as files, which a template names by `steps.ID.file`.

use crate::compiled::{Step, Work};
use kirosu_protocol::TaskId;
use kirosu_protocol::run::RESULTS_FOLDER;

/// The path of the file with the result of a step, from the folder in which a task runs that reads it. `path`: that of the step
/// in its run. Tasks of one run share the file; those of another run, or of another hub with a run of the same number, do not.
pub fn result_file(run: TaskId, started_ms: i64, path: &str, step: &Step) -> String {
    // `polish[2].write`: brackets would have to be quoted in a shell.
    let name = path.replace('[', ".").replace(']', "");
    format!(
        "{RESULTS_FOLDER}/run-{run}-{started_ms:x}/{name}.{}",
        ending(step)
    )
}

/// The ending of the file with the result of a step.
fn ending(step: &Step) -> &'static str {
    match &step.work {
        Work::Map(_) => "jsonl",
        Work::Reduce(reduce) if reduce.into.is_some() => match reduce.into.as_deref() {
            Some("concat") => "txt",
            Some("json") => "json",
            _ => "jsonl",
        },
        // The result is that of the last step.
        Work::Loop(repeated) => repeated.steps.last().map_or("txt", ending),
        Work::Race(steps) => {
            let mut endings = steps.iter().map(ending);
            let first = endings.next().unwrap_or("txt");
            match endings.all(|other| other == first) {
                true => first,
                false => "txt",
            }
        }
        _ => {
            let form = step.result.as_ref().and_then(|form| form.schema.as_ref());
            let accept = step.accept.as_ref().and_then(|it| it.get("schema"));
            match form.or(accept) {
                Some(_) => "json",
                None => "txt",
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{PlanFormat, compile};

    #[test]
    fn the_path_says_which_result_of_which_run_it_is_and_its_form() {
        let plan = "
pipeline:
- {id: read, map: {over: [a]}, prompt: x}
- {id: all, reduce: {of: read, into: json}}
- {id: text, reduce: {of: read, into: concat}}
- {id: merge, reduce: {of: read}, prompt: x}
- {id: facts, prompt: x, result: {schema: {type: object}}}
- {id: tool, run: [ls], accept: {schema: {type: object}}}
- id: polish
  loop: {}
  steps:
  - {id: write, prompt: x}
  - {id: judge, prompt: x, result: {schema: {type: object}}}
- {id: same, race: [{id: one, run: [ls]}, {id: two, prompt: x}]}
- {id: mixed, race: [{id: three, map: {over: [a]}, prompt: x}, {id: four, prompt: x}]}
";
        let plan = compile(plan, PlanFormat::Yaml).unwrap();
        let endings = plan.pipeline.iter().map(|step| {
            let path = result_file(42, 0x10, &step.id, step);
            let name = path.strip_prefix(".kirosu/results/run-42-10/").unwrap();
            name.to_owned()
        });
        let expected = [
            "read.jsonl",
            "all.json",
            "text.txt",
            "merge.txt",
            "facts.json",
            "tool.json",
            "polish.json",
            "same.txt",
            "mixed.txt",
        ];
        assert_eq!(endings.collect::<Vec<_>>(), expected);
        let inner = &plan.pipeline[6].work.steps()[0];
        let path = result_file(7, 1, "polish[2].write", inner);
        assert_eq!(path, ".kirosu/results/run-7-1/polish.2.write.txt");
    }
}
