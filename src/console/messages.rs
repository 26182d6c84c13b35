//! Messages between the feed, the model and the keys.

use super::model::{TaskAction, View};
use super::tasks::{LoadedPage, PageRequest};
use kirosu_protocol::{
    AgentInfo, Approval, Event, Fence, GetAnswer, ListedRun, PoolInfo, RunAnswer, Stats, Subject,
    TaskId, TreeNode,
};

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
    /// The tree.
    Tree(TreeNode),
    /// Runs of plans.
    Runs(Vec<ListedRun>),
    /// The opened run.
    Run(Box<RunAnswer>),
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
    TaskAction(TaskAction, Subject),
    /// Sends an answer to a `human` task.
    Answer(TaskId, String),
}
