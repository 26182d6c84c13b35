//! Plans as commands of the editor: `/review dir=docs` starts a run of `.kirosu/plans/review.yaml`.

use crate::cli::Failure;
use crate::cli::launch::inputs::{GivenInput, read_given};
use crate::cli::plan::file::PlanFile;
use kirosu_plan::{Plan, PlanInput};
use kirosu_protocol::text::{nearest, one_line, shorten};
use serde_json::{Value, json};
use std::path::Path;

/// Characters of a description, and of a hint.
const TEXT: usize = 200;

/// The update that announces the plans of the current folder. A plan with a fault is announced with it.
pub async fn announced(names: &[String]) -> Value {
    let mut commands = Vec::new();
    for name in names {
        let plan = match PlanFile::open(Path::new(name), None).await {
            Ok(file) => file.compiled(),
            Err(why) => Err(why),
        };
        commands.push(match plan {
            Ok(plan) => command(name, &plan),
            Err(why) => described(name, &format!("cannot be used: {why}"), None),
        });
    }
    json!({"sessionUpdate": "available_commands_update", "availableCommands": commands})
}

fn command(name: &str, plan: &Plan) -> Value {
    let about = plan.description.as_deref().or(plan.name.as_deref());
    let about = about.map_or_else(|| format!("runs the plan {name}"), str::to_owned);
    let inputs = plan.inputs.iter();
    let hint: Vec<String> = inputs.map(|(name, input)| hint(name, input)).collect();
    described(name, &about, (!hint.is_empty()).then(|| hint.join(" ")))
}

fn described(name: &str, about: &str, hint: Option<String>) -> Value {
    let mut command = json!({"name": name, "description": shorten(&one_line(about), TEXT)});
    if let Some(hint) = hint {
        command["input"] = json!({"hint": shorten(&hint, TEXT)});
    }
    command
}

/// An input as it is written: `dir=docs` with a default, `count=VALUE` if it is required, `[mode=fast|slow]` if not.
fn hint(name: &str, input: &PlanInput) -> String {
    let plain = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let allowed = input.r#enum.as_ref().map(|allowed| {
        let allowed: Vec<String> = allowed.iter().map(plain).collect();
        allowed.join("|")
    });
    let value = input.default.as_ref().map(plain).or(allowed);
    let text = format!("{name}={}", value.as_deref().unwrap_or("VALUE"));
    match input.required {
        true => text,
        false => format!("[{}]", one_line(&text)),
    }
}

/// The inputs in the text behind a command: words `NAME=VALUE`, and all other words as the value of the first input that has none
/// yet, a required one before the others.
///
/// # Errors
/// There are other words, and every input has a value.
pub fn given(plan: &Plan, text: &str) -> Result<Vec<GivenInput>, Failure> {
    let names = || plan.inputs.keys().map(String::as_str);
    // A name that is nearly right is refused later, with the right one.
    let is_named = |name: &str| {
        plan.inputs.contains_key(name) || (name.len() > 2 && nearest(name, names()).is_some())
    };
    let (mut given, mut free) = (Vec::new(), Vec::new());
    for word in kirosu_config::words(text) {
        match read_given(&word) {
            Ok((name, value)) if is_named(&name) => given.push((name, value)),
            _ => free.push(word),
        }
    }
    if free.is_empty() {
        return Ok(given);
    }
    // Without named inputs the text stays as it was written, line ends and quotes included.
    let rest = match given.is_empty() {
        true => text.to_owned(),
        false => free.join(" "),
    };
    let has_value = |name: &str| given.iter().any(|(other, _)| other == name);
    let open = plan.inputs.iter().filter(|(name, _)| !has_value(name));
    let required = open.clone().find(|(_, input)| input.required);
    let Some((name, _)) = required.or_else(|| open.clone().next()) else {
        let all: Vec<String> = plan
            .inputs
            .iter()
            .map(|(name, it)| hint(name, it))
            .collect();
        let takes = match all.is_empty() {
            true => "it has no inputs".to_owned(),
            false => format!("write {}", all.join(" ")),
        };
        return Err(Failure::Local(format!(
            "the plan does not take {:?}: {takes}",
            shorten(&one_line(&rest), TEXT)
        )));
    };
    given.push((name.clone(), rest));
    Ok(given)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_plan::{PlanFormat, compile};

    fn plan(inputs: &str) -> Plan {
        let text = format!("inputs: {inputs}\npipeline: [{{ id: a, prompt: x }}]\n");
        compile(&text, PlanFormat::Yaml).unwrap()
    }

    fn shown(inputs: &str, text: &str) -> String {
        match given(&plan(inputs), text) {
            Ok(given) => {
                let given = given.iter().map(|(name, value)| format!("{name}={value}"));
                given.collect::<Vec<_>>().join(";")
            }
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn words_with_names_are_inputs_and_the_rest_is_the_value_of_the_next_one() {
        let two = "{ about: { required: true }, dir: { default: docs } }";
        assert_eq!(shown(two, "dir=src the parser"), "dir=src;about=the parser");
        assert_eq!(
            shown(two, "the \"parser\"\n of x=1"),
            "about=the \"parser\"\n of x=1"
        );
        assert_eq!(shown(two, "about='a b' more"), "about=a b;dir=more");
        assert_eq!(
            shown(two, "aboutx=x"),
            "aboutx=x",
            "the plan names the right one"
        );
        assert_eq!(shown(two, ""), "");
        let refused = shown(two, "about=a dir=b c");
        assert!(
            refused.contains("\"c\": write about=VALUE [dir=docs]"),
            "{refused}"
        );
        assert!(shown("{}", "c").contains("no inputs"));
    }

    #[test]
    fn a_command_shows_the_inputs_of_its_plan() {
        let inputs =
            "{ about: { required: true }, mode: { enum: [fast, slow] }, n: { default: 3 } }";
        let command = command("review", &plan(inputs));
        assert_eq!(
            command["input"]["hint"],
            "about=VALUE [mode=fast|slow] [n=3]"
        );
        assert_eq!(command["description"], "runs the plan review");
    }
}
