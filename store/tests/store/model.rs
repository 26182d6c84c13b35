//! Random commands compared with a short model of the rules: answers, tasks, counters and lists of the store must equal
//! the model's, in batches, large ones among them, and over restarts.

use crate::common::*;
use kirosu_protocol::{ErrorCode, Fence, LeaseParams, NewTask, OnLost, Status, Task, TaskId};
use kirosu_store::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const QUEUES: [&str; 2] = ["default", "other"];

/// A step of a random story; tasks are named by their position in the order of enqueueing.
#[derive(Clone, Debug)]
enum Step {
    Enqueue {
        queue: usize,
        human: bool,
        priority: i32,
        max: Option<u32>,
        lost: u8,
        approval: bool,
        delay: bool,
        dep: Option<usize>,
        /// The parent with which it ends.
        parent: Option<usize>,
    },
    Lease {
        queues: u8,
        max: u32,
        session: Option<u8>,
        wait: bool,
    },
    Ack {
        task: usize,
        back: u8,
        ok: bool,
        worker: u8,
    },
    Release {
        task: usize,
        back: u8,
        delay: bool,
    },
    Heartbeat {
        task: usize,
        back: u8,
    },
    Session {
        session: u8,
        counted: bool,
    },
    Expire,
    Promote,
    Cancel(usize),
    Retry(usize),
    RetryFailed,
    Approve(usize),
    Reject(usize),
    Pause(usize),
    Resume(usize),
    /// Begins a large batch, or goes on with the one under way. By task: its queue and priority. `bad`: its last task is
    /// refused.
    Large {
        tasks: Vec<(usize, i32)>,
        bad: bool,
    },
    /// The next part of the large batch under way.
    Part,
    /// The newest part again, if it has made tasks.
    PartAgain,
    /// Gives up a large batch that is not stored as a whole.
    Drop,
}

/// Tasks of a part of a large batch.
const PART: usize = 2;

/// A large batch under way.
#[derive(Clone, Debug)]
struct Large {
    batch: BatchId,
    all: Arc<Vec<NewTask>>,
    /// By task: its queue and priority.
    tasks: Vec<(usize, i32)>,
    bad: bool,
    /// Parts that are stored, and parts whose tasks are made.
    stored: usize,
    made: usize,
}

impl Large {
    fn parts(&self) -> usize {
        self.tasks.len().div_ceil(PART)
    }

    fn part(&self, number: usize) -> BatchPart {
        let begin = number * PART;
        BatchPart {
            batch: self.batch,
            all: self.all.clone(),
            long: Default::default(),
            range: begin..(begin + PART).min(self.tasks.len()),
        }
    }
}

#[derive(Clone, Debug)]
struct M {
    queue: usize,
    human: bool,
    priority: i32,
    max: Option<u32>,
    lost_rule: OnLost,
    needs: bool,
    approved: bool,
    ran: bool,
    /// The fences of the prompts that were approved.
    approvals: Vec<Fence>,
    rejected: bool,
    retried: bool,
    lost: bool,
    /// It failed because of a dependency.
    gave_up: bool,
    status: Status,
    fence: Fence,
    attempts: u32,
    run_at: Option<i64>,
    until: i64,
    session: Option<u8>,
    worker: Option<String>,
    deps: Vec<usize>,
    /// The parent with which it ends.
    parent: Option<usize>,
    outcomes: BTreeMap<Fence, &'static str>,
}

impl M {
    /// A task that is ready.
    fn new(queue: usize, priority: i32) -> M {
        M {
            queue,
            human: false,
            priority,
            max: None,
            lost_rule: OnLost::Retry,
            needs: false,
            approved: false,
            ran: false,
            approvals: Vec::new(),
            rejected: false,
            retried: false,
            lost: false,
            gave_up: false,
            status: Status::Queued,
            fence: 0,
            attempts: 0,
            run_at: None,
            until: 0,
            session: None,
            worker: None,
            deps: Vec::new(),
            parent: None,
            outcomes: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Said {
    Id(TaskId),
    Ids(Vec<TaskId>),
    Leased(Vec<(TaskId, Fence)>),
    Parked,
    Acked(Status, bool),
    Ended(BTreeSet<(TaskId, Fence)>),
    Count(u64),
    Retried(Status),
    Until(i64),
    Paused(Vec<String>),
    Ok,
    DecidedBefore,
}

#[derive(Default)]
struct Model {
    tasks: Vec<M>,
    now: i64,
    /// The two queues, and all.
    paused: [bool; 3],
    parked: Vec<(ParkId, u8, u32, Option<u8>)>,
    next_park: ParkId,
    /// Fences of leases are above it.
    fence_base: Fence,
    woken: Vec<(ParkId, Vec<(TaskId, Fence)>)>,
    /// Leases that ended with the tasks' parents.
    ended: BTreeSet<(TaskId, Fence)>,
    large: Option<Large>,
    /// The newest part that has made tasks.
    newest: Option<BatchPart>,
    batches: BatchId,
}

type Reply = Result<Said, ErrorCode>;

impl Model {
    fn waiting(&self, t: &M) -> Status {
        if t.needs && !t.approved {
            Status::AwaitingApproval
        } else if t.deps.iter().any(|d| self.tasks[*d].status != Status::Done) {
            Status::Blocked
        } else if t.run_at.is_some_and(|at| at > self.now) {
            Status::Scheduled
        } else {
            Status::Queued
        }
    }

    fn grant(&mut self, queues: u8, max: u32, session: Option<u8>) -> Vec<(TaskId, Fence)> {
        let mut ready: Vec<usize> = (0..self.tasks.len())
            .filter(|i| {
                let t = &self.tasks[*i];
                t.status == Status::Queued
                    && !t.human
                    && queues & (1 << t.queue) != 0
                    && !self.paused[t.queue]
                    && !self.paused[2]
            })
            .collect();
        ready.sort_by_key(|i| (-self.tasks[*i].priority, *i));
        ready.truncate(max as usize);
        let (now, base) = (self.now, self.fence_base);
        ready
            .into_iter()
            .map(|i| {
                let t = &mut self.tasks[i];
                t.status = Status::Leased;
                t.ran = true;
                t.fence = t.fence.max(base) + 1;
                t.attempts += 1;
                t.until = now + 10_000;
                t.session = session;
                t.worker = Some("w1".into());
                (t.retried, t.lost) = (false, false);
                (i as TaskId + 1, t.fence)
            })
            .collect()
    }

    fn wake(&mut self) {
        for (park, queues, max, session) in std::mem::take(&mut self.parked) {
            let got = self.grant(queues, max, session);
            if got.is_empty() {
                self.parked.push((park, queues, max, session));
            } else {
                self.woken.push((park, got));
            }
        }
    }

    fn ended(&mut self, i: usize) {
        // Tasks with dependents (`true`) or children (`false`) to visit, the next one last.
        let mut visits = vec![(i, false), (i, true)];
        while let Some((i, dependents)) = visits.pop() {
            for d in 0..self.tasks.len() {
                let ends = match dependents {
                    true => self.dependency_ended(i, d),
                    false => self.parent_ended(i, d),
                };
                if ends {
                    visits.extend([(d, false), (d, true)]);
                }
            }
        }
    }

    /// Whether task `d` ends because of `i`, on which it may depend.
    fn dependency_ended(&mut self, i: usize, d: usize) -> bool {
        if !self.tasks[d].deps.contains(&i) {
            return false;
        }
        let ends = self.tasks[i].status != Status::Done && !self.tasks[d].status.is_final();
        if ends {
            self.give_up(d);
        } else if self.tasks[d].status == Status::Blocked {
            self.tasks[d].status = self.waiting(&self.tasks[d].clone());
        }
        ends
    }

    /// Whether task `d` ends with `i`, which may be its parent.
    fn parent_ended(&mut self, i: usize, d: usize) -> bool {
        let ends = self.tasks[d].parent == Some(i) && !self.tasks[d].status.is_final();
        if ends {
            let lease = self.cancel(d);
            self.ended.extend(lease);
        }
        ends
    }

    /// Cancels a task. Returns its lease, if it had one.
    fn cancel(&mut self, i: usize) -> Option<(TaskId, Fence)> {
        let leased = self.tasks[i].status == Status::Leased;
        let fence = self.tasks[i].fence;
        if leased {
            self.tasks[i].outcomes.insert(fence, "cancelled");
        }
        self.finish(i, Status::Cancelled);
        leased.then_some((i as TaskId + 1, fence))
    }

    fn give_up(&mut self, i: usize) {
        self.finish(i, Status::Failed);
        self.tasks[i].gave_up = true;
    }

    /// Whether a dependency has failed, was cancelled or is pruned.
    fn hopeless(&self, t: &M) -> bool {
        let ended = |d: &usize| matches!(self.tasks[*d].status, Status::Failed | Status::Cancelled);
        t.deps.iter().any(ended)
    }

    fn finish(&mut self, i: usize, status: Status) {
        let t = &mut self.tasks[i];
        t.status = status;
        (t.lost, t.retried, t.session, t.gave_up) = (false, false, None, false);
        t.run_at = t.run_at.filter(|_| !t.ran);
    }

    fn lose(&mut self, i: usize) {
        let t = &mut self.tasks[i];
        t.outcomes.insert(t.fence, "lost");
        t.session = None;
        match t.lost_rule {
            OnLost::Fail => self.finish(i, Status::Failed),
            OnLost::Ask => (t.status, t.approved) = (Status::AwaitingApproval, false),
            OnLost::Retry if t.max.is_some_and(|max| t.attempts >= max) => {
                self.finish(i, Status::Failed)
            }
            OnLost::Retry => t.status = Status::Queued,
        }
        let t = &mut self.tasks[i];
        t.lost = true;
        if t.status == Status::Failed {
            self.ended(i);
        }
    }

    fn pick(&self, task: usize) -> Option<usize> {
        (!self.tasks.is_empty())
            .then(|| task % (self.tasks.len() + 1))
            .filter(|i| *i < self.tasks.len())
    }

    /// A fence near the newest one, or none.
    fn fence(&self, task: usize, back: u8) -> Option<Fence> {
        let newest = self.pick(task).map_or(0, |i| self.tasks[i].fence);
        match back {
            0..=2 => Some(newest),
            3 => Some(newest - 1),
            _ => None,
        }
    }

    /// The command for a step, and the model's answer.
    fn step(&mut self, step: &Step) -> (Command, Reply) {
        let id = |task: usize| (task % (self.tasks.len() + 1)) as TaskId + 1;
        match step.clone() {
            Step::Enqueue {
                queue,
                human,
                priority,
                max,
                lost,
                approval,
                delay,
                dep,
                parent,
            } => {
                let dep = dep.and_then(|d| self.pick(d));
                let parent = parent.and_then(|p| self.pick(p));
                let on_lost =
                    [OnLost::Retry, OnLost::Retry, OnLost::Fail, OnLost::Ask][lost as usize];
                let run_at = delay.then_some(self.now + 3_000);
                let new = NewTask {
                    queue: QUEUES[queue].into(),
                    task_type: if human { "human" } else { "chat" }.into(),
                    priority,
                    max_attempts: max,
                    on_lost,
                    requires_approval: approval,
                    run_at_ms: run_at,
                    depends_on: dep.iter().map(|d| *d as TaskId + 1).collect(),
                    parent_id: parent.map(|p| p as TaskId + 1),
                    ends_with_parent: parent.is_some(),
                    ..NewTask::chat("p")
                };
                if parent.is_some_and(|p| self.tasks[p].status.is_final()) {
                    return (Command::Enqueue(Box::new(new)), Err(ErrorCode::WrongState));
                }
                let mut t = M {
                    human,
                    max,
                    lost_rule: on_lost,
                    needs: approval && !human,
                    run_at,
                    deps: dep.into_iter().collect(),
                    parent,
                    ..M::new(queue, priority)
                };
                let hopeless = self.hopeless(&t);
                t.gave_up = hopeless;
                t.status = if hopeless {
                    Status::Failed
                } else {
                    self.waiting(&t)
                };
                self.tasks.push(t);
                (
                    Command::Enqueue(Box::new(new)),
                    Ok(Said::Id(self.tasks.len() as TaskId)),
                )
            }
            Step::Lease {
                queues,
                max,
                session,
                wait,
            } => {
                self.next_park += 1;
                let park = self.next_park;
                let ask = LeaseParams {
                    queues: (0..2)
                        .filter(|q| queues & (1 << q) != 0)
                        .map(|q| QUEUES[q].into())
                        .collect(),
                    ..if wait { waiting(max) } else { ask(max) }
                };
                self.wake();
                let got = self.grant(queues, max, session);
                let said = if got.is_empty() && wait {
                    self.parked.push((park, queues, max, session));
                    Said::Parked
                } else {
                    Said::Leased(got)
                };
                let session = session.map(|s| format!("s{s}"));
                (
                    Command::Lease {
                        ask,
                        session,
                        park: Some(park),
                        spent: 0,
                    },
                    Ok(said),
                )
            }
            Step::Ack {
                task,
                back,
                ok,
                worker,
            } => {
                let fence = self.fence(task, back);
                let worker_id = match worker {
                    0 => Some("w1".to_owned()),
                    1 => Some("stranger".to_owned()),
                    _ => None,
                };
                let mut ack = if ok {
                    done(id(task), fence)
                } else {
                    failed(id(task), fence)
                };
                ack.worker_id = worker_id;
                let reply = self.ack(task, fence, ok, ack.worker_id.as_deref());
                (Command::Ack(Box::new(ack)), reply)
            }
            Step::Release { task, back, delay } => {
                let fence = self.fence(task, back).unwrap_or(99);
                let command = Command::Release {
                    task: id(task),
                    fence,
                    delay_ms: if delay { 2_000 } else { 0 },
                    reason: None,
                };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let now = self.now;
                let t = &mut self.tasks[i];
                if t.status != Status::Leased || t.fence != fence {
                    let again = t.outcomes.get(&fence) == Some(&"released");
                    return (
                        command,
                        if again {
                            Ok(Said::Ok)
                        } else {
                            Err(ErrorCode::StaleLease)
                        },
                    );
                }
                t.outcomes.insert(fence, "released");
                t.attempts -= 1;
                (t.session, t.lost) = (None, false);
                t.status = if delay {
                    Status::Scheduled
                } else {
                    Status::Queued
                };
                if delay {
                    t.run_at = Some(now + 2_000);
                }
                (command, Ok(Said::Ok))
            }
            Step::Heartbeat { task, back } => {
                let fence = self.fence(task, back).unwrap_or(99);
                let command = Command::Heartbeat {
                    task: id(task),
                    fence,
                    lease_ms: None,
                };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let t = &mut self.tasks[i];
                if t.status != Status::Leased || t.fence != fence {
                    return (command, Err(ErrorCode::StaleLease));
                }
                t.until = self.now + 10_000;
                (command, Ok(Said::Until(self.now + 10_000)))
            }
            Step::Session { session, counted } => {
                let mut ended = BTreeSet::new();
                for i in 0..self.tasks.len() {
                    let t = &mut self.tasks[i];
                    if t.status != Status::Leased || t.session != Some(session) {
                        continue;
                    }
                    ended.insert((i as TaskId + 1, t.fence));
                    if counted {
                        self.lose(i);
                    } else {
                        t.outcomes.insert(t.fence, "released");
                        t.attempts -= 1;
                        (t.status, t.session, t.lost) = (Status::Queued, None, false);
                    }
                }
                (
                    Command::ReleaseSession {
                        session: format!("s{session}"),
                        counted,
                    },
                    Ok(Said::Ended(ended)),
                )
            }
            Step::Expire => {
                let expired = |i: &usize| {
                    let t = &self.tasks[*i];
                    t.status == Status::Leased && t.until <= self.now
                };
                let mut due: Vec<usize> = (0..self.tasks.len()).filter(expired).collect();
                due.sort_by_key(|i| (self.tasks[*i].until, *i));
                let mut ended = BTreeSet::new();
                for i in due {
                    let t = &self.tasks[i];
                    // One of the earlier may have been its parent.
                    if t.status == Status::Leased {
                        ended.insert((i as TaskId + 1, t.fence));
                        self.lose(i);
                    }
                }
                (Command::ExpireDue { limit: 1000 }, Ok(Said::Ended(ended)))
            }
            Step::Promote => {
                let mut count = 0;
                for i in 0..self.tasks.len() {
                    if self.tasks[i].status == Status::Scheduled
                        && self.tasks[i].run_at.is_some_and(|at| at <= self.now)
                    {
                        self.tasks[i].status = Status::Queued;
                        count += 1;
                    }
                }
                (Command::PromoteDue { limit: 1000 }, Ok(Said::Count(count)))
            }
            Step::Cancel(task) => {
                let command = Command::Cancel {
                    task: id(task),
                    by: None,
                    reason: None,
                };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let mut ended = BTreeSet::new();
                match self.tasks[i].status {
                    Status::Cancelled => {}
                    Status::Done | Status::Failed => return (command, Err(ErrorCode::WrongState)),
                    _ => {
                        ended.extend(self.cancel(i));
                        self.ended(i);
                    }
                }
                (command, Ok(Said::Ended(ended)))
            }
            Step::Retry(task) => {
                let command = Command::Retry { task: id(task) };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let t = &self.tasks[i];
                let reply = match t.status {
                    Status::Failed | Status::Cancelled => {
                        self.retry(i);
                        Ok(Said::Retried(self.tasks[i].status))
                    }
                    Status::Done => Err(ErrorCode::WrongState),
                    status if t.retried => Ok(Said::Retried(status)),
                    _ => Err(ErrorCode::WrongState),
                };
                (command, reply)
            }
            Step::RetryFailed => {
                let failed: Vec<usize> = (0..self.tasks.len())
                    .filter(|i| self.tasks[*i].status == Status::Failed)
                    .collect();
                let mut count = 0;
                for i in failed {
                    if !self.hopeless(&self.tasks[i]) {
                        self.bring_back(i);
                        count += 1;
                    }
                }
                (Command::RetryFailed { queue: None }, Ok(Said::Count(count)))
            }
            Step::Approve(task) => {
                let command = Command::Approve {
                    raise: None,
                    only_human: false,
                    task: id(task),
                    fence: None,
                    by: None,
                    comment: None,
                };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let t = &mut self.tasks[i];
                let repeated = t.approvals.iter().any(|fence| *fence < t.fence);
                if t.status == Status::AwaitingApproval && repeated {
                    return (command, Err(ErrorCode::StaleApproval));
                }
                if t.status == Status::Queued && t.human {
                    t.approved = true;
                    t.approvals.push(t.fence);
                    t.worker = Some("human".into());
                    self.finish(i, Status::Done);
                    self.ended(i);
                } else if t.status == Status::AwaitingApproval {
                    t.approved = true;
                    t.approvals.push(t.fence);
                    let t = t.clone();
                    self.tasks[i].status = self.waiting(&t);
                } else if !t.approved {
                    return (command, Err(ErrorCode::WrongState));
                }
                (command, Ok(Said::Ok))
            }
            Step::Reject(task) => {
                let command = Command::Reject {
                    task: id(task),
                    fence: None,
                    reason: Some("no".into()),
                    by: None,
                };
                let Some(i) = self.pick(task) else {
                    return (command, Err(ErrorCode::UnknownTask));
                };
                let t = &mut self.tasks[i];
                let decides =
                    t.status == Status::AwaitingApproval || (t.status == Status::Queued && t.human);
                if decides {
                    t.rejected = true;
                    t.worker = Some("human".into());
                    self.finish(i, Status::Failed);
                    self.ended(i);
                } else if !(t.rejected && t.status == Status::Failed) {
                    return (command, Err(ErrorCode::WrongState));
                }
                (command, Ok(Said::Ok))
            }
            Step::Pause(queue) => {
                self.paused[queue] = true;
                let command = Command::Pause(QUEUES.get(queue).map(ToString::to_string));
                (command, Ok(self.paused_now()))
            }
            Step::Resume(queue) => {
                match QUEUES.get(queue) {
                    Some(_) => self.paused[queue] = false,
                    None => self.paused = [false; 3],
                }
                let command = Command::Resume(QUEUES.get(queue).map(ToString::to_string));
                (command, Ok(self.paused_now()))
            }
            Step::Large { tasks, bad } => {
                if self.large.is_none() {
                    self.batches += 1;
                    let new = |(at, (queue, priority)): (usize, &(usize, i32))| NewTask {
                        queue: QUEUES[*queue].into(),
                        priority: *priority,
                        depends_on: if bad && at + 1 == tasks.len() {
                            vec![9_999]
                        } else {
                            Vec::new()
                        },
                        ..NewTask::chat("p")
                    };
                    self.large = Some(Large {
                        batch: self.fence_base + self.batches,
                        all: Arc::new(tasks.iter().enumerate().map(new).collect()),
                        tasks,
                        bad,
                        stored: 0,
                        made: 0,
                    });
                }
                self.step(&Step::Part)
            }
            Step::Part => match self.large.take() {
                Some(large) => self.part(large),
                None => self.step(&Step::Promote),
            },
            Step::PartAgain => match self.newest.clone() {
                Some(part) => (Command::MakePart(part), Ok(Said::Ok)),
                None => self.step(&Step::Promote),
            },
            Step::Drop => match self.large.take() {
                Some(large) if large.stored < large.parts() => {
                    (Command::DropBatch(large.batch), Ok(Said::Ok))
                }
                large => {
                    self.large = large;
                    self.step(&Step::Promote)
                }
            },
        }
    }

    /// The next part of a large batch: all are stored, then their tasks are made.
    fn part(&mut self, mut large: Large) -> (Command, Reply) {
        if large.stored < large.parts() {
            let command = Command::StagePart(large.part(large.stored));
            large.stored += 1;
            let refused = large.bad && large.stored == large.parts();
            if refused {
                // It is not stored; the caller drops the batch, or the next start does.
                large.stored -= 1;
            }
            self.large = Some(large);
            let reply = if refused {
                Err(ErrorCode::InvalidParams)
            } else {
                Ok(Said::Ok)
            };
            return (command, reply);
        }
        let part = large.part(large.made);
        let ids = self.make(&mut large);
        self.large = Some(large).filter(|large| large.made < large.parts());
        self.newest = Some(part.clone());
        (Command::MakePart(part), Ok(Said::Ids(ids)))
    }

    fn make(&mut self, large: &mut Large) -> Vec<TaskId> {
        let range = large.part(large.made).range;
        large.made += 1;
        let make = |(queue, priority): &(usize, i32)| {
            self.tasks.push(M::new(*queue, *priority));
            self.tasks.len() as TaskId
        };
        large.tasks[range].iter().map(make).collect()
    }

    /// A start finishes the batch that is stored as a whole, and deletes another.
    fn start(&mut self, fence_base: Fence) {
        self.parked.clear();
        (self.fence_base, self.batches, self.newest) = (fence_base, 0, None);
        let Some(mut large) = self.large.take() else {
            return;
        };
        while large.stored == large.parts() && large.made < large.parts() {
            self.make(&mut large);
        }
    }

    fn paused_now(&self) -> Said {
        let names = ["*", QUEUES[0], QUEUES[1]];
        let paused = [self.paused[2], self.paused[0], self.paused[1]];
        let now = names.into_iter().zip(paused).filter(|(_, paused)| *paused);
        Said::Paused(now.map(|(name, _)| name.to_owned()).collect())
    }

    fn retry(&mut self, i: usize) {
        if !matches!(self.tasks[i].status, Status::Failed | Status::Cancelled) {
            return;
        }
        if self.hopeless(&self.tasks[i]) {
            return self.give_up(i);
        }
        self.bring_back(i);
        self.came_back(i);
    }

    fn bring_back(&mut self, i: usize) {
        let t = &mut self.tasks[i];
        (t.attempts, t.worker, t.gave_up) = (0, None, false);
        (t.rejected, t.lost, t.retried) = (false, false, true);
        let t = t.clone();
        let status = self.waiting(&t);
        let base = self.fence_base;
        let t = &mut self.tasks[i];
        t.status = status;
        if t.human || status == Status::AwaitingApproval {
            t.fence = t.fence.max(base) + 1;
        }
    }

    fn came_back(&mut self, i: usize) {
        for d in 0..self.tasks.len() {
            let t = &self.tasks[d];
            if t.deps.contains(&i) && t.gave_up && !self.hopeless(t) {
                self.bring_back(d);
                self.came_back(d);
            }
        }
    }

    fn ack(&mut self, task: usize, fence: Option<Fence>, ok: bool, worker: Option<&str>) -> Reply {
        let Some(i) = self.pick(task) else {
            return Err(ErrorCode::UnknownTask);
        };
        let t = &self.tasks[i];
        let live = t.status == Status::Leased
            && fence.is_none_or(|f| f == t.fence)
            && worker.is_none_or(|w| t.worker.as_deref() == Some(w));
        if !live {
            let outcome = t.outcomes.get(&fence.unwrap_or(t.fence)).copied();
            let holder = if outcome.is_some() {
                Some("w1")
            } else {
                t.worker.as_deref()
            };
            if worker.is_some_and(|w| holder != Some(w))
                || (fence.is_none() && t.status == Status::Leased)
            {
                return Err(ErrorCode::StaleLease);
            }
            if outcome == Some(if ok { "done" } else { "provider_error" }) {
                return Ok(Said::Acked(t.status, false));
            }
            if fence.is_none() {
                return Err(ErrorCode::WrongState);
            }
            if !(fence == Some(t.fence) && t.lost && !t.status.is_final()) {
                return Err(ErrorCode::StaleLease);
            }
        }
        let t = &mut self.tasks[i];
        t.outcomes
            .insert(t.fence, if ok { "done" } else { "provider_error" });
        if ok {
            self.finish(i, Status::Done);
        } else if t.max.is_none_or(|max| t.attempts >= max) {
            self.finish(i, Status::Failed);
        } else {
            (t.status, t.run_at, t.lost, t.session) = (Status::Scheduled, None, false, None);
        }
        let status = self.tasks[i].status;
        if status.is_final() {
            self.ended(i);
        }
        Ok(Said::Acked(status, true))
    }
}

fn said(outcome: Outcome) -> Said {
    let leased = |tasks: Vec<Task>| tasks.into_iter().map(|t| (t.task_id, t.fence)).collect();
    match outcome {
        Outcome::Ok => Said::Ok,
        Outcome::DecidedBefore => Said::DecidedBefore,
        Outcome::Enqueued(made) => Said::Id(made.task_id),
        Outcome::Batch(made) => Said::Ids(made.into_iter().map(|task| task.task_id).collect()),
        Outcome::Leased(tasks) => Said::Leased(leased(tasks)),
        Outcome::Parked => Said::Parked,
        Outcome::Acked(acked) => Said::Acked(acked.status, acked.newly),
        Outcome::Ended { leases, .. } => {
            Said::Ended(leases.into_iter().map(|l| (l.task_id, l.fence)).collect())
        }
        Outcome::Counted { count, .. } => Said::Count(count),
        Outcome::Retried { status, .. } => Said::Retried(status),
        Outcome::Paused(paused) => Said::Paused(paused),
        Outcome::Extended { lease_until_ms, .. } => Said::Until(lease_until_ms),
        other => panic!("{other:?}"),
    }
}

fn check(model: &mut Model, b: &mut Bench) {
    let all = b.reader.list(&ListQuery::default()).unwrap().tasks;
    assert_eq!(all.len(), model.tasks.len());
    for (task, id) in all.iter().rev().zip(1..) {
        let m = &mut model.tasks[id as usize - 1];
        assert_eq!(task.task_id, id);
        assert_eq!(
            (
                task.status,
                task.fence,
                task.attempts,
                task.worker_id.as_deref()
            ),
            (m.status, m.fence, m.attempts, m.worker.as_deref()),
            "task {id}"
        );
        assert_eq!(
            task.result.is_some(),
            m.status == Status::Done,
            "result of {id}"
        );
        if m.status == Status::Scheduled && m.run_at.is_none() {
            let at = (task.run_at.unwrap() * 1000.0).round() as i64;
            assert!(at > b.now && at <= b.now + 300_000, "backoff until {at}");
            m.run_at = Some(at);
        }
        assert_eq!(task.leased_until.is_some(), m.status == Status::Leased);
    }
    let stats = b.stats();
    let count = |status: Status| model.tasks.iter().filter(|t| t.status == status).count() as i64;
    assert_eq!(
        (
            stats.queued,
            stats.leased,
            stats.done,
            stats.failed,
            stats.cancelled,
            stats.scheduled,
            stats.blocked
        ),
        (
            count(Status::Queued),
            count(Status::Leased),
            count(Status::Done),
            count(Status::Failed),
            count(Status::Cancelled),
            count(Status::Scheduled),
            count(Status::Blocked)
        )
    );
    assert_eq!(
        (stats.awaiting_approval, stats.total_tasks),
        (count(Status::AwaitingApproval), all.len() as i64)
    );
    assert_eq!(b.store.parked(), model.parked.len());
    for status in Status::ALL {
        let page = b
            .reader
            .list(&ListQuery {
                status: Some(status),
                limit: 3,
                ..ListQuery::default()
            })
            .unwrap();
        let ids: Vec<TaskId> = page.tasks.iter().map(|t| t.task_id).collect();
        let expected: Vec<TaskId> = all
            .iter()
            .filter(|t| t.status == status)
            .map(|t| t.task_id)
            .take(3)
            .collect();
        assert_eq!(ids, expected, "list of {status}");
    }
    let due = model.tasks.iter().filter_map(|t| match t.status {
        Status::Leased => Some(t.until),
        Status::Scheduled => t.run_at,
        _ => None,
    });
    if let Some(due) = due.min() {
        assert!(
            b.store
                .next_deadline()
                .is_some_and(|at| at <= due.max(b.now)),
            "the reaper would be late"
        );
    }
}

fn step() -> impl Strategy<Value = Step> {
    let task = 0..12usize;
    prop_oneof![
        6 => (0..2usize, prop::bool::weighted(0.15), -1..2i32, prop::option::of(1..3u32), 0..4u8,
              prop::bool::weighted(0.15), prop::bool::weighted(0.15), prop::option::weighted(0.3, 0..12usize),
              prop::option::weighted(0.3, 0..12usize))
            .prop_map(|(queue, human, priority, max, lost, approval, delay, dep, parent)|
                Step::Enqueue { queue, human, priority, max, lost, approval, delay, dep, parent }),
        6 => (1..4u8, 1..4u32, prop::option::of(0..2u8), prop::bool::weighted(0.4))
            .prop_map(|(queues, max, session, wait)| Step::Lease { queues, max, session, wait }),
        6 => (task.clone(), 0..5u8, any::<bool>(), 0..5u8)
            .prop_map(|(task, back, ok, worker)| Step::Ack { task, back, ok, worker }),
        2 => (task.clone(), 0..4u8, any::<bool>()).prop_map(|(task, back, delay)| Step::Release { task, back, delay }),
        1 => (task.clone(), 0..4u8).prop_map(|(task, back)| Step::Heartbeat { task, back }),
        1 => (0..2u8, any::<bool>()).prop_map(|(session, counted)| Step::Session { session, counted }),
        2 => Just(Step::Expire),
        2 => Just(Step::Promote),
        1 => task.clone().prop_map(Step::Cancel),
        2 => task.clone().prop_map(Step::Retry),
        1 => Just(Step::RetryFailed),
        2 => task.clone().prop_map(Step::Approve),
        1 => task.prop_map(Step::Reject),
        1 => (0..3usize).prop_map(Step::Pause),
        1 => (0..3usize).prop_map(Step::Resume),
        2 => (prop::collection::vec((0..2usize, -1..2i32), 1..8), prop::bool::weighted(0.2))
            .prop_map(|(tasks, bad)| Step::Large { tasks, bad }),
        6 => Just(Step::Part),
        1 => Just(Step::PartAgain),
        1 => Just(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_store_does_what_the_rules_say(
        story in prop::collection::vec((prop::collection::vec(step(), 1..6), 0..6_000i64, prop::bool::weighted(0.05)), 1..25)
    ) {
        let mut b = Bench::with(|options| options.durability = SyncMode::Normal);
        let mut model = Model { now: b.now, ..Model::default() };
        for (steps, wait, reopen) in story {
            b.now += wait;
            model.now = b.now;
            let (commands, expected): (Vec<_>, Vec<_>) = steps.iter().map(|s| model.step(s)).unzip();
            model.wake();
            let shown = format!("{commands:?}");
            b.woken.clear();
            b.ended.clear();
            let got: Vec<Reply> = b.batch(commands).into_iter().map(|r| r.map(said).map_err(|e| e.code)).collect();
            prop_assert_eq!(got, expected, "{}", shown);
            let woken: Vec<_> = b.woken.iter()
                .map(|(park, tasks)| (*park, tasks.iter().map(|t| (t.task_id, t.fence)).collect::<Vec<_>>())).collect();
            prop_assert_eq!(woken, std::mem::take(&mut model.woken));
            let ended: BTreeSet<_> = b.ended.iter().map(|lease| (lease.task_id, lease.fence)).collect();
            prop_assert_eq!(ended, std::mem::take(&mut model.ended));
            check(&mut model, &mut b);
            if reopen {
                b = b.reopen();
                let base = b.store.fence_base();
                prop_assert!(base > model.fence_base);
                model.start(base);
                check(&mut model, &mut b);
            }
        }
    }
}
