//! Messages between the feed, the model and the keys.

use super::action::HubAction;
use super::run_pane::ItemsRequest;
use super::tasks::{LoadedPage, PageRequest};
use super::view::View;
use kirosu_protocol::{
    AgentInfo, Approval, Event, Fence, GetAnswer, ItemInfo, ListedRun, PoolInfo, RunAnswer,
    ScheduleInfo, Stats, TaskId, TreeNode,
};
use std::collections::HashMap;

/// State of the connection to the hub.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum LinkState {
    /// The first attempt is under way.
    #[default]
    Connecting,
    /// Connected.
    Up {
        /// The hub's version.
        version: String,
    },
    /// Not connected; the client tries again.
    Away {
        /// The cause.
        why: String,
        /// Unix seconds of the next attempt, if it is known.
        again: Option<f64>,
    },
}

/// The data that must be kept up to date for the current screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interest {
    /// The current screen.
    pub view: View,
    /// The window of the task list.
    pub page: PageRequest,
    /// The open task.
    pub task: Option<TaskId>,
    /// The opened run of screen 7.
    pub run: Option<TaskId>,
    /// The items of its opened step.
    pub items: Option<ItemsRequest>,
}

/// An update of the open task's output.
#[derive(Clone, Debug, PartialEq)]
pub enum OutputUpdate {
    /// The whole output of an attempt; replaces the shown one.
    Whole {
        /// Fence of the attempt.
        fence: Fence,
        /// The output.
        text: String,
        /// Whether the hub has only a part of it.
        cut: bool,
    },
    /// The next piece of the output.
    More(String),
}

/// An update from the hub.
#[derive(Clone, Debug)]
pub enum Update {
    /// The connection was established or lost.
    Link(LinkState),
    /// An event.
    Event(Event),
    /// A window of the list, with the counters.
    Page(PageRequest, LoadedPage, Stats),
    /// The counters.
    Stats(Stats),
    /// The open task.
    Task(Box<GetAnswer>),
    /// The open task's output.
    Output(TaskId, OutputUpdate),
    /// The agents.
    Agents(Vec<AgentInfo>),
    /// The pools.
    Pools(Vec<PoolInfo>),
    /// The number of queued tasks by queue.
    Depths(HashMap<String, u64>),
    /// The tree.
    Tree(TreeNode),
    /// Runs of plans.
    Runs(Vec<ListedRun>),
    /// The opened run.
    Run(Box<RunAnswer>),
    /// The first items of a step of this run, and whether there are more.
    Items(TaskId, ItemsRequest, Vec<ItemInfo>, bool),
    /// The schedules.
    Schedules(Vec<ScheduleInfo>),
    /// Entries that wait for a person.
    Inbox(Vec<Approval>),
    /// The hub refused a request for a screen; the number is the task's on the task screen, else 0.
    Failed(View, TaskId, String),
    /// The outcome of an action.
    Acted(Result<String, String>),
}

/// The effect of a key beyond the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyEffect {
    /// Ends the dashboard.
    Quit,
    /// Ends the dashboard with the exit code of Ctrl-C.
    Interrupt,
    /// Draws the whole screen again.
    Redraw,
    /// Sends an action to the hub.
    Act(HubAction),
}
