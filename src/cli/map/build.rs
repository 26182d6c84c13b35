//! The plan of `kirosu map`.

use super::{Args, ItemArgs, MapPrompts};
use crate::cli::Failure;
use crate::cli::plan::file::PlanFile;
use kirosu_plan::limits::{ITEMS, TASKS};
use kirosu_plan::{PlanFault, PlanFaults, PlanFormat};
use serde_json::{Map, Value, json};

/// The id of the map, which its results have.
pub const MAP: &str = "map";
/// The id of the reduce.
pub const REDUCE: &str = "reduce";

/// The plan as a file that was read, without faults.
///
/// # Errors
/// All faults, each with the flag that has it.
pub fn plan(args: &Args, prompts: MapPrompts, schema: Option<Value>) -> Result<PlanFile, Failure> {
    let plan = value(args, prompts, schema);
    let file = PlanFile {
        shown: MAP.to_owned(),
        // One field per line, for those who look at the prompt of the run's task.
        text: serde_json::to_string_pretty(&plan)
            .map_err(|why| Failure::local("cannot write the plan", why))?,
        format: PlanFormat::Yaml,
        name: Some(MAP.to_owned()),
        path: None,
    };
    match file.compile() {
        Ok(_) => Ok(file),
        Err(faults) => Err(Failure::Usage(by_flag(&faults, &args.source))),
    }
}

fn value(args: &Args, prompts: MapPrompts, schema: Option<Value>) -> Value {
    let MapPrompts {
        context,
        mut prompt,
        reduce,
    } = prompts;
    if context.is_some() {
        prompt.insert_str(0, "{{ inputs.context }}");
    }
    let mut map = fields([
        ("over", Some(over(&args.source))),
        (
            "key",
            args.tasks
                .key
                .clone()
                .or_else(|| own_key(args))
                .map(Value::from),
        ),
        ("batch", args.tasks.batch.map(Value::from)),
        ("sample", args.tasks.sample.map(Value::from)),
        // All items have their turn; those that failed are named at the end.
        (
            "tolerate",
            Some(tolerance(args.tasks.tolerate.as_deref().unwrap_or("100%"))),
        ),
        ("concurrency", args.tasks.concurrency.map(Value::from)),
    ]);
    // A batch of 1 is no list.
    if args.tasks.batch == Some(1) {
        map.remove("batch");
    }
    let result = fields([
        ("schema", schema),
        ("each", args.tasks.each.then_some(Value::Bool(true))),
    ]);
    let mut steps = vec![step(
        args,
        MAP,
        prompt,
        [
            ("map", Some(Value::Object(map))),
            (
                "result",
                (!result.is_empty()).then_some(Value::Object(result)),
            ),
        ],
    )];
    if let Some(prompt) = reduce {
        let of = ("reduce", Some(json!({"of": MAP})));
        steps.push(step(args, REDUCE, prompt, [of, ("result", None)]));
    }
    // The items are those that the command line names, so the limits against mistakes in plans do not apply.
    let limits = json!({"items": ITEMS.hardest, "tasks": TASKS.hardest});
    let inputs = context.map(|text| json!({"context": {"default": text}}));
    Value::Object(fields([
        ("name", Some(MAP.into())),
        ("inputs", inputs),
        ("limits", Some(limits)),
        ("pipeline", Some(steps.into())),
    ]))
}

fn step(args: &Args, id: &str, prompt: String, own: [(&'static str, Option<Value>); 2]) -> Value {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    let mut step = fields([
        ("id", Some(id.into())),
        ("prompt", Some(prompt.into())),
        ("system", text(&args.tasks.system)),
        ("pool", text(&args.tasks.pool)),
        ("provider", text(&args.tasks.provider)),
        ("model", text(&args.tasks.model)),
    ]);
    step.extend(fields(own));
    Value::Object(step)
}

fn fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let given = fields.into_iter();
    given
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn over(source: &ItemArgs) -> Value {
    let file = |name: &str, form: &str, path: &String| match path.as_str() {
        "-" => json!({"stdin": form}),
        path => json!({name: literal(path)}),
    };
    match source {
        ItemArgs {
            files: Some(glob), ..
        } => json!({"files": literal(glob)}),
        ItemArgs {
            lines: Some(path), ..
        } => file("lines", "lines", path),
        ItemArgs {
            jsonl: Some(path), ..
        } => file("jsonl", "jsonl", path),
        ItemArgs {
            csv: Some(path), ..
        } => file("csv", "csv", path),
        ItemArgs { stdin, .. } => json!({"stdin": stdin}),
    }
}

/// A text as a template that renders to it.
pub fn literal(text: &str) -> String {
    match ["{{", "{%", "{#"].iter().any(|mark| text.contains(mark)) {
        // A JSON string is a string of an expression, too.
        true => format!("{{{{ {} }}}}", Value::from(text)),
        false => text.to_owned(),
    }
}

/// Files have their path as key.
fn own_key(args: &Args) -> Option<String> {
    let has_path = args.source.files.is_some();
    has_path.then(|| "{{ item.path }}".to_owned())
}

/// A number as a number, so that a fault names the rule for it.
fn tolerance(text: &str) -> Value {
    let text = text.trim();
    text.parse::<u64>()
        .map_or_else(|_| Value::from(text), Value::from)
}

/// The faults, each with the flag that has it.
fn by_flag(faults: &PlanFaults, source: &ItemArgs) -> String {
    let lines = faults.0.iter().map(|fault| {
        let mut message = fault.message.clone();
        if let Some(near) = &fault.nearest {
            message += &format!("; did you mean {near}?");
        }
        format!("{}: {message}", flag(fault, source))
    });
    lines.collect::<Vec<_>>().join("\n  ")
}

fn flag(fault: &PlanFault, source: &ItemArgs) -> String {
    let path = fault.path.as_str();
    let Some((step, field)) = path
        .strip_prefix("pipeline[")
        .and_then(|rest| rest.split_once("]."))
    else {
        return MAP.to_owned();
    };
    let field = field.strip_prefix("map.").unwrap_or(field);
    let name = field.split(['.', '[']).next().unwrap_or(field);
    match (step, name) {
        ("1", "prompt") => "--reduce".to_owned(),
        (_, "over") => match source {
            ItemArgs { files: Some(_), .. } => "--files".to_owned(),
            ItemArgs { lines: Some(_), .. } => "--lines".to_owned(),
            ItemArgs { jsonl: Some(_), .. } => "--jsonl".to_owned(),
            ItemArgs { csv: Some(_), .. } => "--csv".to_owned(),
            ItemArgs { .. } => "--stdin".to_owned(),
        },
        (_, "result") if field.contains("each") => "--each".to_owned(),
        (_, "result") => "--schema".to_owned(),
        (_, name) => format!("--{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use kirosu_plan::{Batch, ItemSource, Over, Plan, Tolerance, Work};

    #[derive(Parser)]
    struct MapLine {
        #[command(flatten)]
        args: Args,
    }

    fn built(words: &[&str], reduce: Option<&str>) -> Result<Plan, String> {
        let words = ["map"].iter().chain(words).chain(&["--prompt", "x"]);
        let line = MapLine::try_parse_from(words).map_err(|why| why.to_string())?;
        let prompt = match line.args.tasks.batch {
            Some(_) => "{{ items | length }}",
            None => "Read {{ item }}",
        };
        let reduce = reduce.map(str::to_owned);
        let prompts = MapPrompts {
            context: None,
            prompt: prompt.into(),
            reduce,
        };
        let file = plan(&line.args, prompts, None);
        let file = file.map_err(|why| why.to_string())?;
        Ok(file.compile().unwrap())
    }

    fn map_of(plan: &Plan) -> &kirosu_plan::MapWork {
        match &plan.pipeline[0].work {
            Work::Map(map) => map,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_become_fields_of_the_map() {
        let words = "--lines a.txt --batch 20 --each --sample 3 --tolerate 2% --concurrency 7 --pool fast --model m";
        let words: Vec<&str> = words.split(' ').collect();
        let plan = built(&words, Some("{{ results | length }}")).unwrap();
        let map = map_of(&plan);
        assert_eq!(map.over, Over::Source(ItemSource::Lines("a.txt".into())));
        assert_eq!(map.batch, Batch::Items(20));
        assert_eq!(map.tolerate, Tolerance::Percent { percent: 2.0 });
        assert_eq!((map.sample, map.concurrency), (Some(3), Some(7)));
        assert_eq!(plan.limits.items, ITEMS.hardest);
        assert!(plan.pipeline[0].result.as_ref().unwrap().each);
        let reduce = &plan.pipeline[1];
        assert_eq!(reduce.depends_on, [MAP]);
        assert_eq!(reduce.pool.as_deref(), Some("fast"));
    }

    #[test]
    fn files_have_their_path_as_key_and_a_dash_is_standard_input() {
        let plan = built(&["--files", "docs/{{a,b},c}/*.md"], None).unwrap();
        let map = map_of(&plan);
        assert_eq!(map.key.as_deref(), Some("{{ item.path }}"));
        let Over::Source(ItemSource::Files(glob)) = &map.over else {
            panic!("{:?}", map.over);
        };
        let limits = kirosu_plan::RenderLimits::default();
        let rendered = kirosu_plan::render(glob, &json!({}), &limits).unwrap();
        assert_eq!(rendered, "docs/{{a,b},c}/*.md");
        for (words, form) in [
            (["--csv", "-"], "csv"),
            (["--lines", "-"], "lines"),
            (["--stdin", "jsonl"], "jsonl"),
        ] {
            let plan = built(&words, None).unwrap();
            let expected = Over::Source(ItemSource::Stdin(form.into()));
            assert_eq!(map_of(&plan).over, expected);
        }
    }

    #[test]
    fn a_fault_names_its_flag() {
        let refusal = |words: &str, reduce| {
            let words: Vec<&str> = words.split(' ').collect();
            built(&words, reduce).unwrap_err()
        };
        let why = refusal(
            "--lines a --key {{item.x --tolerate 200%",
            Some("{{ result }}"),
        );
        for part in [
            "--key: ",
            "--tolerate: ",
            "--reduce: ",
            "did you mean results?",
        ] {
            assert!(why.contains(part), "{part} is not in\n{why}");
        }
        assert!(refusal("--lines a --batch 2000", None).contains("from 1 to 1000"));
        assert!(refusal("--lines a --jsonl b", None).contains("cannot be used with"));
    }
}
