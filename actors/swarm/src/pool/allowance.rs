//! How many sessions of a pool may work while runs cannot be started, or fail at once one after the other. Pure: the
//! caller passes the time.
//!
//! ```text
//! free ──a run is not started / N runs in a row fail at once──▶ paused (running tasks go on, no others start)
//!   ▲                                                             │ the pause is over: one more may start
//!   │                                                             ▼
//!   └─── as many started as there are sessions / one run works ── trying ──the same again──▶ paused, for longer
//! ```
//!
//! In a shortage the limit settles at the number of runs that the machine can take: each run that starts raises it by
//! one, each that does not lowers it to the number of running ones.

use std::time::Duration;

use kirosu_protocol::TaskId;
use kirosu_supervision::{BackoffPolicy, RestartDelays};
use tokio::time::Instant;

/// Pauses after runs that were not started.
const SHORT: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(250), Duration::from_secs(30));

/// Pauses after runs that failed at once.
const FAILING: BackoffPolicy =
    BackoffPolicy::between(Duration::from_secs(1), Duration::from_secs(60));

/// A shortage that did not occur for this time is over, even if too few tasks came to prove it.
const QUIET: Duration = Duration::from_secs(300);

/// Why a pool takes fewer tasks than it has sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartProblem {
    /// The machine lacks a resource that runs need to start.
    Short,
    /// The provider's program fails each run at once.
    Failing,
}

impl StartProblem {
    /// Returns the name of the pool state on the wire.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Failing => "failing",
        }
    }

    const fn pauses(self) -> BackoffPolicy {
        match self {
            Self::Short => SHORT,
            Self::Failing => FAILING,
        }
    }
}

/// A change to log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllowanceChange {
    /// An episode began.
    Began,
    /// The episode is over.
    Over,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    episode: Option<Episode>,
    /// Sessions that request or run a task.
    holding: u32,
    /// Sessions that run a task.
    running: u32,
    /// The different tasks whose runs failed at once for the same reason since the last run that worked.
    failed: Vec<TaskId>,
    /// That reason, without the parts that differ from run to run.
    reason: String,
}

#[derive(Debug)]
struct Episode {
    problem: StartProblem,
    note: String,
    /// Maximum number of sessions that may hold a slot.
    limit: u32,
    /// When one more run may start; `None` while one tries.
    until: Option<Instant>,
    pauses: RestartDelays,
    /// When the problem occurred last.
    met: Instant,
}

impl Allowance {
    /// Lets one session request a task, if there is capacity.
    pub(crate) fn enter(&mut self) -> bool {
        let has_room = self
            .episode
            .as_ref()
            .is_none_or(|it| self.holding < it.limit);
        self.holding += u32::from(has_room);
        has_room
    }

    /// A session with a slot got a task. Returns false if the capacity is gone since: the task has to be released.
    pub(crate) fn run(&mut self) -> bool {
        let has_room = self
            .episode
            .as_ref()
            .is_none_or(|it| self.running < it.limit);
        self.running += u32::from(has_room);
        has_room
    }

    /// A session returns its slot. `ran`: its run has ended.
    pub(crate) fn release(&mut self, ran: bool) {
        self.holding = self.holding.saturating_sub(1);
        self.running = self.running.saturating_sub(u32::from(ran));
    }

    /// A run was not started; it still counts as running.
    pub(crate) fn not_started(&mut self, note: &str, now: Instant) -> Option<AllowanceChange> {
        self.meet(StartProblem::Short, note, now)
    }

    /// A run has started, in a pool of `size` sessions.
    pub(crate) fn started(&mut self, size: u32) -> Option<AllowanceChange> {
        let episode = self.episode.as_mut()?;
        // Below the limit a start says nothing about the capacity above it.
        let is_at_limit = self.running >= episode.limit;
        if episode.problem != StartProblem::Short || episode.until.is_some() || !is_at_limit {
            return None;
        }
        // The machine has more capacity than before: the next shortage is a new one.
        episode.pauses.reset();
        episode.limit += 1;
        (episode.limit > size).then(|| self.end())
    }

    /// Whether the breaker is open: runs that fail at once now began before it opened.
    pub(crate) fn is_open(&self) -> bool {
        let episode = self.episode.as_ref();
        episode.is_some_and(|it| it.problem == StartProblem::Failing && it.until.is_some())
    }

    /// The run of this task failed at once. `breaker`: the number of tasks in a row that open the breaker; 0 means
    /// never.
    pub(crate) fn failed_at_once(
        &mut self,
        task: TaskId,
        breaker: u32,
        note: &str,
        now: Instant,
    ) -> Option<AllowanceChange> {
        let failing = |it: &Episode| it.problem == StartProblem::Failing;
        if breaker == 0 {
            return None;
        }
        // A program that gives each task a different reason works: the reasons concern the tasks.
        let reason = common_part(note);
        if reason != self.reason {
            self.failed.clear();
            self.reason = reason;
        }
        if !self.failed.contains(&task) && self.failed.len() < breaker as usize {
            self.failed.push(task);
        }
        let is_enough = self.failed.len() >= breaker as usize;
        (is_enough || self.episode.as_ref().is_some_and(failing))
            .then(|| self.meet(StartProblem::Failing, note, now))
            .flatten()
    }

    /// A run worked: it ended well, or failed after it had done something.
    pub(crate) fn run_worked(&mut self) -> Option<AllowanceChange> {
        self.failed.clear();
        let failing = |it: &Episode| it.problem == StartProblem::Failing;
        self.episode
            .as_ref()
            .is_some_and(failing)
            .then(|| self.end())
    }

    /// Whether fewer tasks are taken than there are sessions.
    pub(crate) fn is_limited(&self) -> bool {
        self.episode.is_some()
    }

    /// Ends the pause, because a person asked for it or changed the settings.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Some(episode) = &mut self.episode
            && episode.until.is_some()
        {
            episode.until = Some(now);
        }
    }

    /// Ends pauses and episodes whose time is over.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<AllowanceChange> {
        let episode = self.episode.as_mut()?;
        if episode.until.is_some_and(|until| until <= now) {
            episode.until = None;
            episode.limit += 1;
        }
        let is_quiet = episode.problem == StartProblem::Short && episode.met + QUIET <= now;
        is_quiet.then(|| self.end())
    }

    /// Returns when [`tick`](Self::tick) has to be called.
    pub(crate) fn next(&self) -> Option<Instant> {
        let episode = self.episode.as_ref()?;
        let quiet = (episode.problem == StartProblem::Short).then_some(episode.met + QUIET);
        [episode.until, quiet].into_iter().flatten().min()
    }

    /// Why the pool takes fewer tasks, for people.
    pub(crate) fn problem(&self, now: Instant) -> Option<(StartProblem, String)> {
        let episode = self.episode.as_ref()?;
        let under_way = self.running;
        let next = match episode.until {
            Some(until) => {
                let left = until.saturating_duration_since(now).as_secs_f64().ceil();
                format!("one more is tried in {left} s")
            }
            None => format!("{} are tried side by side", episode.limit),
        };
        let note = format!("{}; {under_way} under way, {next}", episode.note);
        Some((episode.problem, note))
    }

    fn meet(&mut self, problem: StartProblem, note: &str, now: Instant) -> Option<AllowanceChange> {
        let others = self.running.saturating_sub(1);
        let is_new = match &self.episode {
            Some(episode) => episode.problem != problem,
            None => true,
        };
        if is_new {
            self.episode = Some(Episode {
                problem,
                note: String::new(),
                limit: others,
                until: None,
                pauses: problem.pauses().delays(),
                met: now,
            });
        }
        let episode = self.episode.as_mut()?;
        note.clone_into(&mut episode.note);
        episode.met = now;
        // Concurrent runs meet the same problem; that must not prolong the pause each time.
        if episode.until.is_none() {
            let pause = episode.pauses.next().unwrap_or(problem.pauses().max);
            episode.until = Some(now + pause);
            episode.limit = others;
        } else {
            episode.limit = episode.limit.min(others);
        }
        is_new.then_some(AllowanceChange::Began)
    }

    fn end(&mut self) -> AllowanceChange {
        self.episode = None;
        self.failed.clear();
        AllowanceChange::Over
    }
}

/// Returns the words of a reason without those that differ from run to run: numbers, ids, names with digits, and the
/// end of stderr, which is not the program's statement about a task.
fn common_part(reason: &str) -> String {
    let (stated, _) = reason
        .split_once("stderr ended with:")
        .unwrap_or((reason, ""));
    let words = stated.split_whitespace();
    let constant = words.filter(|it| !it.contains(|c: char| c.is_ascii_digit()));
    constant.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(it: &mut Allowance, count: u32) -> u32 {
        let begun = (0..count).filter(|_| it.enter());
        let begun = u32::try_from(begun.count()).unwrap();
        (0..begun).for_each(|_| assert!(it.run()));
        begun
    }

    #[tokio::test(start_paused = true)]
    async fn a_shortage_settles_at_what_the_machine_takes() {
        let mut it = Allowance::default();
        let mut now = Instant::now();
        let (size, capacity) = (40, 10);
        assert_eq!(begin(&mut it, size), size);
        let mut begun = 0;
        for _ in capacity..size {
            begun +=
                u32::from(it.not_started("no descriptors", now) == Some(AllowanceChange::Began));
            it.release(true);
        }
        assert_eq!(begun, 1);
        let mut given_back = 0;
        for _ in 0..10_000 {
            now += Duration::from_millis(100);
            assert_eq!(it.tick(now), None);
            // One of them ends, and another begins in its place.
            it.release(true);
            while it.enter() {
                assert!(it.run());
                if it.running <= capacity {
                    assert_eq!(it.started(size), None);
                } else {
                    assert_eq!(it.not_started("no descriptors", now), None);
                    it.release(true);
                    given_back += 1;
                }
            }
            assert_eq!(it.running, capacity);
        }
        assert!(given_back < 60, "{given_back}");
        // It works.
        for _ in 0..1000 {
            now += Duration::from_secs(1);
            if it.tick(now) == Some(AllowanceChange::Over) {
                break;
            }
            while it.enter() {
                assert!(it.run());
                if it.started(size) == Some(AllowanceChange::Over) {
                    return;
                }
            }
        }
        panic!("{it:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_starts_one_tries_with_growing_pauses() {
        let mut it = Allowance::default();
        let mut now = Instant::now();
        assert_eq!(begin(&mut it, 1), 1);
        assert_eq!(it.not_started("x", now), Some(AllowanceChange::Began));
        it.release(true);
        let mut pauses = Vec::new();
        for _ in 0..12 {
            assert!(!it.enter());
            let next = it.next().unwrap();
            pauses.push(next - now);
            now = next;
            assert_eq!(it.tick(now), None);
            assert_eq!(begin(&mut it, 4), 1);
            assert_eq!(it.not_started("x", now), None);
            it.release(true);
        }
        assert!(pauses[0] < Duration::from_millis(400));
        assert!(pauses.iter().all(|pause| *pause <= SHORT.max));
        assert!(pauses[11] > Duration::from_secs(20));
        assert_eq!(it.tick(now + QUIET), Some(AllowanceChange::Over));
        assert_eq!(begin(&mut it, 4), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leased_task_goes_back_where_the_room_is_gone() {
        let mut it = Allowance::default();
        assert!(it.enter() && it.enter() && it.run());
        it.not_started("x", Instant::now());
        it.release(true);
        assert!(!it.run());
        it.release(false);
        assert_eq!((it.holding, it.running), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_fail_for_reasons_of_their_own_do_not_open_the_breaker() {
        let mut it = Allowance::default();
        let now = Instant::now();
        let reasons = ["no file a.rs", "the branch is not clean", "the test is red"];
        for (task, reason) in (1..).zip(reasons.iter().cycle().take(12)) {
            assert_eq!(it.failed_at_once(task, 3, reason, now), None);
        }
        // Different ids and numbers are the same reason.
        let mut it = Allowance::default();
        assert_eq!(it.failed_at_once(1, 3, "boom in run 17", now), None);
        assert_eq!(it.failed_at_once(2, 3, "boom in run 18", now), None);
        let change = it.failed_at_once(3, 3, "boom in run 19", now);
        assert_eq!(change, Some(AllowanceChange::Began));
    }

    #[tokio::test(start_paused = true)]
    async fn distinct_tasks_that_fail_at_once_open_the_breaker_and_one_success_closes_it() {
        let mut it = Allowance::default();
        let now = Instant::now();
        for task in [1, 1, 1, 2, 2] {
            assert_eq!(it.failed_at_once(task, 3, "exited with code 1", now), None);
        }
        assert_eq!(it.run_worked(), None);
        for task in [1, 2] {
            assert_eq!(it.failed_at_once(task, 3, "exited with code 1", now), None);
        }
        assert_eq!(
            it.failed_at_once(3, 3, "exited with code 1", now),
            Some(AllowanceChange::Began)
        );
        assert!(it.is_open() && !it.enter());
        let next = it.next().unwrap();
        assert_eq!(it.tick(next), None);
        assert!(!it.is_open());
        assert_eq!(begin(&mut it, 5), 1);
        assert_eq!(it.failed_at_once(3, 3, "exited with code 1", next), None);
        it.release(true);
        assert!(!it.enter());
        let (word, note) = it.problem(next).unwrap();
        assert_eq!(word.as_str(), "failing");
        assert!(note.starts_with("exited with code 1; 0 under way"));
        it.retry(next);
        assert_eq!(it.tick(next), None);
        assert_eq!(begin(&mut it, 5), 1);
        assert_eq!(it.run_worked(), Some(AllowanceChange::Over));
        assert!(it.enter());
        assert_eq!(it.failed_at_once(9, 0, "x", next), None);
    }
}
