//! Sources of plans and of those that their steps name.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const READ: &str = "
inputs: { dir: { default: docs }, tone: {} }
limits: { items: 7 }
pipeline:
  - { id: read, map: { over: { files: '{{ inputs.dir }}/*.md' } }, prompt: '{{ item.text }} {{ inputs.tone }}' }
";

fn sources(top: &str, plans: &[(&str, &str)]) -> Result<Vec<(String, String)>, String> {
    let plan = compile(top, PlanFormat::Yaml).unwrap();
    let plans = plans
        .iter()
        .map(|(name, text)| ((*name).into(), (*text).into()));
    let plans = plans.collect();
    let inputs = plan.filled(&Map::new());
    let version = PlanVersion {
        plan: &plan,
        inputs: &inputs,
        plans: &plans,
    };
    let found = plan_sources(&version);
    assert!(found.is_err() || check_sources(&plan, &plans).is_ok());
    let text = |it: PlanSource| (it.key, it.source.template().unwrap().to_owned());
    Ok(found?.into_iter().map(text).collect())
}

fn pair(key: &str, files: &str) -> (String, String) {
    (key.into(), files.into())
}

#[test]
fn each_use_of_a_plan_has_the_source_of_its_inputs() {
    let top = "
inputs: { root: { default: src } }
pipeline:
  - { id: own, map: { over: { lines: a.txt } }, prompt: x }
  - { id: one, pipeline: middle, inputs: { of: '{{ inputs.root }}/one' } }
  - id: again
    loop: { max: 2 }
    steps: [{ id: two, pipeline: read, inputs: { tone: '{{ steps.own.result }}' } }]
    depends_on: [own]
";
    let middle = "
inputs: { of: {} }
pipeline: [{ id: sub, pipeline: read, inputs: { dir: '{{ inputs.of }}/deep' } }]
";
    let found = sources(top, &[("middle", middle), ("read", READ)]).unwrap();
    let expected = [
        pair("own", "a.txt"),
        pair("one/sub/read", "src/one/deep/*.md"),
        pair("two/read", "docs/*.md"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn items_that_depend_on_results_are_refused_with_their_way() {
    let top = "
pipeline:
  - { id: a, prompt: x }
  - { id: sub, depends_on: [a], pipeline: middle, inputs: { of: '{{ steps.a.result }}' } }
";
    let middle = "
inputs: { of: { default: x } }
pipeline: [{ id: next, pipeline: read, inputs: { dir: 'docs/{{ inputs.of }}' } }]
";
    let plans = [("middle", middle), ("read", READ)];
    let why = sources(top, &plans).unwrap_err();
    for part in [
        "the step sub/next/read",
        "the input dir, which the step sub/next sets to docs/{{ inputs.of }}",
        "`over: inputs.NAME`",
    ] {
        assert!(why.contains(part), "{part} is not in {why}");
    }
    let plan = compile(top, PlanFormat::Yaml).unwrap();
    let plans = plans.map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(check_sources(&plan, &plans.into()), Err(why));
}

#[test]
fn plans_that_name_each_other_end_somewhere() {
    let twice = |name: &str| {
        format!(
            "pipeline: [{{ id: x, pipeline: {name} }}, {{ id: y, pipeline: {name} }}, {{ id: z, pipeline: read }}]"
        )
    };
    let (top, itself) = (twice("self"), twice("self"));
    let why = sources(&top, &[("self", &itself)]).unwrap();
    assert_eq!(why, []);
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let texts: Vec<String> = names[1..].iter().map(|name| twice(name)).collect();
    let mut plans: Vec<(&str, &str)> = names
        .iter()
        .copied()
        .zip(texts.iter().map(String::as_str))
        .collect();
    plans.push(("read", READ));
    assert_eq!(sources(&twice("a"), &plans).unwrap().len(), 127);
    let itself = [("self", itself.as_str()), ("read", READ)];
    assert_eq!(sources(&top, &itself).unwrap().len(), 127);
    let many = "pipeline:".to_owned()
        + &(0..1001)
            .map(|n| format!("\n- {{ id: s{n}, pipeline: self }}"))
            .collect::<String>();
    let many = format!("limits: {{ steps: 1000 }}\n{many}");
    assert!(compile(&many, PlanFormat::Yaml).is_err());
    let many = many.replace("\n- { id: s1000, pipeline: self }", "");
    let why = sources(&many, &itself).unwrap_err();
    assert!(why.contains("more than 1000 times"), "{why}");
}
