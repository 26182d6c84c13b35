//! The parts of large commands.

use super::super::cost;
use super::entry::{Form, Large};
use super::large_lease::LeaseRest;
use kirosu_protocol::{Ack, NewTask, TaskId};
use kirosu_store::{
    BatchId, BatchPart, Command, DependencyPart, LongTask, MANY_DEPENDENCIES, TextId, long_ack,
    long_answer,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Gives out the ids of what is stored before a large command is carried out.
pub(in super::super) trait NewIds {
    /// An id for a large batch.
    fn batch(&mut self) -> BatchId;
    /// An id for the long texts of one row.
    fn text(&mut self) -> TextId;
}

/// The parts of a command that costs more than a commit, as far as they are known, and its state. Returns a command back that
/// has no parts.
pub(super) fn split(
    command: Command,
    ids: &mut impl NewIds,
) -> Result<(VecDeque<Command>, Large), Command> {
    match command {
        Command::Ack(ack) if cost::of_ack(&ack) > cost::PART => {
            let (text, mut large) = (ids.text(), Large::new(Form::Whole));
            large.texts.push(text);
            Ok((long_ack(*ack, text).into(), large))
        }
        Command::Answer { task, text, by } => {
            let (id, mut large) = (ids.text(), Large::new(Form::Whole));
            large.texts.push(id);
            Ok((long_answer(task, text, by, id).into(), large))
        }
        Command::Acks(acks) => Ok((parts_of_acks(acks, ids), Large::new(Form::Acks))),
        Command::EnqueueBatch(tasks) => Ok(parts_of_batch(tasks, Form::Whole, ids)),
        Command::Enqueue(new) => Ok(parts_of_batch(vec![*new], Form::Enqueue, ids)),
        whole => LeaseRest::divide(whole).map(|(first, rest)| {
            let mut large = Large::new(Form::Lease);
            large.rest = Some(rest);
            (VecDeque::from([first]), large)
        }),
    }
}

fn parts_of_acks(acks: Vec<Ack>, ids: &mut impl NewIds) -> VecDeque<Command> {
    let ranges = ranges(&acks, cost::of_ack);
    let mut acks = acks.into_iter();
    let mut parts = VecDeque::new();
    for range in ranges {
        let mut part: Vec<Ack> = acks.by_ref().take(range.len()).collect();
        match part.as_slice() {
            [ack] if cost::of_ack(ack) > cost::PART => {
                let text = ids.text();
                parts.extend(part.pop().into_iter().flat_map(|ack| long_ack(ack, text)));
            }
            _ => parts.push_back(Command::Acks(part)),
        }
    }
    parts
}

fn parts_of_batch(
    mut tasks: Vec<NewTask>,
    form: Form,
    ids: &mut impl NewIds,
) -> (VecDeque<Command>, Large) {
    let mut large = Large::new(form);
    let keys = tasks.iter().filter_map(|new| new.idempotency_key.clone());
    large.keys = keys.collect();
    let (mut parts, mut long) = (parts_of_dependencies(&tasks), BTreeMap::new());
    let has_several = tasks.len() > 1;
    for (at, new) in tasks.iter_mut().enumerate() {
        if cost::is_long(new) {
            let text = ids.text();
            large.texts.push(text);
            let (task, stage) = LongTask::shorten(new, has_several.then_some(at), text);
            parts.extend(stage);
            long.insert(at, task);
        }
    }
    let ranges = ranges(&tasks, cost::of_task);
    let (batch, all, long) = (ids.batch(), Arc::new(tasks), Arc::new(long));
    if !large.keys.is_empty() && !long.is_empty() {
        let long = long.clone();
        // While the pieces are stored. The writer computes what is left.
        spawn_blocking(move || {
            for task in long.values() {
                task.body();
            }
        });
    }
    let part = |range: &Range<usize>| BatchPart {
        batch,
        all: all.clone(),
        long: long.clone(),
        range: range.clone(),
    };
    parts.extend(ranges.iter().map(part).map(Command::StagePart));
    for range in &ranges {
        let tasks = range.clone();
        parts.extend(tasks.flat_map(|task| insertions(batch, &all, task)));
        parts.push_back(Command::MakePart(part(range)));
    }
    (parts, large)
}

/// The commands that store the dependencies of a task that has very many.
fn insertions(
    batch: BatchId,
    all: &Arc<Vec<NewTask>>,
    task: usize,
) -> impl Iterator<Item = Command> {
    let count = all.get(task).map_or(0, |new| new.depends_on.len());
    let parts = match count > MANY_DEPENDENCIES {
        true => count.div_ceil(MANY_DEPENDENCIES),
        false => 0,
    };
    (0..parts).map(move |part| {
        let begin = part * MANY_DEPENDENCIES;
        Command::InsertDependencies(DependencyPart {
            batch,
            all: all.clone(),
            task,
            range: begin..(begin + MANY_DEPENDENCIES).min(count),
        })
    })
}

/// The commands that read the dependencies ahead that tasks with very many of them have.
fn parts_of_dependencies(tasks: &[NewTask]) -> VecDeque<Command> {
    let has_many = |new: &&NewTask| new.depends_on.len() > MANY_DEPENDENCIES;
    let tasks = tasks.iter().filter(has_many);
    let ids: BTreeSet<TaskId> = tasks
        .flat_map(|new| new.depends_on.iter().copied())
        .collect();
    let ids: Vec<TaskId> = ids.into_iter().collect();
    let parts = ids.chunks(MANY_DEPENDENCIES);
    parts
        .map(|part| Command::PrepareDependencies(part.to_vec()))
        .collect()
}

/// Divides a list into ranges that cost at most [`cost::PART`] each, or have one entry.
fn ranges<T>(list: &[T], cost_of: impl Fn(&T) -> u64) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut begin, mut spent) = (0, 0);
    for (at, entry) in list.iter().enumerate() {
        let cost = cost_of(entry);
        if at > begin && spent + cost > cost::PART {
            ranges.push(begin..at);
            (begin, spent) = (at, 0);
        }
        spent += cost;
    }
    ranges.push(begin..list.len());
    ranges
}
