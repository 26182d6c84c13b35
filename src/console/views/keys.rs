//! The keys: those of every screen, and those of the current one.

use crate::console::model::Model;
use crate::console::view::View;

/// A key, and its effect.
pub type KeyText = (&'static str, &'static str);

/// The keys of every screen.
const COMMON: [KeyText; 9] = [
    (
        "1 … 8, Tab",
        "tasks, task, pools, tree, events, inbox, runs, schedules",
    ),
    ("↑ ↓ j k", "one line up or down"),
    ("PgUp PgDn", "one page up or down (Space; Ctrl-B, Ctrl-F)"),
    (
        "g G",
        "to the first, to the last (of a task: follow output)",
    ),
    ("Enter", "opens what is chosen"),
    ("Esc", "back; removes the filter"),
    (
        "/",
        "filter: words; of tasks status: queue: type: label: parent:",
    ),
    ("Ctrl-L", "draws the screen again"),
    ("q, Ctrl-C", "quit"),
];

const APPROVE: KeyText = ("a", "approve: lets the task or tool run, answers with yes");
const REJECT: KeyText = (
    "r",
    "reject, with a reason: the task fails, a tool does not run",
);
const ANSWER: KeyText = ("w", "write: answers a human task with a text");
const CANCEL: KeyText = ("c", "cancel: stops the task, even if it runs");
const RETRY: KeyText = ("R", "retry: enqueues a failed or cancelled task again");

/// All keys of the current screen, those of every screen first.
pub fn all(model: &Model) -> Vec<KeyText> {
    let own: &[KeyText] = match model.view {
        View::Tasks => &[APPROVE, ANSWER, REJECT, CANCEL, RETRY],
        View::Task => &[APPROVE, ANSWER, REJECT, CANCEL, RETRY],
        View::Inbox => &[
            APPROVE,
            ("", "asks for one of the options, if there are some"),
            ANSWER,
            REJECT,
        ],
        View::Pools => &[
            ("+ -", "of a pool: asks for another number of agents"),
            ("p P", "of a pool: pauses its queues, resumes them"),
            ("t", "of an account or pool: the next task tries it again"),
        ],
        View::Runs => &[
            ("p P", "pauses the run, lets it go on"),
            ("R c", "repeats what failed in it, cancels it"),
            ("a r w", "decide a chosen step that waits for a person"),
            ("a", "raises the budget for which the run waits"),
            ("o", "the task of the run, with its whole result"),
        ],
        View::Schedules => &[
            ("p P", "pauses the schedule, lets it go on"),
            ("x", "adds its task now; the next time stays"),
            ("D", "removes it; its tasks stay"),
        ],
        View::Tree | View::Events => &[],
    };
    COMMON.iter().chain(own).copied().collect()
}

/// The keys that the line below the screen names, the most important ones first.
pub fn short(model: &Model) -> &'static [KeyText] {
    const TASK: [KeyText; 4] = [
        ("a", "approve"),
        ("r", "reject"),
        ("c", "cancel"),
        ("R", "retry"),
    ];
    match model.view {
        View::Tasks => &[
            ("Enter", "open"),
            ("/", "filter"),
            TASK[0],
            TASK[1],
            TASK[2],
            TASK[3],
        ],
        View::Task => &[
            ("Esc", "back"),
            ("G", "follow"),
            TASK[0],
            TASK[1],
            TASK[2],
            TASK[3],
        ],
        View::Tree | View::Events => &[
            ("Tab", "next screen"),
            ("/", "filter"),
            ("Enter", "open its task"),
        ],
        View::Inbox => &[
            ("/", "filter"),
            ("Enter", "open its task"),
            TASK[0],
            TASK[1],
            ("w", "answer"),
        ],
        View::Runs if model.items().is_some() => &[("Esc", "back"), ("Enter", "its task")],
        View::Runs if model.run.is_some() => &[
            ("Esc", "back"),
            ("Enter", "open"),
            ("p", "pause"),
            ("P", "resume"),
            TASK[3],
            TASK[2],
            ("o", "its task"),
        ],
        View::Runs => &[
            ("Enter", "open"),
            ("/", "filter"),
            ("p", "pause"),
            ("P", "resume"),
            TASK[3],
            TASK[2],
        ],
        View::Pools => &[
            ("/", "filter"),
            ("+ -", "resize"),
            ("p", "pause"),
            ("P", "resume"),
            ("t", "try again"),
            ("Enter", "its task"),
        ],
        View::Schedules => &[
            ("Enter", "its task"),
            ("p", "pause"),
            ("P", "resume"),
            ("x", "run now"),
            ("D", "remove"),
        ],
    }
}
