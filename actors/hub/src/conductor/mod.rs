//! The conductor: carries runs of plans out.
//!
//! It takes queued tasks of the type `plan` and looks at each run when something in it has changed. The decisions are a pure
//! function (`kirosu_plan::advance`) of the run's rows; the conductor only reads rows and results, renders templates, and sends
//! the writer commands that are guarded by the fence of the run and the versions of its steps. It remembers nothing that it could
//! not read again: killed at any point, with the process or without, it goes on where the rows are. The writer reports the runs
//! in which something has changed; every [`SCAN`] all open runs are looked at, whether something was reported or not.
//!
//! Runs have their turns one after another, each with one window of tasks, so that a large run does not hold up a small one.

mod answers;
mod cache;
mod context;
#[cfg(feature = "fault-injection")]
mod crash;
mod end;
mod expand;
mod held;
pub(crate) mod live_run;
mod open_runs;
mod planner;
mod questions;
pub(crate) mod results;
mod tasks;
mod turn;
mod wishes;
mod world;

use crate::caller::{Caller, CommandAnswers};
use crate::clock::now_ms;
use crate::sessions::SharedTable;
use crate::writer::Writer;
use crate::writer::messages::Submit;
use actix::prelude::*;
use kirosu_protocol::TaskId;
use kirosu_store::{Command, PlanChange, PlanOrder, RunControl, StoreReader};
use kirosu_supervision::{ChildContext, supervised};
use live_run::LiveRun;
use open_runs::open_runs;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::PoisonError;
use std::time::Duration;
use turn::{Turn, TurnInput};

/// Interval at which all open runs are looked at.
const SCAN: Duration = Duration::from_secs(30);
/// The longest timer: the wall clock may be set meanwhile.
const LONGEST_TIMER: Duration = Duration::from_secs(10);
/// Pause before a run is looked at again after a failure of the store.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Runs that are under way at the same time, without those that wait for a person and those that another run has made;
/// further ones stay queued.
const RUNS: usize = 1000;
/// Runs that one command takes.
const TAKEN_AT_ONCE: u32 = 50;
/// The smallest and the largest number of open tasks of a step that sets none.
const WINDOW: (u64, u64) = (2, 1000);

/// Runs in which something has changed.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PlanNews(pub Vec<TaskId>);

/// Takes the turn of the next run.
#[derive(Message)]
#[rtype(result = "()")]
struct NextTurn;

/// Data that each incarnation of the conductor starts from.
#[derive(Clone)]
pub(crate) struct ConductorFactory {
    pub writer: Addr<Writer>,
    pub store_path: PathBuf,
    pub sessions: SharedTable,
    /// The pools of this process.
    pub pools: Vec<String>,
}

/// A command that is not answered yet.
struct SentCommand {
    /// The run; 0: it takes runs.
    run: TaskId,
    /// The step that it concerns.
    path: Option<String>,
    /// Whether it changes the plan of the run.
    replans: bool,
    #[cfg(feature = "fault-injection")]
    name: Option<&'static str>,
}

/// The actor that carries runs of plans out.
pub(crate) struct Conductor {
    child: ChildContext,
    factory: ConductorFactory,
    store: Option<StoreReader>,
    runs: BTreeMap<TaskId, LiveRun>,
    /// Runs whose turn is to come, in order.
    due: VecDeque<TaskId>,
    /// The run and the step of each unanswered command.
    sent: HashMap<u64, SentCommand>,
    next_number: u64,
    /// The number of runs that an unanswered command takes at most.
    taking: Option<u32>,
    /// Whether another one must follow it.
    take_again: bool,
    /// Whether further runs may be queued, above the limit.
    left_queued: bool,
    /// Whether all runs are looked at again soon, after a failure.
    is_scan_near: bool,
    /// Whether a `NextTurn` is on its way.
    is_turning: bool,
}

supervised!(Conductor);

impl Conductor {
    pub(crate) fn new(child: ChildContext, factory: ConductorFactory) -> Conductor {
        // The mailbox survives a crash of this actor: answers to commands of the crashed incarnation have other numbers.
        let next_number = u64::from(child.incarnation()) << 40;
        Conductor {
            child,
            factory,
            store: None,
            runs: BTreeMap::new(),
            due: VecDeque::new(),
            sent: HashMap::new(),
            next_number,
            taking: None,
            take_again: false,
            left_queued: false,
            is_scan_near: false,
            is_turning: false,
        }
    }

    fn submit(
        &mut self,
        ctx: &mut Context<Self>,
        run: TaskId,
        commands: Vec<(Command, Option<String>)>,
    ) {
        let mut numbered = Vec::with_capacity(commands.len());
        for (command, path) in commands {
            self.next_number += 1;
            let sent = SentCommand {
                run,
                path,
                replans: is_replan(&command),
                #[cfg(feature = "fault-injection")]
                name: crash::name(&command),
            };
            #[cfg(feature = "fault-injection")]
            crash::point("before", sent.name);
            self.sent.insert(self.next_number, sent);
            numbered.push((self.next_number, command));
        }
        let caller = Caller::hub(ctx.address().recipient());
        self.factory.writer.do_send(Submit::new(caller, numbered));
    }

    /// Takes queued runs.
    fn take(&mut self, ctx: &mut Context<Self>) {
        if self.taking.is_some() {
            self.take_again = true;
            return;
        }
        let own = self.runs.values().filter(|run| run.takes_room());
        let room = u32::try_from(RUNS.saturating_sub(own.count())).unwrap_or(0);
        // A run that waits for one below it must not keep that one out.
        let below = room == 0;
        let limit = match below {
            true => TAKEN_AT_ONCE,
            false => room.min(TAKEN_AT_ONCE),
        };
        (self.taking, self.take_again, self.left_queued) = (Some(limit), false, below);
        let take = Command::Plan(Box::new(PlanOrder::Take { limit, below }));
        self.submit(ctx, 0, vec![(take, None)]);
    }

    /// The turn of a run is to come.
    fn note_due(&mut self, ctx: &mut Context<Self>, id: TaskId) {
        let Some(run) = self.runs.get_mut(&id) else {
            return;
        };
        run.is_due = true;
        if run.unanswered == 0 && !self.due.contains(&id) {
            self.due.push_back(id);
        }
        self.turn_next(ctx);
    }

    /// The turns of all runs below a run are to come.
    fn note_below(&mut self, ctx: &mut Context<Self>, id: TaskId) {
        let below = self.runs.values().filter(|run| run.above.contains(&id));
        let below: Vec<TaskId> = below.map(|run| run.id).collect();
        for id in below {
            self.note_due(ctx, id);
        }
    }

    /// The budget of a run was raised: tasks of the runs below it may wait for it, too.
    fn note_raised(&mut self, ctx: &mut Context<Self>, id: TaskId) {
        let below = self
            .runs
            .values()
            .filter(|run| run.above.first() == Some(&id));
        let below: Vec<TaskId> = below.map(|run| run.id).collect();
        for run in below {
            let control = RunControl::Raised;
            let raised = Command::Plan(Box::new(PlanOrder::Control { run, control }));
            if let Some(run) = self.runs.get_mut(&run) {
                run.unanswered += 1;
            }
            self.submit(ctx, run, vec![(raised, None)]);
        }
    }

    fn turn_next(&mut self, ctx: &mut Context<Self>) {
        if !self.is_turning && !self.due.is_empty() {
            self.is_turning = true;
            ctx.notify(NextTurn);
        }
    }

    /// Looks at all open runs, and takes those that are queued.
    fn scan(&mut self, ctx: &mut Context<Self>) {
        let known: Vec<TaskId> = self.runs.keys().copied().collect();
        match self.reader().and_then(|store| open_runs(store, &known)) {
            Ok(found) => self.runs.extend(found.into_iter().map(|run| (run.id, run))),
            Err(why) => self.unread(ctx, &why),
        }
        self.take(ctx);
        let all: Vec<TaskId> = self.runs.keys().copied().collect();
        for id in all {
            self.note_due(ctx, id);
        }
    }

    fn reader(&mut self) -> Result<&mut StoreReader, String> {
        let store = match self.store.take() {
            Some(store) => store,
            None => StoreReader::open(&self.factory.store_path).map_err(|why| why.to_string())?,
        };
        Ok(self.store.insert(store))
    }

    /// The store cannot be read: everything is looked at again after a pause.
    fn unread(&mut self, ctx: &mut Context<Self>, why: &str) {
        tracing::error!(%why, "runs of plans cannot be read; trying again");
        self.store = None;
        if !std::mem::replace(&mut self.is_scan_near, true) {
            ctx.run_later(RETRY_AFTER, |conductor, ctx| {
                conductor.is_scan_near = false;
                conductor.scan(ctx);
            });
        }
    }

    /// Open tasks that a step may have: twice the workers.
    fn window(&self) -> u64 {
        let table = self.factory.sessions.lock();
        let (sessions, _) = table.unwrap_or_else(PoisonError::into_inner).count();
        (2 * sessions as u64).clamp(WINDOW.0, WINDOW.1)
    }

    fn turn(&mut self, ctx: &mut Context<Self>, id: TaskId) {
        let (window, now_ms) = (self.window(), now_ms(&self.child));
        let pools = self.factory.pools.clone();
        let Some(mut run) = self.runs.remove(&id) else {
            return;
        };
        run.is_due = false;
        let (took_room, was_paused) = (run.takes_room(), run.is_paused);
        let taken = match self.reader() {
            Ok(store) => turn::take(
                &mut run,
                &mut TurnInput {
                    store,
                    window,
                    pools: &pools,
                    now_ms,
                },
            ),
            Err(why) => Err(why),
        };
        match taken {
            Ok(Turn::Over) => {
                if self.left_queued {
                    self.take(ctx);
                }
            }
            Ok(Turn::Commands(commands)) => {
                run.unanswered = commands.len();
                if let Some(at) = run.wake_at
                    && run.timer.is_none_or(|timer| at < timer)
                {
                    run.timer = Some(at);
                    let wait = u64::try_from(at - now_ms).unwrap_or(0);
                    let wait = Duration::from_millis(wait).min(LONGEST_TIMER);
                    ctx.run_later(wait, move |conductor, ctx| {
                        if let Some(run) = conductor.runs.get_mut(&id) {
                            run.timer = None;
                        }
                        conductor.note_due(ctx, id);
                    });
                }
                let gives_room = took_room && !run.takes_room();
                let is_paused = run.is_paused;
                let was_raised = std::mem::take(&mut run.was_raised);
                self.runs.insert(id, run);
                if gives_room && self.left_queued {
                    self.take(ctx);
                }
                if was_raised {
                    self.note_raised(ctx, id);
                }
                if is_paused != was_paused {
                    self.note_below(ctx, id);
                }
                if !commands.is_empty() {
                    self.submit(ctx, id, commands);
                }
            }
            Err(why) => {
                self.runs.insert(id, run);
                self.unread(ctx, &why);
            }
        }
    }
}

/// Whether a command lets a run go over to another plan.
fn is_replan(command: &Command) -> bool {
    let Command::Plan(order) = command else {
        return false;
    };
    let replan = |change: &PlanChange| matches!(change, PlanChange::Replan { .. });
    matches!(&**order, PlanOrder::Change { change, .. } if replan(change))
}

impl Actor for Conductor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.scan(ctx);
        ctx.run_interval(SCAN, |conductor, ctx| conductor.scan(ctx));
    }
}

impl Handler<PlanNews> for Conductor {
    type Result = ();

    fn handle(&mut self, PlanNews(runs): PlanNews, ctx: &mut Self::Context) {
        self.child.handled();
        let mut unknown = false;
        for id in runs {
            match self.runs.contains_key(&id) {
                true => self.note_due(ctx, id),
                false => unknown = true,
            }
        }
        if unknown {
            self.take(ctx);
        }
    }
}

impl Handler<NextTurn> for Conductor {
    type Result = ();

    fn handle(&mut self, _: NextTurn, ctx: &mut Self::Context) {
        self.child.handled();
        self.is_turning = false;
        if let Some(id) = self.due.pop_front() {
            self.turn(ctx, id);
        }
        self.turn_next(ctx);
    }
}

impl Handler<CommandAnswers> for Conductor {
    type Result = ();

    fn handle(&mut self, answers: CommandAnswers, ctx: &mut Self::Context) {
        self.child.handled();
        for (number, answer) in answers.take() {
            let Some(sent) = self.sent.remove(&number) else {
                continue;
            };
            #[cfg(feature = "fault-injection")]
            crash::point("after", sent.name);
            match sent.run {
                0 => self.taken(ctx, answer),
                run => {
                    if sent.replans {
                        self.reload(ctx, run);
                    }
                    self.answered(ctx, (run, sent.path), answer);
                }
            }
        }
    }
}
