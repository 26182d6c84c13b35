//! Everything that is on the screen, as one value: what came from the hub, and where the eye is.
//!
//! Nothing here waits or looks at a clock: time comes in with [`Model::pass`], news with [`Model::hear`].

use super::clean::one_line;
use super::list::Cursor;
use super::news::{Link, News, Want};
use super::pane::TaskPane;
use super::query::Query;
use super::rate::Rate;
use super::tasks::Tasks;
use super::views;
use crate::cli::show::paint::Paint;
use crate::cli::watch::told;
use jiff::tz::TimeZone;
use kirosu_protocol::verbs::agents::AgentInfo;
use kirosu_protocol::verbs::pools::PoolInfo;
use kirosu_protocol::verbs::tree::TreeNode;
use kirosu_protocol::{Approval, Event, EventKind, Stats, Subject, TaskId};
use std::collections::VecDeque;

/// Events kept.
const EVENTS: usize = 2000;
/// Seconds for which a message stays.
const MESSAGE: f64 = 6.0;

/// One screen of the dashboard.
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
    /// Events in their order.
    Events,
    /// What waits for a person.
    Inbox,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [View; 6] = [
        View::Tasks,
        View::Task,
        View::Agents,
        View::Tree,
        View::Events,
        View::Inbox,
    ];

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self {
            View::Tasks => "Tasks",
            View::Task => "Task",
            View::Agents => "Agents",
            View::Tree => "Tree",
            View::Events => "Events",
            View::Inbox => "Inbox",
        }
    }
}

/// What a person can do to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Lets it run (a tool: once), or answers it.
    Approve,
    /// Lets it fail.
    Reject,
    /// Ends it.
    Cancel,
    /// Queues it again.
    Retry,
}

/// A question that waits for `y` or `n`.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// What is going to be done.
    pub act: Act,
    /// To which task, or tool question.
    pub subject: Subject,
    /// What is known of it.
    pub about: String,
}

/// An answer that is being typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The task.
    pub task_id: TaskId,
    /// The text so far.
    pub text: String,
}

/// A sentence at the foot of the screen.
#[derive(Clone, Debug)]
pub struct Message {
    /// The sentence.
    pub text: String,
    /// Good or bad.
    pub paint: Paint,
    /// Unix seconds at which it goes.
    pub until: f64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Unix seconds.
    pub now: f64,
    /// The zone of the times that are shown; `None`: UTC.
    pub zone: Option<TimeZone>,
    /// Columns and lines of the screen.
    pub size: (u16, u16),
    /// Where the hub is.
    pub hub: String,
    /// How the connection stands.
    pub link: Link,
    /// The present screen.
    pub view: View,
    /// The counters.
    pub stats: Option<Stats>,
    /// Completions by the second.
    pub rate: Rate,
    /// The list of tasks.
    pub tasks: Tasks,
    /// The chosen task.
    pub task: Option<TaskPane>,
    /// Pools, once known.
    pub pools: Option<Vec<PoolInfo>>,
    /// Agents, once known.
    pub agents: Option<Vec<AgentInfo>>,
    /// The tree, once known, and when it was read.
    pub tree: Option<(TreeNode, f64)>,
    /// What waits for a person, once known.
    pub inbox: Option<Vec<Approval>>,
    /// Newest first.
    pub events: VecDeque<Event>,
    /// The eye on agents, tree, events and inbox.
    pub cursors: [Cursor; 6],
    /// The filter of each screen, as typed.
    pub filters: [String; 6],
    /// The filter that is being typed.
    pub typing: Option<String>,
    /// The answer that is being typed.
    pub reply: Option<Reply>,
    /// What waits for `y` or `n`.
    pub confirm: Option<Confirm>,
    /// What is told at the foot.
    pub message: Option<Message>,
    /// Whether the keys are shown.
    pub help: bool,
}

impl Model {
    /// An empty dashboard of a screen's size.
    pub fn new(hub: &str, view: View, size: (u16, u16), now: f64) -> Model {
        let mut model = Model {
            now,
            hub: one_line(hub, 200),
            view,
            ..Model::default()
        };
        model.resize(size);
        model
    }

    /// The screen has another size.
    pub fn resize(&mut self, size: (u16, u16)) {
        self.size = size;
        self.tasks.resize(views::list_height(self, View::Tasks));
    }

    /// Time passes.
    pub fn pass(&mut self, now: f64) {
        self.now = now;
        self.rate.pass(now);
        self.message.take_if(|message| message.until <= now);
    }

    /// Says something at the foot of the screen.
    pub fn say(&mut self, text: impl Into<String>, paint: Paint) {
        self.message = Some(Message {
            text: text.into(),
            paint,
            until: self.now + MESSAGE,
        });
    }

    /// The filter of the present screen.
    pub fn filter(&self) -> &str {
        &self.filters[self.view as usize]
    }

    /// What has to be fetched for what is on the screen.
    pub fn want(&self) -> Want {
        Want {
            view: self.view,
            page: self.tasks.ask.clone(),
            task: self.task.as_ref().map(|pane| pane.id),
        }
    }

    /// Looks at one task.
    pub fn open(&mut self, id: TaskId) {
        if self.task.as_ref().is_none_or(|pane| pane.id != id) {
            self.task = Some(TaskPane::new(id));
        }
        self.view = View::Task;
    }

    /// Takes in what the hub said.
    pub fn hear(&mut self, news: News) {
        match news {
            News::Link(link) => {
                if !matches!(link, Link::Up { .. }) {
                    self.rate.forget_counter();
                }
                self.link = link;
            }
            News::Event(event) => {
                self.events.push_front(event);
                self.events.truncate(EVENTS);
                self.keep_event();
            }
            News::Page(ask, page, stats) => {
                let height = views::list_height(self, View::Tasks);
                self.tasks.arrive(&ask, page, height);
                self.count(stats);
            }
            News::Stats(stats) => self.count(stats),
            News::Task(answer) => {
                if let Some(pane) = self.pane(answer.task.task_id) {
                    pane.came(answer);
                }
            }
            News::Output(id, output) => {
                if let Some(pane) = self.pane(id) {
                    pane.printed(output);
                }
            }
            News::Agents(agents) => self.agents = Some(agents),
            News::Pools(pools) => self.pools = Some(pools),
            News::Inbox(approvals) => self.inbox_came(approvals),
            News::Tree(tree) => self.tree = Some((tree, self.now)),
            News::Trouble(View::Task, id, why) => {
                if let Some(pane) = self.pane(id) {
                    pane.trouble = Some(why);
                }
            }
            News::Trouble(_, _, why) => self.say(why, Paint::Bad),
            News::Acted(Ok(text)) => self.say(text, Paint::Good),
            News::Acted(Err(text)) => self.say(text, Paint::Bad),
        }
    }

    /// Entries come and go: the eye stays with the one that is chosen, so that nobody decides what slid under it.
    fn inbox_came(&mut self, approvals: Vec<Approval>) {
        let chosen = views::inbox::chosen(self).map(|(subject, _)| subject);
        self.inbox = Some(approvals);
        if let Some(chosen) = chosen
            && let Some(at) = views::inbox::place(self, chosen)
        {
            self.cursors[View::Inbox as usize].at = at;
        }
        if let Some(confirm) = self.confirm.take_if(|_| self.view == View::Inbox) {
            match views::inbox::place(self, confirm.subject) {
                Some(_) => self.confirm = Some(confirm),
                None => self.say("that was decided meanwhile", Paint::Attention),
            }
        }
    }

    /// The task that is looked at, if it is this one.
    fn pane(&mut self, id: TaskId) -> Option<&mut TaskPane> {
        self.task.as_mut().filter(|pane| pane.id == id)
    }

    fn count(&mut self, stats: Stats) {
        self.rate.count(stats.done, self.now);
        self.stats = Some(stats);
    }

    /// A new event at the top moves the others: who has gone down stays with the one that is chosen.
    fn keep_event(&mut self) {
        let shows = Query::words(&self.filters[View::Events as usize]);
        let newest = self.events.front();
        let cursor = &mut self.cursors[View::Events as usize];
        if cursor.at > 0 && newest.is_some_and(|event| shown(event, &shows)) {
            cursor.at += 1;
            cursor.top += 1;
        }
    }
}

/// Whether an event passes a filter.
pub fn shown(event: &Event, filter: &Query) -> bool {
    let (subject, _, text) = told(&event.what);
    filter.found_in([subject.as_str(), text.as_str()].into_iter())
}

/// The task that an event is about.
pub fn task_of(event: &Event) -> Option<TaskId> {
    match &event.what {
        EventKind::Task { task_id, .. }
        | EventKind::Approval { task_id, .. }
        | EventKind::Progress { task_id, .. }
        | EventKind::Output { task_id, .. } => Some(*task_id),
        _ => None,
    }
}
