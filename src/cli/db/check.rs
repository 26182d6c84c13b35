//! `kirosu db check`: checks a store without a hub.

use super::{Context, Failure, StoreArgs, spinner, text};
use crate::stopped_store;
use serde_json::json;

/// Checks the store and prints what is wrong. The exit code is 1 if something is.
pub(super) fn run(args: &StoreArgs, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let settings = args.settings(context)?.settings;
    let store = &settings.store.path;
    let spinner = spinner::spinner(screen, "checking the store");
    let checked = stopped_store::check(&settings);
    spinner.finish_and_clear();
    let checked = checked.map_err(Failure::Local)?;
    let is_sound = checked.findings.is_empty();
    let answer = json!({
        "ok": is_sound, "path": store, "tasks": checked.tasks, "pending_migrations": checked.pending,
        "findings": checked.findings,
    });
    screen.answer(&answer, || {
        let store = store.display();
        for finding in &checked.findings {
            screen.print(finding)?;
        }
        match (is_sound, checked.pending) {
            (true, 0) => {
                let tasks = text::count(checked.tasks, "task");
                screen.print(&format!("{store} is sound ({tasks})"))
            }
            (true, _) => screen.print(&format!(
                "{store} is sound as a file; its rows can be checked after the next start of the hub, which migrates it"
            )),
            (false, _) => screen.note(&format!(
                "{store} is not sound; keep it, and put the newest backup in place with `kirosu restore`"
            )),
        }
    })?;
    Ok(u8::from(!is_sound))
}
