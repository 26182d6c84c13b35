//! `kirosu run items`: lists the items of a run, page by page.

use crate::cli::follow::pages::ItemPages;
use crate::cli::show::run::item_paint;
use crate::cli::show::table::{Cell, Column, TextTable};
use crate::cli::{Context, Failure, HubClient, Screen, task_id, whole};
use kirosu_protocol::{ItemInfo, ItemState, RunItemsParams, TaskId};

/// Items that a terminal shows without `--limit`.
const SHOWN: u64 = 100;

/// Which items to list, and how.
#[derive(Debug, clap::Args)]
pub struct ItemsArgs {
    /// The run
    #[arg(value_name = "ID", value_parser = task_id)]
    id: TaskId,
    /// Only items that failed
    #[arg(long, conflicts_with = "state")]
    failed: bool,
    /// Only items in this state: waiting, open, done, failed, cancelled
    #[arg(long, value_parser = read_state)]
    state: Option<ItemState>,
    /// Only items of the step with this path, such as read or polish[2].write
    #[arg(long, value_name = "PATH")]
    step: Option<String>,
    /// Prints one JSON object per line, as --json
    #[arg(long)]
    jsonl: bool,
    /// With the results of items that are done
    #[arg(long)]
    results: bool,
    /// The most items [default: all; 100 on a terminal]
    #[arg(long, value_name = "NUMBER", value_parser = whole::<u64>(1..=i64::MAX, 100))]
    limit: Option<u64>,
}

fn read_state(word: &str) -> Result<ItemState, String> {
    let word = word.trim().to_ascii_lowercase();
    ItemState::from_name(&word).ok_or_else(|| {
        let known = ItemState::ALL.map(ItemState::as_str).join(", ");
        format!("it is one of {known}")
    })
}

/// Prints the items.
///
/// # Errors
/// There is no such run, the hub cannot be reached, or standard output fails.
pub async fn run(args: &ItemsArgs, hub: &HubClient, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let params = RunItemsParams {
        task_id: args.id,
        step: args.step.clone(),
        state: if args.failed {
            Some(ItemState::Failed)
        } else {
            args.state
        },
        results: args.results,
        ..RunItemsParams::default()
    };
    let is_json = args.jsonl || screen.json;
    let for_people = screen.width.is_some() && !is_json;
    // A table waits for all its rows.
    let most = args.limit.or(for_people.then_some(SHOWN));
    let mut pages = ItemPages::new(hub, params, most);
    let mut listed = 0;
    while let Some(page) = pages.next().await? {
        listed += page.len() as u64;
        match is_json {
            true => page.iter().try_for_each(|item| json(item, screen))?,
            false if page.is_empty() => {}
            false => table(&page, args.results).print(screen)?,
        }
    }
    match (listed, most) {
        (0, _) => screen.note("no such items")?,
        (n, Some(most)) if for_people && n >= most && args.limit.is_none() => {
            let id = args.id;
            screen.note(&format!(
                "there may be more: --limit {} or, all of them, kirosu run items {id} --jsonl",
                most * 10
            ))?;
        }
        _ => {}
    }
    Ok(0)
}

/// Prints an item as JSON. On a terminal without control characters of agents.
fn json(item: &ItemInfo, screen: &Screen) -> Result<(), Failure> {
    match screen.json {
        true => screen.json(item),
        false => {
            let text = serde_json::to_string(item);
            let text = text.map_err(|why| Failure::local("cannot write an item as JSON", why))?;
            screen.print_untrusted(&text)
        }
    }
}

fn table(items: &[ItemInfo], with_results: bool) -> TextTable {
    let mut table = TextTable::new([
        Column::text("STEP"),
        Column::number("INDEX").yields(1),
        Column::long("KEY"),
        Column::text("STATE"),
        Column::number("TASK").yields(2),
        Column::text("CLASS"),
        Column::long(if with_results { "RESULT" } else { "ERROR" }),
    ]);
    for item in items {
        let text = match (&item.error, &item.result) {
            (Some(error), _) => error.clone(),
            (None, Some(text)) => text.clone(),
            (None, None) => String::new(),
        };
        let task = item.task_id.map(|id| id.to_string());
        table.row([
            Cell::new(&item.step),
            Cell::new(item.index.to_string()),
            Cell::new(&item.key),
            Cell::new(if item.cached {
                "cached"
            } else {
                item.state.as_str()
            })
            .painted(item_paint(item.state)),
            Cell::new(task.unwrap_or_default()),
            Cell::new(item.class.as_deref().unwrap_or_default()),
            Cell::new(text),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_the_error_or_the_result() {
        let item = |error: Option<&str>, result: Option<&str>| ItemInfo {
            step: "read".into(),
            index: 3,
            key: "a.md".into(),
            state: if error.is_some() {
                ItemState::Failed
            } else {
                ItemState::Done
            },
            cached: false,
            task_id: Some(46),
            class: error.map(|_| "timeout".into()),
            error: error.map(str::to_owned),
            result: result.map(str::to_owned),
        };
        let items = [item(Some("no\nanswer"), None), item(None, Some("fine"))];
        assert_eq!(
            table(&items, true).render(None, false),
            "read\t3\ta.md\tfailed\t46\ttimeout\tno answer\n\
             read\t3\ta.md\tdone\t46\t\tfine\n"
        );
    }
}
