//! How many sessions of a pool may work while runs cannot be started, or fail one right after the other. Pure: time is
//! given, nothing is asked.
//!
//! ```text
//! free ──a run is not started / N runs in a row fail at once──▶ paused (those under way go on, no others start)
//!   ▲                                                             │ the pause is over: one more may start
//!   │                                                             ▼
//!   └─── as many started as there are sessions / one run went ── trying ──the same again──▶ paused, for longer
//! ```
//!
//! In a shortage the limit settles at what the machine can take: each run that starts allows one more, each that does
//! not lowers the limit to those that are under way.

use std::time::Duration;

use kirosu_protocol::TaskId;
use kirosu_supervision::{BackoffPolicy, RestartDelays};
use tokio::time::Instant;

/// Pauses after runs that were not started.
const SHORT: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_millis(250),
    max: Duration::from_secs(30),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::ZERO,
};

/// Pauses after runs that failed at once.
const FAILING: BackoffPolicy = BackoffPolicy {
    initial: Duration::from_secs(1),
    max: Duration::from_secs(60),
    factor: 2.0,
    jitter: 0.2,
    healthy_after: Duration::ZERO,
};

/// A shortage that was not met for so long is over, also where too few tasks came to prove it.
const QUIET: Duration = Duration::from_secs(300);

/// Why a pool takes fewer tasks than it has sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartProblem {
    /// The machine is short of something that runs need to start.
    Short,
    /// The provider's program fails each run at once.
    Failing,
}

impl StartProblem {
    /// The word on the wire, among the pool's states.
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

/// A change that people should hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllowanceChange {
    /// An episode has begun.
    Began,
    /// It is over.
    Over,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Allowance {
    episode: Option<Episode>,
    /// Sessions that ask for a task or run one.
    holding: u32,
    /// Those of them that run one.
    running: u32,
    /// The tasks whose runs failed at once for the same reason since the last run that went; each once.
    failed: Vec<TaskId>,
    /// That reason, as far as it does not speak of one run alone.
    reason: String,
}

#[derive(Debug)]
struct Episode {
    trouble: StartProblem,
    note: String,
    /// How many sessions may hold a leave.
    limit: u32,
    /// When one more may try; `None` while one tries.
    until: Option<Instant>,
    pauses: RestartDelays,
    /// When the trouble was met last.
    met: Instant,
}

impl Allowance {
    /// Gives one session leave to ask for a task, if there is room.
    pub(crate) fn enter(&mut self) -> bool {
        let has_room = self
            .episode
            .as_ref()
            .is_none_or(|it| self.holding < it.limit);
        self.holding += u32::from(has_room);
        has_room
    }

    /// A session with leave got a task. False where the room is gone since: the task is to be given back.
    pub(crate) fn run(&mut self) -> bool {
        let has_room = self
            .episode
            .as_ref()
            .is_none_or(|it| self.running < it.limit);
        self.running += u32::from(has_room);
        has_room
    }

    /// A session gives its leave back. `ran`: its run has ended.
    pub(crate) fn release(&mut self, ran: bool) {
        self.holding = self.holding.saturating_sub(1);
        self.running = self.running.saturating_sub(u32::from(ran));
    }

    /// A run, which still counts as one under way, was not started.
    pub(crate) fn not_started(&mut self, note: &str, now: Instant) -> Option<AllowanceChange> {
        self.meet(StartProblem::Short, note, now)
    }

    /// A run has begun to work, in a pool of so many sessions.
    pub(crate) fn started(&mut self, size: u32) -> Option<AllowanceChange> {
        let episode = self.episode.as_mut()?;
        // Below the limit a start says nothing about what is beyond it.
        let is_at_limit = self.running >= episode.limit;
        if episode.trouble != StartProblem::Short || episode.until.is_some() || !is_at_limit {
            return None;
        }
        // There is more than there was: the next shortage is another one.
        episode.pauses.reset();
        episode.limit += 1;
        (episode.limit > size).then(|| self.end())
    }

    /// Whether runs that fail at once are known already, and no others are tried: one that fails so now began before.
    pub(crate) fn is_open(&self) -> bool {
        let episode = self.episode.as_ref();
        episode.is_some_and(|it| it.trouble == StartProblem::Failing && it.until.is_some())
    }

    /// The run of this task failed at once. `breaker`: how many tasks in a row begin an episode; 0: none do.
    pub(crate) fn failed_at_once(
        &mut self,
        task: TaskId,
        breaker: u32,
        note: &str,
        now: Instant,
    ) -> Option<AllowanceChange> {
        let failing = |it: &Episode| it.trouble == StartProblem::Failing;
        if breaker == 0 {
            return None;
        }
        // A program that gives each task a reason of its own works: it speaks of the tasks.
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

    /// A run went: it ended well, or after it had worked.
    pub(crate) fn went(&mut self) -> Option<AllowanceChange> {
        self.failed.clear();
        let failing = |it: &Episode| it.trouble == StartProblem::Failing;
        self.episode
            .as_ref()
            .is_some_and(failing)
            .then(|| self.end())
    }

    /// Whether fewer tasks are taken than there are sessions.
    pub(crate) fn is_limited(&self) -> bool {
        self.episode.is_some()
    }

    /// A person wants to know whether it works again, or has changed the settings.
    pub(crate) fn retry(&mut self, now: Instant) {
        if let Some(episode) = &mut self.episode
            && episode.until.is_some()
        {
            episode.until = Some(now);
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<AllowanceChange> {
        let episode = self.episode.as_mut()?;
        if episode.until.is_some_and(|until| until <= now) {
            episode.until = None;
            episode.limit += 1;
        }
        let is_quiet = episode.trouble == StartProblem::Short && episode.met + QUIET <= now;
        is_quiet.then(|| self.end())
    }

    /// When [`tick`](Self::tick) is to be called.
    pub(crate) fn next(&self) -> Option<Instant> {
        let episode = self.episode.as_ref()?;
        let quiet = (episode.trouble == StartProblem::Short).then_some(episode.met + QUIET);
        [episode.until, quiet].into_iter().flatten().min()
    }

    /// Why the pool takes fewer tasks, as people see it.
    pub(crate) fn standing(&self, now: Instant) -> Option<(StartProblem, String)> {
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
        Some((episode.trouble, note))
    }

    fn meet(&mut self, trouble: StartProblem, note: &str, now: Instant) -> Option<AllowanceChange> {
        let others = self.running.saturating_sub(1);
        let is_new = match &self.episode {
            Some(episode) => episode.trouble != trouble,
            None => true,
        };
        if is_new {
            self.episode = Some(Episode {
                trouble,
                note: String::new(),
                limit: others,
                until: None,
                pauses: trouble.pauses().delays(),
                met: now,
            });
        }
        let episode = self.episode.as_mut()?;
        note.clone_into(&mut episode.note);
        episode.met = now;
        // Runs side by side meet the same; that is no reason to wait longer and longer.
        if episode.until.is_none() {
            let pause = episode.pauses.next().unwrap_or(trouble.pauses().max);
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

/// The words of a reason without those that differ from run to run: numbers, ids, names with figures, and the end of stderr,
/// which is not the program's statement about a task.
fn common_part(reason: &str) -> String {
    let (stated, _) = reason
        .split_once("stderr ended with:")
        .unwrap_or((reason, ""));
    let words = stated.split_whitespace();
    let swarm = words.filter(|it| !it.contains(|c: char| c.is_ascii_digit()));
    swarm.collect::<Vec<_>>().join(" ")
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
            // One of them ends, and whoever may begins in its place.
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
        // It goes.
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
        // Ids and numbers do not make another reason.
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
        assert_eq!(it.went(), None);
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
        let (word, note) = it.standing(next).unwrap();
        assert_eq!(word.as_str(), "failing");
        assert!(note.starts_with("exited with code 1; 0 under way"));
        it.retry(next);
        assert_eq!(it.tick(next), None);
        assert_eq!(begin(&mut it, 5), 1);
        assert_eq!(it.went(), Some(AllowanceChange::Over));
        assert!(it.enter());
        assert_eq!(it.failed_at_once(9, 0, "x", next), None);
    }
}
