//! The state of the dashboard as one value: data from the hub, and what the user has chosen.
//!
//! Nothing here waits or reads a clock: [`Model::pass`] sets the time, [`Model::apply`] takes updates.

use super::action::{Draft, DraftKind, PendingChoice, PendingConfirm};
use super::cursor::ListCursor;
use super::messages::{Interest, LinkState, Update};
use super::pane::TaskPane;
use super::query::TaskFilter;
use super::rate::CompletionRate;
use super::run_pane::{ItemsPane, RunPane};
use super::tasks::TaskListView;
use super::view::View;
use super::views;
use crate::cli::watch::describe;
use crate::terminal::paint::Paint;
use crate::terminal::text::one_line_start;
use jiff::tz::TimeZone;
use kirosu_protocol::{
    AgentInfo, Approval, Event, EventKind, ListedRun, PoolInfo, RunAnswer, ScheduleInfo, Stats,
    Subject, TaskId, TreeNode,
};
use std::collections::{HashMap, VecDeque};

/// Maximum number of events.
const EVENTS: usize = 2000;
/// Seconds for which a message is shown, and a refusal, which is longer to read.
const MESSAGE: f64 = 6.0;
const REFUSAL: f64 = 12.0;

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
    /// The screen on which that task was chosen.
    pub origin: View,
    /// Pools; `None` until they are known.
    pub pools: Option<Vec<PoolInfo>>,
    /// The number of queued tasks by queue.
    pub depths: HashMap<String, u64>,
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
    /// Schedules, by name; `None` until they are known.
    pub schedules: Option<Vec<ScheduleInfo>>,
    /// Events, the newest first.
    pub events: VecDeque<Event>,
    /// The position in the list of each screen.
    pub cursors: [ListCursor; View::COUNT],
    /// The filter of each screen, as typed.
    pub filters: [String; View::COUNT],
    /// The filter that is being typed.
    pub typing: Option<String>,
    /// The answer, reason or size that is being typed.
    pub draft: Option<Draft>,
    /// The permission request of which an option is being chosen.
    pub choice: Option<PendingChoice>,
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
        let seconds = if paint == Paint::Bad {
            REFUSAL
        } else {
            MESSAGE
        };
        self.message = Some(FootMessage {
            text: text.into(),
            paint,
            until: self.now + seconds,
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
            items: self.items().map(|pane| pane.request.clone()),
        }
    }

    /// The opened step of the opened run.
    pub fn items(&self) -> Option<&ItemsPane> {
        self.run.as_ref()?.items.as_ref()
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
        if self.view != View::Task {
            self.origin = self.view;
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
            Update::Agents(agents) => self.set_agents(agents),
            Update::Pools(pools) => self.set_pools(pools),
            Update::Depths(depths) => self.depths = depths,
            Update::Schedules(schedules) => self.set_schedules(schedules),
            Update::Inbox(approvals) => self.set_inbox(approvals),
            Update::Runs(runs) => self.set_runs(runs),
            Update::Run(run) => self.set_run(run),
            Update::Items(run, request, items, more) => {
                let pane = self.run.as_mut().filter(|pane| pane.id == run);
                if let Some(pane) = pane.and_then(|pane| pane.items.as_mut()) {
                    pane.arrive(&request, items, more);
                }
            }
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
        let pending = self.pending().filter(|_| self.view == View::Inbox);
        if pending.is_some_and(|subject| views::inbox::position_of(self, subject).is_none()) {
            (self.confirm, self.draft, self.choice) = (None, None, None);
            self.show_message("that was decided meanwhile", Paint::Attention);
        }
    }

    /// The subject of a decision that is being made.
    fn pending(&self) -> Option<Subject> {
        let confirm = self.confirm.as_ref().and_then(|it| it.action.decides());
        let draft = self.draft.as_ref().and_then(|it| match it.kind {
            DraftKind::Answer(id) => Some(Subject::Task(id)),
            DraftKind::Reject(subject) => Some(subject),
            DraftKind::Resize(_) => None,
        });
        let choice = self.choice.as_ref();
        let choice = choice.map(|it| Subject::Approval(it.approval_id));
        confirm.or(draft).or(choice)
    }

    /// The chosen pool stays chosen.
    fn set_pools(&mut self, pools: Vec<PoolInfo>) {
        let before = views::pools::chosen_name(self);
        self.pools = Some(pools);
        self.keep_row(View::Pools, before, views::pools::names);
    }

    /// The chosen agent stays chosen.
    fn set_agents(&mut self, agents: Vec<AgentInfo>) {
        let before = views::pools::chosen_name(self);
        self.agents = Some(agents);
        self.keep_row(View::Pools, before, views::pools::names);
    }

    /// The chosen schedule stays chosen.
    fn set_schedules(&mut self, schedules: Vec<ScheduleInfo>) {
        let before = views::schedules::chosen(self).map(|it| it.name.clone());
        self.schedules = Some(schedules);
        self.keep_row(View::Schedules, before, views::schedules::names);
    }

    /// Moves the cursor of a screen to the row with the name that was chosen before, if it is still there.
    fn keep_row(&mut self, view: View, before: Option<String>, names: fn(&Model) -> Vec<String>) {
        let at = self.cursors[view as usize].at;
        let found = before.and_then(|name| names(self).iter().position(|it| *it == name));
        if let Some(found) = found.filter(|found| *found != at) {
            self.cursors[view as usize].shift(at, found);
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
