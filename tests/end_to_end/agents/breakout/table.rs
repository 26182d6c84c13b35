//! The expected outcomes of the tries, which docs/security.md has as a table.

use super::level::LEVELS;

/// A row: tries that succeed at the same levels.
pub struct Row {
    /// As the page states it.
    pub what: &'static str,
    pub tries: &'static [&'static str],
    /// Whether they succeed, by level.
    pub can: [bool; 4],
}

const NEVER: [bool; 4] = [false; 4];
const DEFAULT_ONLY: [bool; 4] = [true, false, false, false];
const WITHOUT_SANDBOX: [bool; 4] = [true, false, true, false];

pub const TABLE: &[Row] = &[
    Row {
        what: "approve a task or a tool call, or answer for a person: with its token, with the hub's key where it has found it, without a key; over TCP, REST, MCP and by `kirosu`; on a terminal of its own making; as an orphan, hidden, or with a runner's name",
        tries: &[
            "approve_by_command_with_token",
            "approve_with_token",
            "approve_by_command_with_found_key",
            "approve_with_key",
            "approve_over_rest",
            "approve_without_key",
            "approve_on_a_terminal",
            "approve_double_forked",
            "approve_and_disconnect",
            "approve_over_mcp",
            "approve_from_a_hidden_process",
            "approve_under_the_name_of_a_runner",
            "approve_a_tool_call",
            "answer_for_a_person",
        ],
        can: NEVER,
    },
    Row {
        what: "add or list keys of clients",
        tries: &["key_add", "key_list"],
        can: NEVER,
    },
    Row {
        what: "open the store as a database while the hub runs",
        tries: &["approve_in_the_store", "read_store"],
        can: NEVER,
    },
    Row {
        what: "report its own task or another one as done; extend, cancel, retry, lease or give back another one; take a session over",
        tries: &[
            "ack_own_task",
            "ack_other_task",
            "report_on_other_task",
            "cancel_other_task",
            "retry_other_task",
            "lease_other_task",
            "take_a_session_over",
        ],
        can: NEVER,
    },
    Row {
        what: "get from the hub the prompt of a task that is not below its own, events, agents, usage, the audit trail, a backup",
        tries: &[
            "read_prompt_by_command",
            "read_prompt_by_list",
            "read_prompt_over_rest",
            "watch",
            "look_around",
            "read_audit",
            "backup",
        ],
        can: NEVER,
    },
    Row {
        what: "read the environment or memory of the hub or its runner, trace the hub, keep its runner stopped",
        tries: &[
            "read_environment_of_hub",
            "read_memory_of_hub",
            "read_memory_of_hub_by_call",
            "trace_hub",
            "read_environment_of_runner",
            "read_memory_of_runner",
            "keep_runner_stopped",
        ],
        can: NEVER,
    },
    Row {
        what: "make the hub, by a request, reserve more of a budget, resize a pool, reload its settings, pause, drain or stop",
        tries: &[
            "reserve",
            "resize_pool",
            "reload_by_request",
            "pause",
            "drain",
            "shutdown",
        ],
        can: NEVER,
    },
    Row {
        what: "add more or deeper children than `[children]` allows, or other ones: more urgent, in other queues, `python`, with a command, below another task, below none",
        tries: &[
            "add_children_beyond_the_limit",
            "add_children_too_deep",
            "add_a_task_below_another",
            "add_a_task_without_parent",
            "add_a_python_task",
            "add_a_task_with_a_command",
            "add_a_task_to_another_queue",
            "add_an_urgent_task",
        ],
        can: NEVER,
    },
    Row {
        what: "leave a process that outlives the run: an orphan, a session of its own, one in another cgroup, one that waits until the runner is killed",
        tries: &[
            "leave_an_orphan",
            "leave_a_session",
            "leave_a_process_in_another_cgroup",
            "survive_the_runner",
        ],
        can: NEVER,
    },
    Row {
        what: "make Kirosu read a link to a secret, wait at a FIFO, or run a program for git: filter, hook, fsmonitor, external diff, SSH command, a git folder of its own",
        tries: &[
            "link_context_to_key",
            "fifo_as_settings",
            "plant_programs_for_git",
            "plant_hooks_in_repository",
            "plant_a_repository_of_its_own",
            "replace_git_folder",
        ],
        can: NEVER,
    },
    Row {
        what: "read the hub's key, a copy of the store with all prompts, the log",
        tries: &[
            "read_key",
            "read_key_in_a_namespace",
            "copy_store",
            "read_log",
        ],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "change the hub's key, the store, the log, files next to its folder, other files of the hub's user such as a start file of its shell",
        tries: &[
            "write_key",
            "write_store",
            "write_log",
            "write_next_to_folder",
            "write_outside",
            "write_start_file_of_hubs_user",
        ],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "change the hub's settings file, and with a signal make the hub read it; trust a planted settings file in the user's name",
        tries: &[
            "change_settings",
            "reload_by_signal",
            "trust_planted_settings",
        ],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "signal and kill the hub",
        tries: &["signal_hub", "kill_hub"],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "forge the token of another live run with the secret next to the store, and use it",
        tries: &["use_a_forged_token"],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "move a process into another cgroup and kill its runner: the process outlives the run, and then approves with the hub's key on a terminal of its own making",
        tries: &["survive_in_another_cgroup", APPROVED_BY_SURVIVOR],
        can: DEFAULT_ONLY,
    },
    Row {
        what: "read and change the folder of another live run, signal its processes",
        tries: &[
            "read_folder_of_other_run",
            "write_into_other_run",
            "signal_other_run",
        ],
        can: WITHOUT_SANDBOX,
    },
    Row {
        what: "read the token of another live run in the environment of its processes, and use it: see its tasks, add and cancel children",
        tries: &["read_token_of_other_run", "use_token_of_other_run"],
        can: WITHOUT_SANDBOX,
    },
    Row {
        what: "write a start file in the home of its own user, for later runs and logins",
        tries: &["write_own_start_file"],
        can: WITHOUT_SANDBOX,
    },
    Row {
        what: "read the other files of the hub's user, such as private keys",
        tries: &["read_other_file_of_hubs_user"],
        can: [true, true, false, false],
    },
    Row {
        what: "read and change the `state` of its agent program: its login, and its settings, which can name programs for later runs and, where the hub's user uses the same state, for this user's own sessions outside of Kirosu",
        tries: &[
            "read_state_of_agent_program",
            "write_state_of_agent_program",
        ],
        can: [true; 4],
    },
    Row {
        what: "act through a program of the hub's user that takes commands at a Unix socket (tmux, Docker, `systemd --user`): approve with the hub's key, read the key, leave a process",
        tries: &[
            "approve_by_another_terminal",
            "read_key_by_another_terminal",
            "leave_a_program_by_another_terminal",
        ],
        can: [true, true, false, false],
    },
];

/// An outcome that only the test sees.
pub const APPROVED_BY_SURVIVOR: &str = "approved_by_survivor";

const HELPERS: &[&str] = &["token_of_other_run", "mark"];

/// The names of all tries, in the order of tries.py.
pub fn tries() -> impl Iterator<Item = &'static str> {
    let script = include_str!("tries.py");
    let begin = script.find("\n# Approvals.").unwrap();
    let end = script.find("\ndef main(").unwrap();
    script[begin..end].lines().filter_map(|line| {
        let name = line.strip_prefix("def ")?.strip_suffix("():")?;
        let is_helper = name.starts_with("in_orphan_") || HELPERS.contains(&name);
        (!is_helper).then_some(name)
    })
}

/// The row of a try.
pub fn row(name: &str) -> &'static Row {
    let row = TABLE.iter().find(|row| row.tries.contains(&name));
    row.unwrap_or_else(|| panic!("no row has the try {name}"))
}

#[test]
fn every_try_is_in_one_row() {
    let mut listed: Vec<&str> = TABLE.iter().flat_map(|row| row.tries).copied().collect();
    listed.sort_unstable();
    let mut all: Vec<&str> = tries().chain([APPROVED_BY_SURVIVOR]).collect();
    all.sort_unstable();
    assert_eq!(listed, all);
}

#[test]
fn the_page_has_this_table() {
    let page = include_str!("../../../../docs/security.md");
    let (_, section) = page
        .split_once("### The reach of an agent at each level\n")
        .expect("the section");
    let section = section.split("\n#").next().unwrap();
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with('|'))
        .collect();
    let titles = LEVELS.map(|level| level.name()).join(" | ");
    let mut expected = vec![
        format!("| an agent can | {titles} |"),
        "| --- | --- | --- | --- | --- |".to_owned(),
    ];
    for row in TABLE {
        let can = row.can.map(|can| if can { "**yes**" } else { "no" });
        expected.push(format!("| {} | {} |", row.what, can.join(" | ")));
    }
    assert_eq!(rows, expected);
}
