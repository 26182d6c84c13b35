//! The options of a permission request: their meaning, and the choice between them.

use kirosu_protocol::text::head;
use serde_json::{Value, json};

use crate::permission::PermissionDecision;
use kirosu_protocol::approval::PermissionOption;

/// Words in an option's id or name that allow more than this one call, such as a switch of the mode.
const SWITCHES: &[&str] = &[
    "mode", "always", "auto", "plan", "yolo", "edits", "session", "restore",
];

/// Words of which an option's id or name has one where it allows only this call.
const PLAIN: &[&str] = &[
    "once", "allow", "yes", "proceed", "approve", "accept", "run", "ok", "continue", "confirm",
    "grant", "permit",
];
/// Options that a person sees, at most.
const SHOWN: usize = 64;
/// Bytes of an option's name that a person sees.
const NAME_BYTES: usize = 128;

/// The ways in which a request can be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Offer {
    /// One option allows this call alone.
    Yes,
    /// A person has to choose one of these: several options allow this call, or none states that it allows no more than
    /// that. Position and length of an option never decide.
    Choose(Vec<PermissionOption>),
    /// No option can allow the call.
    Nothing,
}

/// The meaning of an option by its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OptionKind {
    AllowOnce,
    AllowAlways,
    RejectOnce,
    /// Also kinds that only begin like one of them.
    Reject,
    /// No kind, or one that the protocol does not have.
    Unknown,
}

/// The ways in which the options allow a request.
pub(super) fn offer(options: &Value) -> Offer {
    if yes(options).len() == 1 {
        return Offer::Yes;
    }
    let choices = choices(options);
    match choices.is_empty() {
        true => Offer::Nothing,
        false => Offer::Choose(choices.into_iter().filter_map(shown).take(SHOWN).collect()),
    }
}

/// The options of which a person may choose one: those that allow this call once, else all that may allow it.
fn choices(options: &Value) -> Vec<&Value> {
    let once = of_kinds(options, &[OptionKind::AllowOnce]);
    match once.is_empty() {
        true => of_kinds(options, &[OptionKind::AllowAlways, OptionKind::Unknown]),
        false => once,
    }
}

fn shown(option: &Value) -> Option<PermissionOption> {
    let id = id(option)?;
    let name = option["name"].as_str().map(str::trim).unwrap_or_default();
    let name = head(name, NAME_BYTES);
    let name = if name.is_empty() { id.as_str() } else { name };
    Some(PermissionOption {
        name: name.to_owned(),
        id,
    })
}

/// The response for `decision`, and a warning where no option matches it. Options are chosen by kind, never by position.
pub(super) fn outcome(options: &Value, decision: &PermissionDecision) -> (Value, Option<String>) {
    let chosen = match decision {
        PermissionDecision::Allow => match yes(options).as_slice() {
            [one] => Some(*one),
            _ => None,
        },
        PermissionDecision::Choose { option } => {
            let mut offered = choices(options).into_iter();
            offered.find(|it| id(it).as_ref() == Some(option))
        }
        // A person who denies one call does not deny further ones, so `reject_once` comes first.
        PermissionDecision::Deny { .. } | PermissionDecision::Refuse { .. } => {
            [OptionKind::RejectOnce, OptionKind::Reject]
                .iter()
                .find_map(|kind| of_kinds(options, &[*kind]).first().copied())
        }
    };
    let complaint = match (&chosen, decision) {
        (Some(_), _)
        | (None, PermissionDecision::Deny { .. } | PermissionDecision::Refuse { .. }) => None,
        (None, PermissionDecision::Choose { option }) => Some(format!(
            "it was allowed by the option '{option}', which the agent does not offer; so it is denied"
        )),
        (None, PermissionDecision::Allow) => Some(
            "it was allowed, but the agent offers no single way to allow it once; so it is denied"
                .to_owned(),
        ),
    };
    let answer = match chosen {
        Some(option) => json!({"outcome": {"outcome": "selected", "optionId": option["optionId"]}}),
        None => cancelled(),
    };
    (answer, complaint)
}

/// The response to a request that gets no decision.
pub(super) fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

/// The options of these kinds, in their order.
fn of_kinds<'o>(options: &'o Value, kinds: &[OptionKind]) -> Vec<&'o Value> {
    let options = options.as_array().into_iter().flatten();
    options
        .filter(|it| id(it).is_some() && kinds.contains(&kind(it)))
        .collect()
}

/// The id as a string; some agents number their options. `None` when the option cannot be chosen.
fn id(option: &Value) -> Option<String> {
    match &option["optionId"] {
        Value::String(id) if !id.is_empty() => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn kind(option: &Value) -> OptionKind {
    let kind = option["kind"].as_str().unwrap_or_default().to_lowercase();
    match kind.replace(['_', '-', ' '], "").as_str() {
        "allowonce" => OptionKind::AllowOnce,
        "allowalways" => OptionKind::AllowAlways,
        "rejectonce" => OptionKind::RejectOnce,
        kind if kind.starts_with("reject") || kind.starts_with("deny") => OptionKind::Reject,
        _ => OptionKind::Unknown,
    }
}

/// The options that may allow this one call. Where exactly one of them is a plain yes, options that also switch the mode
/// are left out; where the others are not plain either, the words prove nothing and all options count.
fn yes(options: &Value) -> Vec<&Value> {
    let all = of_kinds(options, &[OptionKind::AllowOnce]);
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

    fn id_of(options: Value, decision: &PermissionDecision) -> Option<String> {
        let (answer, _) = outcome(&options, decision);
        let id = answer.pointer("/outcome/optionId")?.as_str()?;
        Some(id.to_owned())
    }

    #[test]
    fn options_are_chosen_by_kind_and_the_one_that_changes_least() {
        let deny = PermissionDecision::Deny { reason: None };
        let option = |id: &str, kind: &str| json!({"optionId": id, "name": id, "kind": kind});
        let options = json!([
            option("proceed_always", "allow_always"),
            option("once_and_auto_mode", "allow_once"),
            option("proceed_once", "allow_once"),
            option("no", "reject_once"),
        ]);
        assert_eq!(
            id_of(options.clone(), &PermissionDecision::Allow).as_deref(),
            Some("proceed_once")
        );
        assert_eq!(id_of(options, &deny).as_deref(), Some("no"));
        let always = json!([option("a", "allow_always"), option("r", "reject_always")]);
        assert_eq!(id_of(always.clone(), &PermissionDecision::Allow), None);
        assert_eq!(id_of(always, &deny).as_deref(), Some("r"));
        assert_eq!(id_of(Value::Null, &deny), None);
    }

    #[test]
    fn several_answers_that_allow_are_chosen_by_a_person() {
        let option =
            |id: &str, name: &str| json!({"optionId": id, "name": name, "kind": "allow_once"});
        let ids = |options: &Value| match offer(options) {
            Offer::Choose(options) => options.into_iter().map(|it| it.id).collect(),
            other => vec![format!("{other:?}")],
        };
        let databases = json!([
            option("pg", "Postgres"),
            option("my", "MySQL"),
            {"optionId": "no", "name": "None", "kind": "reject_once"},
        ]);
        assert_eq!(ids(&databases), ["pg", "my"]);
        assert_eq!(id_of(databases.clone(), &PermissionDecision::Allow), None);
        let choose = |option: &str| PermissionDecision::Choose {
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
            // Words of a switch in an option that is not a plain yes.
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
            assert_eq!(ids(&options).len(), 2, "{options}");
        }
        // A plain yes, and an option that also switches the mode: the person is not asked.
        let plain = json!([
            option("proceed_once", "Yes"),
            option("x", "Yes, and auto-accept edits")
        ]);
        assert_eq!(offer(&plain), Offer::Yes);
        assert_eq!(
            id_of(plain, &PermissionDecision::Allow).as_deref(),
            Some("proceed_once")
        );
    }

    #[test]
    fn options_of_unknown_kind_are_chosen_by_a_person() {
        let option = |id: &str, kind: Value| json!({"optionId": id, "name": id.to_uppercase(), "kind": kind});
        let offered = |options: &Value| match offer(options) {
            Offer::Choose(options) => options.into_iter().map(|it| it.id).collect(),
            other => vec![format!("{other:?}")],
        };
        let deny = PermissionDecision::Deny { reason: None };
        for (options, choices, denied) in [
            (
                json!([
                    option("proceed_once", Value::Null),
                    option("cancel", Value::Null)
                ]),
                vec!["proceed_once", "cancel"],
                None,
            ),
            (
                json!([
                    option("proceed", "allow".into()),
                    option("stop", "reject".into())
                ]),
                vec!["proceed"],
                Some("stop"),
            ),
            (
                json!([
                    option("a", "allow_always".into()),
                    option("r", "reject_once".into())
                ]),
                vec!["a"],
                Some("r"),
            ),
            (
                json!([
                    option("ok", "Allow-Once".into()),
                    option("r", "RejectOnce".into())
                ]),
                vec!["Yes"],
                Some("r"),
            ),
            (
                json!([option("r", "reject_always".into())]),
                vec!["Nothing"],
                Some("r"),
            ),
            (
                json!([{"name": "Yes", "kind": "allow_once"}]),
                vec!["Nothing"],
                None,
            ),
            (json!([]), vec!["Nothing"], None),
            (Value::Null, vec!["Nothing"], None),
        ] {
            assert_eq!(offered(&options), choices, "{options}");
            assert_eq!(
                id_of(options.clone(), &deny).as_deref(),
                denied,
                "{options}"
            );
            if let Offer::Choose(choices) = offer(&options) {
                assert_eq!(
                    id_of(options.clone(), &PermissionDecision::Allow),
                    None,
                    "{options}"
                );
                for PermissionOption { id, .. } in choices {
                    let choose = PermissionDecision::Choose { option: id.clone() };
                    assert_eq!(id_of(options.clone(), &choose), Some(id), "{options}");
                }
            }
        }
        // A number is sent back as a number.
        let numbered = json!([{"optionId": 1, "name": "Yes"}]);
        let choose = PermissionDecision::Choose {
            option: "1".to_owned(),
        };
        let (answer, _) = outcome(&numbered, &choose);
        assert_eq!(answer["outcome"]["optionId"], 1);
    }
}
