//! Results of `kirosu map`: a JSON line per item, in the order of the items.

use super::build::MAP;
use crate::cli::follow::pages::ItemPages;
use crate::cli::follow::report::{self, FailedItems};
use crate::cli::{Context, Failure, HubClient, Screen};
use kirosu_protocol::{ItemInfo, ItemState, RunAnswer, RunItemsParams, RunState};
use serde::Serialize;
use serde_json::{Value, json};

/// Prints the results of all items, unless they were merged, and notes about those that failed; with `--json` a last line
/// with the summary. Returns the exit code.
///
/// # Errors
/// The hub does not answer, or standard output fails.
pub async fn print(
    mut run: RunAnswer,
    has_reduce: bool,
    hub: &HubClient,
    context: &Context,
) -> Result<u8, Failure> {
    let screen = &context.screen;
    let params = RunItemsParams {
        task_id: run.task_id,
        step: Some(MAP.to_owned()),
        results: true,
        ..RunItemsParams::default()
    };
    if run.state.is_final() && !has_reduce {
        let mut pages = ItemPages::new(hub, params, None);
        while let Some(page) = pages.next().await? {
            let lines: String = page.iter().filter_map(line).collect();
            match screen.json {
                true => screen.raw(&lines)?,
                false => screen.print_untrusted(&lines)?,
            }
        }
    }
    let failed = match run.state {
        RunState::Partial | RunState::Failed => FailedItems::read(run.task_id, hub).await?,
        _ => FailedItems::default(),
    };
    if screen.json {
        if has_reduce {
            report::whole(&mut run, hub).await?;
        } else {
            run.result = None;
        }
        print_summary(&run, &failed, screen)?;
    } else {
        report::notes(&run, &failed, screen)?;
    }
    Ok(report::exit_code(run.state))
}

/// An item that has ended, as it is printed.
#[derive(Serialize)]
#[serde(untagged)]
enum EndedItem<'a> {
    Done {
        key: &'a str,
        result: &'a Option<String>,
    },
    Failed {
        key: &'a str,
        error: &'a str,
        class: &'a str,
    },
}

/// An item as a line; `None` for one that has not ended.
fn line(item: &ItemInfo) -> Option<String> {
    let key = item.key.as_str();
    let ended = match item.state {
        ItemState::Done => EndedItem::Done {
            key,
            result: &item.result,
        },
        ItemState::Failed => EndedItem::Failed {
            key,
            error: item.error.as_deref().unwrap_or_default(),
            class: item.class.as_deref().unwrap_or("other"),
        },
        ItemState::Cancelled => EndedItem::Failed {
            key,
            error: "cancelled",
            class: "cancelled",
        },
        ItemState::Waiting | ItemState::Open => return None,
    };
    // Texts and JSON can always be written as JSON.
    let text = serde_json::to_string(&ended).ok()?;
    Some(text + "\n")
}

/// The last line of `--json`.
fn print_summary(run: &RunAnswer, failed: &FailedItems, screen: &Screen) -> Result<(), Failure> {
    let map = run.steps.iter().find(|step| step.path == MAP);
    let mut summary = json!({
        "task_id": run.task_id,
        "state": run.state,
        "items": map.map(|step| step.total.unwrap_or(step.made)),
        "done": map.map(|step| step.done),
        "failed": map.map(|step| step.failed),
        "classes": failed.classes,
    });
    let more: [(&str, &Option<String>); 3] = [
        ("reason", &run.reason),
        ("result", &run.result),
        ("error", &run.error),
    ];
    for (name, value) in more {
        if let Some(text) = value {
            summary[name] = Value::from(text.as_str());
        }
    }
    screen.json(&json!({ "summary": summary }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(state: ItemState) -> ItemInfo {
        ItemInfo {
            step: MAP.into(),
            index: 0,
            key: "a.md".into(),
            state,
            task_id: Some(7),
            cached: false,
            class: (state == ItemState::Failed).then(|| "timeout".into()),
            error: (state == ItemState::Failed).then(|| "no answer".into()),
            result: (state == ItemState::Done).then(|| "fine".into()),
        }
    }

    #[test]
    fn an_item_is_a_line_with_its_result_or_error() {
        let of = |state| line(&item(state));
        assert_eq!(
            of(ItemState::Done).unwrap(),
            "{\"key\":\"a.md\",\"result\":\"fine\"}\n"
        );
        assert_eq!(
            of(ItemState::Failed).unwrap(),
            "{\"key\":\"a.md\",\"error\":\"no answer\",\"class\":\"timeout\"}\n"
        );
        assert!(of(ItemState::Cancelled).unwrap().contains("cancelled"));
        assert_eq!(of(ItemState::Open), None);
    }
}
