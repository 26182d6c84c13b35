//! What the feed and the model say to each other.

use super::model::{Act, View};
use super::tasks::{Page, PageParams};
use kirosu_protocol::verbs::agents::AgentInfo;
use kirosu_protocol::verbs::get::GetAnswer;
use kirosu_protocol::verbs::pools::PoolInfo;
use kirosu_protocol::verbs::tree::TreeNode;
use kirosu_protocol::{Approval, Event, Fence, Stats, Subject, TaskId};

/// How the connection to the hub stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Link {
    /// The first attempt is under way.
    #[default]
    Connecting,
    /// It stands.
    Up {
        /// The hub's version.
        version: String,
    },
    /// It does not; it is tried again.
    Away {
        /// Why.
        why: String,
        /// Unix seconds of the next attempt.
        again: Option<f64>,
    },
}

/// What is on the screen and has to be kept up to date.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Want {
    /// The screen.
    pub view: View,
    /// The window of the list.
    pub page: PageParams,
    /// The chosen task.
    pub task: Option<TaskId>,
}

/// A piece of the chosen task's output.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// All that an attempt has printed so far; in place of what was shown.
    Whole {
        /// The attempt.
        fence: Fence,
        /// What it printed.
        text: String,
        /// Whether the hub does not have all of it.
        cut: bool,
    },
    /// What it printed next.
    More(String),
}

/// What comes from the hub.
#[derive(Clone, Debug)]
pub enum News {
    /// The connection came or went.
    Link(Link),
    /// Something happened.
    Event(Event),
    /// A window of the list, with the counters.
    Page(PageParams, Page, Stats),
    /// The counters.
    Stats(Stats),
    /// The chosen task.
    Task(Box<GetAnswer>),
    /// The chosen task's output.
    Output(TaskId, Output),
    /// The agents.
    Agents(Vec<AgentInfo>),
    /// The pools.
    Pools(Vec<PoolInfo>),
    /// The tree.
    Tree(TreeNode),
    /// What waits for a person.
    Inbox(Vec<Approval>),
    /// The hub refused a question for a screen (about a task, where it is that screen's).
    Trouble(View, TaskId, String),
    /// What came of an action.
    Acted(Result<String, String>),
}

/// What has to be done, after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Ends the dashboard.
    Quit,
    /// Ends it as interrupted.
    Interrupt,
    /// Draws everything anew.
    Redraw,
    /// Asks the hub for it.
    Act(Act, Subject),
    /// Answers a `human` task.
    Answer(TaskId, String),
}
