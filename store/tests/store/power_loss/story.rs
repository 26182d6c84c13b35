//! Random commands, and their answers.

use crate::common::*;
use kirosu_protocol::{Ack, Fence, MissedPolicy, NewTask, OverlapPolicy, ScheduleSpec, TaskId};
use kirosu_store::*;
use std::collections::VecDeque;
use std::sync::Arc;

/// A small random number generator (splitmix64): a seed produces the same story everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// The most tasks of a part of a large batch.
const PART: usize = 3;

/// The answers so far.
#[derive(Default)]
pub struct Story {
    /// The parts that are left of the large batch under way.
    large: VecDeque<Command>,
    tasks: Vec<TaskId>,
    leases: Vec<(TaskId, Fence)>,
    keyed: Vec<(Box<NewTask>, TaskId)>,
    acked: Vec<(Ack, Acked)>,
    keys: usize,
}

impl Story {
    /// One batch of one to five commands, and its answers.
    pub fn batch(&mut self, bench: &mut Bench, random: &mut Random) {
        bench.now += random.below(3_000) as i64;
        let mut commands: Vec<Command> = (0..1 + random.below(5))
            .map(|_| self.command(random))
            .collect();
        if self.large.is_empty() && random.below(5) == 0 {
            self.large = self.large_batch(bench.store.new_batch(), random);
        }
        // In most commits one part, in some several, which end the batch.
        let parts = [0, 1, 1, self.large.len()][random.below(4)];
        let at = random.below(commands.len() + 1);
        let parts = self.large.drain(..parts.min(self.large.len()));
        commands.splice(at..at, parts);
        let answers = bench.batch(commands.clone());
        for (command, answer) in commands.into_iter().zip(answers) {
            match (command, answer) {
                (Command::Enqueue(new), Ok(Outcome::Enqueued(made))) => {
                    self.tasks.push(made.task_id);
                    if new.idempotency_key.is_some() {
                        self.keyed.push((new, made.task_id));
                    }
                }
                (Command::MakePart(part), Ok(Outcome::Batch(made))) => {
                    for (new, made) in part.tasks().iter().zip(made) {
                        self.tasks.push(made.task_id);
                        if new.idempotency_key.is_some() {
                            self.keyed.push((Box::new(new.clone()), made.task_id));
                        }
                    }
                }
                (Command::StagePart(part), Err(_)) => {
                    self.large = VecDeque::from([Command::DropBatch(part.batch)]);
                }
                (_, Ok(Outcome::Batch(made))) => {
                    self.tasks.extend(made.iter().map(|it| it.task_id))
                }
                (_, Ok(Outcome::Leased(tasks))) => {
                    self.leases
                        .extend(tasks.iter().map(|task| (task.task_id, task.fence)));
                }
                // A retry would open the task again, so an ack is repeated only while there was none.
                (Command::Ack(ack), Ok(Outcome::Acked(said))) if said.newly => {
                    self.acked
                        .retain(|(_, before)| before.task_id != said.task_id);
                    self.acked.push((*ack, said));
                }
                (Command::Retry { task, .. }, Ok(_)) => {
                    self.acked.retain(|(_, said)| said.task_id != task)
                }
                (Command::RetryFailed { .. }, Ok(_)) => self.acked.clear(),
                _ => {}
            }
        }
    }

    /// Whether a large batch is under way.
    pub fn is_between_parts(&self) -> bool {
        !self.large.is_empty()
    }

    /// The commands of a large batch: each part is stored, then its tasks are made. The last part of some is refused.
    fn large_batch(&mut self, batch: BatchId, random: &mut Random) -> VecDeque<Command> {
        let count = 1 + random.below(4 * PART);
        let mut all: Vec<NewTask> = (0..count).map(|_| self.new_task(random)).collect();
        if let Some(last) = all.last_mut().filter(|_| random.below(4) == 0) {
            last.depends_on = vec![TaskId::MAX];
        }
        let all = Arc::new(all);
        let part = |begin: usize| BatchPart {
            batch,
            all: all.clone(),
            long: Default::default(),
            range: begin..(begin + PART).min(count),
        };
        let begins = || (0..count).step_by(PART);
        let stage = begins().map(part).map(Command::StagePart);
        let make = begins().map(part).map(Command::MakePart);
        stage.chain(make).collect()
    }

    /// Repeats the answered requests: they must get the same answers.
    pub fn ask_again(&self, store: &mut Store, now: i64, about: &str) {
        let key = |(new, task): &(Box<NewTask>, TaskId)| (Command::Enqueue(new.clone()), *task);
        let ack = |(ack, said): &(Ack, Acked)| {
            let wanted = Acked {
                newly: false,
                ..*said
            };
            (Command::Ack(Box::new(ack.clone())), wanted)
        };
        let keys = self.keyed.iter().rev().take(10).map(key);
        let (commands, wanted): (Vec<_>, Vec<_>) = keys.unzip();
        let said = store.apply(now, commands).outcomes;
        let said: Vec<TaskId> = said
            .into_iter()
            .map(|said| match said {
                Ok(Outcome::Enqueued(EnqueuedTask {
                    task_id,
                    existed: true,
                    ..
                })) => task_id,
                other => panic!("{about}: {other:?} to a known key"),
            })
            .collect();
        assert_eq!(said, wanted, "{about}: keys");
        for (command, wanted) in self.acked.iter().rev().take(10).map(ack) {
            match store.apply(now, vec![command]).outcomes.pop() {
                Some(Ok(Outcome::Acked(said))) => assert!(
                    !said.newly && said.fence == wanted.fence,
                    "{about}: {said:?} instead of {wanted:?}"
                ),
                other => panic!("{about}: {other:?} instead of {wanted:?}"),
            }
        }
    }

    fn task(&self, random: &mut Random) -> TaskId {
        self.tasks
            .get(random.below(self.tasks.len()))
            .copied()
            .unwrap_or(1)
    }

    fn lease(&self, random: &mut Random) -> (TaskId, Fence) {
        // The newest leases are the most likely to be live.
        let back = random.below(self.leases.len().min(6)) + 1;
        let at = self.leases.len().checked_sub(back);
        at.and_then(|at| self.leases.get(at))
            .copied()
            .unwrap_or((1, 1))
    }

    fn new_task(&mut self, random: &mut Random) -> NewTask {
        let size = [20, 200, 3_000, 30_000][random.below(4)];
        self.keys += 1;
        NewTask {
            queue: ["default", "default", "other"][random.below(3)].into(),
            priority: random.below(5) as i32 - 2,
            max_attempts: (random.below(3) == 0).then_some(3),
            delay_ms: if random.below(8) == 0 { 4_000 } else { 0 },
            requires_approval: random.below(10) == 0,
            idempotency_key: (random.below(2) == 0).then(|| format!("key {}", self.keys)),
            depends_on: if random.below(8) == 0 && !self.tasks.is_empty() {
                vec![self.task(random)]
            } else {
                Vec::new()
            },
            ..NewTask::chat("p".repeat(size))
        }
    }

    fn schedule(&mut self, random: &mut Random) -> ScheduleCommand {
        let name = format!("s{}", random.below(3));
        match random.below(4) {
            0 => ScheduleCommand::Run { name },
            _ => ScheduleCommand::Add(NewSchedule {
                name,
                spec: ScheduleSpec::Every { every_ms: 2_000 },
                task: Box::new(NewTask::chat("p".repeat(1 + random.below(3_000)))),
                missed: MissedPolicy::All(3),
                overlap: OverlapPolicy::ALL[random.below(3)],
                jitter_ms: 500,
                replace: true,
            }),
        }
    }

    fn command(&mut self, random: &mut Random) -> Command {
        let (task, fence) = self.lease(random);
        match random.below(26) {
            0..6 => Command::Enqueue(Box::new(self.new_task(random))),
            6 => Command::EnqueueBatch((0..8).map(|_| self.new_task(random)).collect()),
            7..12 => Command::Lease {
                ask: ask(1 + random.below(3) as u32),
                session: (random.below(2) == 0).then(|| format!("s{}", random.below(2))),
                park: None,
                spent: 0,
            },
            12..16 => Command::Ack(Box::new(done(task, Some(fence)))),
            16 => Command::Ack(Box::new(failed(task, Some(fence)))),
            17 => Command::Output {
                task,
                fence,
                chunk: None,
                text: "o".repeat(random.below(900)),
            },
            18 => Command::Release {
                task,
                fence,
                delay_ms: 0,
                reason: None,
            },
            19 => Command::ReleaseSession {
                session: "s1".into(),
                counted: random.below(2) == 0,
            },
            24 => Command::FireSchedules { limit: 3 },
            25 => Command::Schedule(Box::new(self.schedule(random))),
            20 => Command::ExpireDue { limit: 100 },
            21 => Command::PromoteDue { limit: 100 },
            22 => Command::Cancel {
                task: self.task(random),
                by: None,
                reason: None,
            },
            _ => match random.below(3) {
                0 => Command::Retry {
                    task: self.task(random),
                },
                1 => Command::RetryFailed { queue: None },
                _ => Command::Approve {
                    raise: None,
                    only_human: false,
                    task: self.task(random),
                    fence: None,
                    by: None,
                    comment: None,
                },
            },
        }
    }
}
