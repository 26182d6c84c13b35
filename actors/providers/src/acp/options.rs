//! Which of the offered answers to a permission request is meant, and what the request is about.

use serde_json::{Value, json};

use crate::permission::Decision;

/// Words in an option's id or name that mean more than this one call: a switch of the mode.
const SWITCHES: &[&str] = &[
    "mode", "always", "auto", "plan", "yolo", "edits", "session", "restore",
];

/// The answer that says `decision`, and a sentence where none of the options does. By kind, never by position.
pub(super) fn outcome(options: &Value, decision: &Decision) -> (Value, Option<String>) {
    let chosen = match decision {
        Decision::Allow => of_kind(options, "allow_once"),
        // Whoever denies one call has nothing against more being denied.
        Decision::Deny { .. } => {
            of_kind(options, "reject_once").or_else(|| of_kind(options, "reject_always"))
        }
    };
    match (chosen, decision) {
        (Some(id), _) => (
            json!({"outcome": {"outcome": "selected", "optionId": id}}),
            None,
        ),
        (None, Decision::Allow) => (
            cancelled(),
            Some(
                "it was allowed, but the agent offers no way to allow it once; so it is denied"
                    .to_owned(),
            ),
        ),
        (None, Decision::Deny { .. }) => (cancelled(), None),
    }
}

/// The answer to a question that nobody decides.
pub(super) fn cancelled() -> Value {
    json!({"outcome": {"outcome": "cancelled"}})
}

/// The id of the option of this kind. Of several the one that changes least: whose words speak of no mode, then the one
/// with the shortest id.
fn of_kind<'o>(options: &'o Value, kind: &str) -> Option<&'o str> {
    let options = options.as_array()?;
    let alike = options.iter().filter(|it| it["kind"] == kind);
    let ids = alike.filter_map(|it| Some((it["optionId"].as_str()?, it)));
    let meant = ids.min_by_key(|(id, it)| (switches(id, it), id.len(), *id));
    meant.map(|(id, _)| id)
}

fn switches(id: &str, option: &Value) -> usize {
    let name = option["name"].as_str().unwrap_or_default();
    let text = format!("{id} {name}").to_lowercase();
    SWITCHES.iter().filter(|word| text.contains(*word)).count()
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
}
