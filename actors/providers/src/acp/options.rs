//! Which of the offered answers to a permission request is meant, and what the request is about.

use serde_json::{Value, json};

use crate::invocation::floor_boundary;
use crate::permission::{Decision, PermissionOption};

/// Words in an option's id or name that mean more than this one call: a switch of the mode.
const SWITCHES: &[&str] = &[
    "mode", "always", "auto", "plan", "yolo", "edits", "session", "restore",
];

/// Words of which an option's id or name has one where it is no more than a yes to this call.
const PLAIN: &[&str] = &[
    "once", "allow", "yes", "proceed", "approve", "accept", "run", "ok", "continue", "confirm",
    "grant", "permit",
];
/// Options that are shown to a person.
const SHOWN: usize = 64;
/// Bytes of an option's name that are shown.
const NAME_BYTES: usize = 128;

/// The options of which a person has to choose one; empty where at most one means yes to this call alone. They are never
/// told apart by their place or their length.
pub(super) fn choices(options: &Value) -> Vec<PermissionOption> {
    if yes(options).len() < 2 {
        return Vec::new();
    }
    let shown = |it: &&Value| {
        let id = it["optionId"].as_str()?;
        let name = it["name"].as_str().map(str::trim).unwrap_or_default();
        let name = &name[..floor_boundary(name, NAME_BYTES)];
        Some(PermissionOption {
            id: id.to_owned(),
            name: if name.is_empty() { id } else { name }.to_owned(),
        })
    };
    let all = of_kind(options, "allow_once");
    all.iter().filter_map(shown).take(SHOWN).collect()
}

/// The answer that says `decision`, and a sentence where none of the options does. By kind, never by position.
pub(super) fn outcome(options: &Value, decision: &Decision) -> (Value, Option<String>) {
    let id = |it: &&Value| it["optionId"].as_str().map(str::to_owned);
    let chosen = match decision {
        Decision::Allow => match yes(options).as_slice() {
            [one] => id(one),
            _ => None,
        },
        Decision::Choose { option } => {
            let offered = of_kind(options, "allow_once");
            offered.iter().filter_map(id).find(|it| it == option)
        }
        // A person who denies one call does not object to further denials.
        Decision::Deny { .. } | Decision::Refuse { .. } => ["reject_once", "reject_always"]
            .iter()
            .find_map(|kind| of_kind(options, kind).first().and_then(id)),
    };
    let complaint = match (&chosen, decision) {
        (Some(_), _) | (None, Decision::Deny { .. } | Decision::Refuse { .. }) => None,
        (None, Decision::Choose { option }) => Some(format!(
            "it was allowed by the option '{option}', which the agent does not offer; so it is denied"
        )),
        (None, Decision::Allow) if yes(options).len() > 1 => Some(
            "it was allowed, but the agent offers several ways to allow it and none was chosen; so it is denied"
                .to_owned(),
        ),
        (None, Decision::Allow) => Some(
            "it was allowed, but the agent offers no way to allow it once; so it is denied".to_owned(),
        ),
    };
    let answer = match chosen {
        Some(id) => json!({"outcome": {"outcome": "selected", "optionId": id}}),
        None => cancelled(),
    };
    (answer, complaint)
}

/// The answer to a question that nobody decides.
pub(super) fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

/// The options of this kind, in their order.
fn of_kind<'o>(options: &'o Value, kind: &str) -> Vec<&'o Value> {
    let options = options.as_array().into_iter().flatten();
    let is_alike = |it: &&Value| it["kind"] == kind && it["optionId"].is_string();
    options.filter(is_alike).collect()
}

/// The options that may mean yes to this one call. Beside a plain yes, one that also switches the mode is none of them;
/// where the rest is no plain yes, the words prove nothing and all count.
fn yes(options: &Value) -> Vec<&Value> {
    let all = of_kind(options, "allow_once");
    let plain: Vec<&Value> = all
        .iter()
        .copied()
        .filter(|it| !has_word(it, SWITCHES) && has_word(it, PLAIN))
        .collect();
    match (
        plain.as_slice(),
        all.iter().filter(|it| !has_word(it, SWITCHES)).count(),
    ) {
        ([_], 1) => plain,
        _ => all,
    }
}

fn has_word(option: &Value, words: &[&str]) -> bool {
    let of = |key: &str| option[key].as_str().unwrap_or_default().to_lowercase();
    let (id, name) = (of("optionId"), of("name"));
    words.iter().any(|it| id.contains(it) || name.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_of(options: Value, decision: &Decision) -> Option<String> {
        let (answer, _) = outcome(&options, decision);
        let id = answer.pointer("/outcome/optionId")?.as_str()?;
        Some(id.to_owned())
    }

    #[test]
    fn options_are_chosen_by_kind_and_the_one_that_changes_least() {
        let deny = Decision::Deny { reason: None };
        let option = |id: &str, kind: &str| json!({"optionId": id, "name": id, "kind": kind});
        let options = json!([
            option("proceed_always", "allow_always"),
            option("once_and_auto_mode", "allow_once"),
            option("proceed_once", "allow_once"),
            option("no", "reject_once"),
        ]);
        assert_eq!(
            id_of(options.clone(), &Decision::Allow).as_deref(),
            Some("proceed_once")
        );
        assert_eq!(id_of(options, &deny).as_deref(), Some("no"));
        let always = json!([option("a", "allow_always"), option("r", "reject_always")]);
        assert_eq!(id_of(always.clone(), &Decision::Allow), None);
        assert_eq!(id_of(always, &deny).as_deref(), Some("r"));
        assert_eq!(id_of(Value::Null, &deny), None);
    }

    #[test]
    fn several_answers_that_allow_are_chosen_by_a_person() {
        let option =
            |id: &str, name: &str| json!({"optionId": id, "name": name, "kind": "allow_once"});
        let ids = |options: &Value| -> Vec<String> {
            choices(options).into_iter().map(|it| it.id).collect()
        };
        let databases = json!([
            option("pg", "Postgres"),
            option("my", "MySQL"),
            {"optionId": "no", "name": "None", "kind": "reject_once"},
        ]);
        assert_eq!(ids(&databases), ["pg", "my"]);
        assert_eq!(id_of(databases.clone(), &Decision::Allow), None);
        let choose = |option: &str| Decision::Choose {
            option: option.to_owned(),
        };
        assert_eq!(
            id_of(databases.clone(), &choose("my")).as_deref(),
            Some("my")
        );
        for wrong in ["no", "sqlite", "Postgres"] {
            assert_eq!(id_of(databases.clone(), &choose(wrong)), None, "{wrong}");
        }
        for (one, other) in [
            // Words of a switch in an answer that is no plain yes.
            (option("a", "Postgres (auto backup)"), option("b", "MySQL")),
            (
                option("a", "Allow in the test folder"),
                option("b", "Allow everywhere"),
            ),
            (
                option("proceed_once", "Yes"),
                option("proceed_else", "Proceed otherwise"),
            ),
        ] {
            let options = json!([one, other]);
            assert_eq!(choices(&options).len(), 2, "{options}");
        }
        // A yes, and one that switches the mode as well: no choice.
        let plain = json!([
            option("proceed_once", "Yes"),
            option("x", "Yes, and auto-accept edits")
        ]);
        assert_eq!(choices(&plain), []);
        assert_eq!(
            id_of(plain, &Decision::Allow).as_deref(),
            Some("proceed_once")
        );
    }
}
