//! The state of the dashboard as one value: data from the hub, and what the user has chosen.
//!
//! Nothing here waits or reads a clock: [`Model::pass`] sets the time, [`Model::apply`] takes updates.

use super::cursor::ListCursor;
use super::messages::{Interest, LinkState, Update};
use super::pane::TaskPane;
use super::query::TaskFilter;
use super::rate::CompletionRate;
use super::run_pane::RunPane;
use super::tasks::TaskListView;
use super::views;
use crate::cli::watch::describe;
use crate::terminal::paint::Paint;
use crate::terminal::text::one_line_start;
use jiff::tz::TimeZone;
use kirosu_protocol::{
    AgentInfo, Approval, Event, EventKind, ListedRun, PoolInfo, RunAnswer, Stats, Subject, TaskId,
    TreeNode,
};
use std::collections::VecDeque;

/// Maximum number of events.
const EVENTS: usize = 2000;
/// Seconds for which a message is shown.
const MESSAGE: f64 = 6.0;

/// A screen of the dashboard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum View {
    /// The list of tasks.
    #[default]
    Tasks,
    /// One task.
    Task,
    /// Pools and agents.
    Agents,
    /// The supervision tree.
    Tree,
    /// Events, the newest first.
    Events,
    /// Tasks and permission requests that wait for a person.
    Inbox,
    /// Runs of plans.
    Runs,
}

impl View {
    /// All screens, in the order of their keys.
    pub const ALL: [View; 7] = [
        View::Tasks,
        View::Task,
        View::Agents,
        View::Tree,
        View::Events,
        View::Inbox,
        View::Runs,
    ];

    /// The name that is shown.
    pub fn name(self) -> &'static str {
        match self {
            View::Tasks => "Tasks",
            View::Task => "Task",
            View::Agents => "Agents",
            View::Tree => "Tree",
            View::Events => "Events",
            View::Inbox => "Inbox",
            View::Runs => "Runs",
        }
    }
}

/// An action of a person on a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskAction {
    /// Lets a task or tool call run, or answers a `human` task with yes.
    Approve,
    /// Lets a task fail, or refuses a tool call.
    Reject,
    /// Stops a task.
    Cancel,
    /// Enqueues a task again.
    Retry,
    /// Steers a run of a plan.
    Run(RunAction),
}

/// An action of a person on a run of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunAction {
    /// Starts no further task.
    Pause,
    /// Lets it go on, also after it has waited for a decision.
    Resume,
    /// Raises its budget, for which it waits, by its first limit.
    Raise,
    /// Repeats what failed.
    Retry,
    /// Ends it and its tasks.
    Cancel,
}

impl TaskAction {
    /// The name of the subject of this action.
    pub fn name_of(self, subject: Subject) -> String {
        match (self, subject) {
            (TaskAction::Run(_), Subject::Task(id)) => format!("run {id}"),
            (_, subject) => subject.to_string(),
        }
    }
}

/// An action that waits for `y` or `n`.
#[derive(Clone, Debug, PartialEq)]
pub struct PendingConfirm {
    /// The action.
    pub act: TaskAction,
    /// The task or permission request.
    pub subject: Subject,
    /// Description of the subject.
    pub about: String,
}

/// An answer that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplyDraft {
    /// The task.
    pub task_id: TaskId,
    /// The text so far.
    pub text: String,
}

/// A message at the foot of the screen.
#[derive(Clone, Debug)]
pub struct FootMessage {
    /// The sentence.
    pub text: String,
    /// The kind of message.
    pub paint: Paint,
    /// Unix seconds at which it disappears.
    pub until: f64,
}

/// The state of the dashboard.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Unix seconds.
    pub now: f64,
    /// The zone of times; `None` means UTC.
    pub zone: Option<TimeZone>,
    /// Columns and lines of the screen.
    pub size: (u16, u16),
    /// Address of the hub.
    pub hub: String,
    /// State of the connection.
    pub link: LinkState,
    /// The screen that is shown.
    pub view: View,
    /// The counters; `None` until they are known.
    pub stats: Option<Stats>,
    /// Completed tasks per second.
    pub rate: CompletionRate,
    /// The list of tasks.
    pub tasks: TaskListView,
    /// The task on screen 2.
    pub task: Option<TaskPane>,
    /// Pools; `None` until they are known.
    pub pools: Option<Vec<PoolInfo>>,
    /// Agents; `None` until they are known.
    pub agents: Option<Vec<AgentInfo>>,
    /// The tree and the Unix seconds at which it was read; `None` until it is known.
    pub tree: Option<(TreeNode, f64)>,
    /// Entries that wait for a person; `None` until they are known.
    pub inbox: Option<Vec<Approval>>,
    /// Runs of plans; `None` until they are known.
    pub runs: Option<Vec<ListedRun>>,
    /// The opened run on screen 7; `None` while the list is shown.
    pub run: Option<RunPane>,
    /// Events, the newest first.
    pub events: VecDeque<Event>,
    /// The position in the list of each screen.
    pub cursors: [ListCursor; 7],
    /// The filter of each screen, as typed.
    pub filters: [String; 7],
    /// The filter that is being typed.
    pub typing: Option<String>,
    /// The answer that is being typed.
    pub reply: Option<ReplyDraft>,
    /// The action that waits for `y` or `n`.
    pub confirm: Option<PendingConfirm>,
    /// The message at the foot of the screen.
    pub message: Option<FootMessage>,
    /// Whether the help is shown.
    pub help: bool,
}

impl Model {
    /// An empty dashboard.
    pub fn new(hub: &str, view: View, size: (u16, u16), now: f64) -> Model {
        let mut model = Model {
            now,
            hub: one_line_start(hub, 200),
            view,
            ..Model::default()
        };
        model.resize(size);
        model
    }

    /// Sets the size of the screen.
    pub fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.tasks.resize(views::list_height(self, View::Tasks));
    }

    /// Sets the time, in Unix seconds.
    pub fn pass(&mut self, now: f64) {
        self.now = now;
        self.rate.pass(now);
        self.message.take_if(|message| message.until <= now);
    }

    /// Shows a message at the foot of the screen.
    pub fn show_message(&mut self, text: impl Into<String>, paint: Paint) {
        self.message = Some(FootMessage {
            text: text.into(),
            paint,
            until: self.now + MESSAGE,
        });
    }

    /// The filter of the current screen.
    pub fn filter(&self) -> &str {
        match self.has_filter() {
            true => &self.filters[self.view as usize],
            false => "",
        }
    }

    /// Whether the current screen is a list that can be filtered.
    pub fn has_filter(&self) -> bool {
        match self.view {
            View::Task => false,
            View::Runs => self.run.is_none(),
            _ => true,
        }
    }

    /// The data that the current screen needs.
    pub fn interest(&self) -> Interest {
        Interest {
            view: self.view,
            page: self.tasks.request.clone(),
            task: self.task.as_ref().map(|pane| pane.id),
            run: self.run.as_ref().map(|pane| pane.id),
        }
    }

    /// Opens a run.
    pub fn open_run(&mut self, id: TaskId) {
        self.run = Some(RunPane::new(id));
        self.view = View::Runs;
    }

    /// Opens a task.
    pub fn open(&mut self, id: TaskId) {
        if self.task.as_ref().is_none_or(|pane| pane.id != id) {
            self.task = Some(TaskPane::new(id));
        }
        self.view = View::Task;
    }

    /// Applies an update from the hub.
    pub fn apply(&mut self, update: Update) {
        match update {
            Update::Link(link) => {
                if !matches!(link, LinkState::Up { .. }) {
                    self.rate.forget_counter();
                }
                self.link = link;
            }
            Update::Event(event) => {
                self.events.push_front(event);
                self.events.truncate(EVENTS);
                self.keep_event();
            }
            Update::Page(request, page, stats) => {
                let height = views::list_height(self, View::Tasks);
                self.tasks.arrive(&request, page, height);
                self.count(stats);
            }
            Update::Stats(stats) => self.count(stats),
            Update::Task(answer) => {
                if let Some(pane) = self.pane(answer.task.task_id) {
                    pane.set_answer(answer);
                }
            }
            Update::Output(id, output) => {
                if let Some(pane) = self.pane(id) {
                    pane.add_output(output);
                }
            }
            Update::Agents(agents) => self.agents = Some(agents),
            Update::Pools(pools) => self.pools = Some(pools),
            Update::Inbox(approvals) => self.set_inbox(approvals),
            Update::Runs(runs) => self.set_runs(runs),
            Update::Run(run) => self.set_run(run),
            Update::Tree(tree) => self.tree = Some((tree, self.now)),
            Update::Failed(View::Task, id, why) => {
                if let Some(pane) = self.pane(id) {
                    pane.failure = Some(why);
                }
            }
            Update::Failed(View::Runs, _, why) => match &mut self.run {
                Some(pane) if pane.answer.is_none() => pane.failure = Some(why),
                _ => self.show_message(why, Paint::Bad),
            },
            Update::Failed(_, _, why) => self.show_message(why, Paint::Bad),
            Update::Acted(Ok(text)) => self.show_message(text, Paint::Good),
            Update::Acted(Err(text)) => self.show_message(text, Paint::Bad),
        }
    }

    /// The chosen entry stays chosen, so that a decision cannot hit an entry that has moved to its line.
    fn set_inbox(&mut self, approvals: Vec<Approval>) {
        let chosen = views::inbox::chosen(self).map(|(subject, _)| subject);
        self.inbox = Some(approvals);
        if let Some(chosen) = chosen
            && let Some(at) = views::inbox::position_of(self, chosen)
        {
            self.cursors[View::Inbox as usize].at = at;
        }
        if let Some(confirm) = self.confirm.take_if(|_| self.view == View::Inbox) {
            match views::inbox::position_of(self, confirm.subject) {
                Some(_) => self.confirm = Some(confirm),
                None => self.show_message("that was decided meanwhile", Paint::Attention),
            }
        }
    }

    /// The chosen run stays chosen while newer ones are added above it.
    fn set_runs(&mut self, runs: Vec<ListedRun>) {
        let at = self.cursors[View::Runs as usize].at;
        let chosen = views::runs::shown(self).get(at).map(|run| run.task_id);
        self.runs = Some(runs);
        let found = chosen.filter(|_| at > 0).and_then(|id| {
            let shown = views::runs::shown(self);
            shown.iter().position(|run| run.task_id <= id)
        });
        if let Some(found) = found {
            self.cursors[View::Runs as usize].shift(at, found);
        }
    }

    /// The chosen step stays chosen while others move above it.
    fn set_run(&mut self, run: Box<RunAnswer>) {
        let before = views::runs::paths(self);
        let Some(pane) = self.run.as_mut().filter(|pane| pane.id == run.task_id) else {
            return;
        };
        let at = pane.cursor.at;
        pane.failure = None;
        pane.answer = Some(run);
        let chosen = before.get(at).filter(|_| at > 0);
        let after = views::runs::paths(self);
        let found = chosen.and_then(|path| after.iter().position(|other| other == path));
        if let (Some(found), Some(pane)) = (found, &mut self.run) {
            pane.cursor.shift(at, found);
        }
    }

    /// The open task, if it is this one.
    fn pane(&mut self, id: TaskId) -> Option<&mut TaskPane> {
        self.task.as_mut().filter(|pane| pane.id == id)
    }

    fn count(&mut self, stats: Stats) {
        self.rate.count(stats.done, self.now);
        self.stats = Some(stats);
    }

    /// A new event moves the others down: the chosen one stays chosen unless it is the first.
    fn keep_event(&mut self) {
        let shows = TaskFilter::words(&self.filters[View::Events as usize]);
        let newest = self.events.front();
        let cursor = &mut self.cursors[View::Events as usize];
        if cursor.at > 0 && newest.is_some_and(|event| shown(event, &shows)) {
            cursor.at += 1;
            cursor.top += 1;
        }
    }
}

/// Whether an event matches a filter.
pub fn shown(event: &Event, filter: &TaskFilter) -> bool {
    let (subject, _, text) = describe(&event.what);
    filter.matches_texts([subject.as_str(), text.as_str()].into_iter())
}

/// The task of an event.
pub fn task_of(event: &Event) -> Option<TaskId> {
    match &event.what {
        EventKind::Task { task_id, .. }
        | EventKind::Approval { task_id, .. }
        | EventKind::Progress { task_id, .. }
        | EventKind::Output { task_id, .. }
        | EventKind::Run { task_id, .. }
        | EventKind::Step { task_id, .. } => Some(*task_id),
        _ => None,
    }
}
