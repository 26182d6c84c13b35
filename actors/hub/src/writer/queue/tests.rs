//! The order of commands, with large ones among them.

use super::*;
use crate::caller::ConnectionId;
use crate::caller::{Caller, CommandAnswers};
use actix::prelude::*;
use kirosu_protocol::{Ack, LeaseParams, NewTask, Task};
use kirosu_store::{BatchId, MANY_DEPENDENCIES, TextId, leased_bytes};
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;

/// A caller that ignores its answers.
struct Client;

impl Actor for Client {
    type Context = Context<Client>;
}

impl Handler<CommandAnswers> for Client {
    type Result = ();

    fn handle(&mut self, _: CommandAnswers, _: &mut Self::Context) {}
}

/// Records the leases that it gets.
struct GivenBack(Rc<RefCell<Vec<(TaskId, Fence)>>>);

impl Actor for GivenBack {
    type Context = Context<GivenBack>;
}

impl Handler<GiveBack> for GivenBack {
    type Result = ();

    fn handle(&mut self, GiveBack(leases): GiveBack, _: &mut Self::Context) {
        self.0.borrow_mut().extend(leases);
    }
}

/// The last ids that were given out.
#[derive(Default)]
struct Ids {
    batch: BatchId,
    text: TextId,
}

impl NewIds for Ids {
    fn batch(&mut self) -> BatchId {
        self.batch += 1;
        self.batch
    }

    fn text(&mut self) -> TextId {
        self.text += 1;
        self.text
    }
}

/// A queue with a number of clients.
struct Bench {
    queue: CommandQueue,
    client: Addr<Client>,
    ids: Ids,
    /// The number of tasks that are ready to be leased.
    ready: usize,
    /// The id of the last task that was leased.
    leased: TaskId,
    /// The answers of large commands.
    answers: Vec<Result<Outcome, Error>>,
}

impl Bench {
    fn new() -> Bench {
        Bench {
            queue: CommandQueue::default(),
            client: Client.start(),
            ids: Ids::default(),
            ready: 0,
            leased: 0,
            answers: Vec::new(),
        }
    }

    fn push(&mut self, client: u64, commands: Vec<Command>) {
        let caller = Caller {
            connection: ConnectionId(client),
            ..Caller::hub(self.client.clone().recipient())
        };
        let commands = commands.into_iter().map(|command| (0, command));
        let submit = Submit::new(caller, commands.collect());
        self.queue.push(submit, &mut self.ids);
    }

    /// Takes one commit and answers it. Commands for which `fails` is true are refused.
    fn commit(&mut self, fails: impl Fn(&Command) -> bool) -> Vec<Command> {
        let (taken, batch) = self.queue.take();
        let cost: u64 = batch.iter().map(cost::of).sum();
        assert!(cost <= cost::COMMIT || batch.len() == 1, "{cost}");
        let outcomes: Vec<_> = batch
            .iter()
            .map(|command| match fails(command) {
                true => Err(Error::internal(Effect::None, "it failed")),
                false => Ok(self.outcome(command)),
            })
            .collect();
        let mut outcomes = outcomes.into_iter();
        for taken in taken {
            match taken {
                Taken::Whole(reply) => {
                    let count = reply.numbers().len();
                    reply.answer(outcomes.by_ref().take(count), None);
                }
                Taken::Parts(entry, parts) => {
                    if let Some((mut reply, answer)) =
                        self.queue.advance(entry, parts, &mut outcomes)
                    {
                        assert_eq!(reply.take_first(2).into_parts().1.len(), 1);
                        self.answers.push(answer);
                    }
                }
            }
        }
        assert_eq!(outcomes.count(), 0, "each command has one taker");
        batch
    }

    fn outcome(&mut self, command: &Command) -> Outcome {
        let Command::Lease { ask, park, .. } = command else {
            return Outcome::Ok;
        };
        if self.ready == 0 && park.is_some() {
            return Outcome::Parked;
        }
        let count = self.ready.min(ask.max_tasks as usize);
        self.ready -= count;
        let first = self.leased + 1;
        self.leased += count as TaskId;
        Outcome::Leased((first..=self.leased).map(task).collect())
    }

    /// The tasks in the answer of the last lease in parts.
    fn answer(&mut self) -> Vec<TaskId> {
        match self.answers.pop() {
            Some(Ok(Outcome::Leased(tasks))) => tasks.iter().map(|task| task.task_id).collect(),
            other => panic!("{other:?}"),
        }
    }

    /// The names of all commands in the order in which they are carried out.
    fn run(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while !self.queue.is_empty() {
            names.extend(self.commit(|_| false).iter().map(name));
        }
        names
    }
}

fn name(command: &Command) -> String {
    match command {
        Command::Enqueue(new) => new.prompt.clone(),
        Command::StagePart(part) => format!("stage {}", part.batch),
        Command::InsertDependencies(part) => format!("depend {}", part.ids().len()),
        Command::MakePart(part) => format!("make {}", part.batch),
        Command::DropBatch(batch) => format!("drop {batch}"),
        Command::Acks(acks) => format!("{} acks", acks.len()),
        Command::Lease { ask, .. } => format!("lease {}", ask.max_tasks),
        Command::PrepareDependencies(ids) => format!("prepare {}", ids.len()),
        Command::OpenText(new) => format!("open {}", new.text),
        Command::StagePiece(piece) => format!("piece {}", piece.text),
        Command::LongAck { text, .. } => format!("ack {text}"),
        Command::LongAnswer { text, .. } => format!("answer {text}"),
        Command::DropText(text) => format!("forget {text}"),
        _ => "other".to_owned(),
    }
}

fn run(test: impl FnOnce(&mut Bench)) {
    System::new().block_on(async {
        test(&mut Bench::new());
    });
}

fn enqueue(name: &str) -> Command {
    Command::Enqueue(Box::new(NewTask::chat(name)))
}

fn task(task_id: TaskId) -> Task {
    let task = json!({
        "task_id": task_id, "prompt": "p", "system_prompt": null, "type": "chat", "status": "leased", "created_at": 0.0,
        "updated_at": 0.0, "leased_until": null, "worker_id": null, "result": null, "error": null, "fence": 1,
        "queue": "default", "priority": 0, "attempts": 1,
    });
    serde_json::from_value(task).unwrap()
}

fn lease(max_tasks: u32, park: Option<u64>) -> Command {
    Command::Lease {
        ask: LeaseParams {
            worker_id: "w".into(),
            max_tasks,
            lease_ms: None,
            wait_ms: park.map_or(0, |_| 1000),
            queues: vec!["default".into()],
            types: vec![],
            exclude_types: vec![],
        },
        session: None,
        park,
        spent: 0,
    }
}

fn keyed(key: &str) -> NewTask {
    NewTask {
        idempotency_key: Some(key.to_owned()),
        ..NewTask::chat(format!("with {key}"))
    }
}

/// A batch of this number of parts.
fn batch(parts: usize, key: &str) -> Command {
    let mut tasks = vec![
        NewTask::chat("p");
        parts * (cost::PART / cost::of_task(&NewTask::chat("p"))) as usize
    ];
    tasks[0] = keyed(key);
    tasks.pop();
    Command::EnqueueBatch(tasks)
}

fn place(names: &[String], name: &str) -> usize {
    names.iter().position(|other| other == name).unwrap()
}

fn last(names: &[String], name: &str) -> usize {
    names.iter().rposition(|other| other == name).unwrap()
}

#[test]
fn others_run_between_the_parts_and_the_same_caller_after_them() {
    run(|bench| {
        bench.push(1, vec![enqueue("a"), batch(8, "k"), enqueue("b")]);
        bench.push(2, vec![enqueue("c")]);
        bench.push(1, vec![enqueue("d")]);
        bench.push(3, vec![Command::Enqueue(Box::new(keyed("k")))]);
        bench.push(3, vec![enqueue("e")]);
        let names = bench.run();
        let of_batch = place(&names, "stage 1")..last(&names, "make 1");
        assert_eq!(names[0], "a");
        assert!(of_batch.contains(&place(&names, "c")), "{names:?}");
        for later in ["b", "d", "with k", "e"] {
            assert!(place(&names, later) > of_batch.end, "{later}: {names:?}");
        }
        assert!(place(&names, "b") < place(&names, "d"));
        assert!(place(&names, "with k") < place(&names, "e"));
    });
}

#[test]
fn very_many_dependencies_are_read_and_stored_some_at_a_time() {
    run(|bench| {
        let depends_on = (1..=2 * MANY_DEPENDENCIES as TaskId + 1).collect();
        let new = NewTask {
            depends_on,
            ..NewTask::chat("")
        };
        bench.push(1, vec![Command::EnqueueBatch(vec![NewTask::chat(""), new])]);
        let full = |name: &str| format!("{name} {MANY_DEPENDENCIES}");
        let (prepare, depend) = (full("prepare"), full("depend"));
        let expected = [
            &prepare,
            &prepare,
            "prepare 1",
            "stage 1",
            "stage 1",
            "make 1",
            &depend,
            &depend,
            "depend 1",
            "make 1",
        ];
        assert_eq!(bench.run(), expected);
        let new = |count| NewTask {
            depends_on: (1..=count as TaskId).collect(),
            ..NewTask::chat("")
        };
        bench.push(
            1,
            vec![Command::Enqueue(Box::new(new(2 * MANY_DEPENDENCIES)))],
        );
        let refused = bench.commit(|_| true);
        assert_eq!((name(&refused[0]), bench.run()), (prepare, Vec::new()));
        assert!(matches!(bench.answers.pop(), Some(Err(_))));
    });
}

#[test]
fn two_large_requests_take_turns_unless_they_share_a_key() {
    run(|bench| {
        bench.push(1, vec![batch(4, "k")]);
        bench.push(2, vec![batch(4, "other")]);
        bench.push(3, vec![batch(4, "k")]);
        let names = bench.run();
        assert!(
            place(&names, "stage 2") < last(&names, "make 1"),
            "{names:?}"
        );
        assert!(
            place(&names, "stage 3") > last(&names, "make 1"),
            "{names:?}"
        );
    });
}

#[test]
fn a_request_that_comes_between_two_parts_waits_for_no_further_one() {
    run(|bench| {
        bench.push(1, vec![batch(8, "k"), enqueue("a")]);
        bench.push(2, vec![batch(8, "other")]);
        let names = |batch: Vec<Command>| -> Vec<String> { batch.iter().map(name).collect() };
        let large = |bench: &mut Bench| {
            let names = names(bench.commit(|_| false));
            assert!(names.iter().all(|name| name.contains("stage")), "{names:?}");
            names
        };
        let first = large(bench);
        bench.push(3, vec![enqueue("b")]);
        bench.push(4, vec![enqueue("c")]);
        assert_eq!(names(bench.commit(|_| false)), ["b", "c"]);
        // The large ones are not left behind, and take turns.
        bench.push(3, vec![enqueue("d")]);
        let second = large(bench);
        assert_ne!(first[0], second[0]);
        assert_eq!(names(bench.commit(|_| false)), ["d"]);
        assert_eq!(large(bench)[0], first[0]);
    });
}

#[test]
fn a_refused_part_drops_the_batch_and_a_failed_one_is_made_later() {
    run(|bench| {
        bench.push(1, vec![batch(8, "k"), enqueue("a")]);
        let stages = |command: &Command| matches!(command, Command::StagePart(_));
        bench.commit(stages);
        assert_eq!(bench.run(), ["drop 1", "a"]);
        bench.push(1, vec![batch(2, "k"), enqueue("a")]);
        let makes = |command: &Command| matches!(command, Command::MakePart(_));
        while !bench.queue.has_failed() {
            bench.commit(makes);
        }
        assert_eq!(bench.run(), ["a"]);
        bench.queue.retry();
        assert_eq!(bench.run(), ["make 2", "make 2"]);
        assert_eq!(bench.queue.first_arrival(), None);
    });
}

#[test]
fn a_long_list_of_acks_is_divided() {
    run(|bench| {
        let ack = Ack::done(1, Some(1), "r");
        let part = (cost::PART / cost::of_ack(&ack)) as usize;
        bench.push(1, vec![Command::Acks(vec![ack; 2 * part + 200])]);
        let whole = format!("{part} acks");
        assert_eq!(bench.run(), [&whole, &whole, "200 acks"]);
    });
}

const PART: usize = cost::PART_LEASES as usize;
/// Three parts, the last of which is not full.
const MANY: usize = 2 * PART + 10;

#[test]
fn a_large_lease_is_divided_and_answered_once_with_others_in_between() {
    run(|bench| {
        bench.ready = MANY + 1;
        bench.push(1, vec![lease(MANY as u32, Some(1)), enqueue("a")]);
        bench.push(1, vec![enqueue("b")]);
        bench.push(2, vec![enqueue("c")]);
        let names = bench.run();
        let (part, last) = (format!("lease {PART}"), "lease 10".to_owned());
        assert_eq!(names, [&part, "c", &part, &last, "a", "b"]);
        assert!(bench.answer().into_iter().eq(1..=MANY as TaskId));
        assert_eq!((bench.ready, bench.queue.first_arrival()), (1, None));
    });
}

#[test]
fn a_part_that_found_fewer_tasks_is_the_last() {
    run(|bench| {
        bench.ready = PART + 3;
        bench.push(1, vec![lease(MANY as u32, None)]);
        assert_eq!(bench.run().len(), 2);
        assert_eq!(bench.answer().len(), PART + 3);
        bench.push(1, vec![lease(MANY as u32, None)]);
        assert_eq!(bench.run().len(), 1);
        assert_eq!(bench.answer().len(), 0);
    });
}

#[test]
fn only_the_first_part_of_a_lease_may_wait_and_its_bytes_are_counted() {
    run(|bench| {
        bench.push(1, vec![lease(MANY as u32, Some(7))]);
        bench.commit(|_| false);
        assert_eq!(bench.answers.pop(), Some(Ok(Outcome::Parked)));
        assert!(bench.queue.is_empty());
        bench.ready = MANY;
        bench.push(1, vec![lease(MANY as u32, Some(8))]);
        for part in 0..3 {
            let [
                Command::Lease {
                    ask, park, spent, ..
                },
            ] = &bench.commit(|_| false)[..]
            else {
                panic!("one part per commit");
            };
            assert_eq!((park.is_some(), ask.wait_ms > 0), (part == 0, part == 0));
            assert_eq!(*spent, part * PART * leased_bytes(&task(1)));
        }
    });
}

#[test]
fn a_lease_whose_later_part_is_refused_is_answered_with_the_tasks_before_it() {
    run(|bench| {
        bench.ready = MANY;
        bench.push(1, vec![lease(MANY as u32, None)]);
        bench.commit(|_| true);
        assert!(matches!(bench.answers.pop(), Some(Err(_))));
        bench.push(1, vec![lease(MANY as u32, None)]);
        bench.commit(|_| false);
        bench.commit(|_| true);
        assert_eq!(bench.answer().len(), PART);
        assert!(bench.queue.is_empty());
    });
}

#[test]
fn a_lease_that_ends_between_the_parts_is_not_in_the_answer() {
    run(|bench| {
        bench.ready = MANY;
        bench.push(1, vec![lease(MANY as u32, None)]);
        bench.commit(|_| false);
        // The second has another fence.
        bench.queue.forget_leases(&[(1, 1), (2, 7), (3, 1)]);
        bench.run();
        let answer = bench.answer();
        assert_eq!((answer[0], answer[1], answer.len()), (2, 4, MANY - 2));
    });
}

#[test]
fn leases_of_an_unfinished_answer_are_given_back_if_the_writer_crashes() {
    System::new().block_on(async {
        let given_back = Rc::new(RefCell::new(Vec::new()));
        let writer = GivenBack(given_back.clone()).start();
        let mut bench = Bench::new();
        bench.queue.give_back = Some(Arc::new(writer.clone().recipient()));
        bench.ready = MANY;
        bench.push(1, vec![lease(MANY as u32, None)]);
        bench.commit(|_| false);
        bench.queue.forget_leases(&[(2, 1)]);
        bench.ready = 2 * MANY;
        bench.push(2, vec![lease(MANY as u32, None)]);
        // The first is answered while the second is under way: it owes nothing.
        while bench.answers.is_empty() {
            bench.commit(|_| false);
        }
        let held = bench.answer().len();
        let leased = bench.leased as usize;
        drop(bench);
        writer.send(GiveBack(vec![])).await.unwrap();
        assert_eq!(given_back.borrow().len(), leased - held - 1);
    });
}

/// A text whose pieces take several commits.
fn long_text() -> String {
    "x".repeat(3 << 20)
}

fn long(name: &str) -> NewTask {
    NewTask {
        idempotency_key: Some(name.into()),
        ..NewTask::chat(long_text())
    }
}

#[test]
fn others_run_between_the_pieces_of_a_text() {
    run(|bench| {
        bench.push(1, vec![Command::Enqueue(Box::new(long("k"))), enqueue("b")]);
        bench.push(2, vec![enqueue("c")]);
        bench.push(3, vec![Command::Enqueue(Box::new(keyed("k")))]);
        let mut names = bench.run();
        let other = place(&names, "c");
        assert!((place(&names, "piece 1")..last(&names, "piece 1")).contains(&other));
        names.retain(|name| !["c", "piece 1"].contains(&name.as_str()));
        assert_eq!(names, ["open 1", "stage 1", "make 1", "b", "with k"]);
    });
}

#[test]
fn a_request_whose_piece_fails_is_refused_and_its_text_dropped() {
    run(|bench| {
        let pieces = |command: &Command| matches!(command, Command::StagePiece(_));
        let ack = Ack::done(1, Some(1), long_text());
        bench.push(1, vec![Command::Ack(Box::new(ack.clone())), enqueue("a")]);
        bench.commit(pieces);
        assert_eq!(bench.run(), ["forget 1", "a"]);
        bench.push(1, vec![Command::EnqueueBatch(vec![long("k"), long("l")])]);
        bench.commit(pieces);
        assert_eq!(bench.run(), ["forget 2", "forget 3"]);
        // An ack of a list is refused for itself.
        let short = Ack::done(1, Some(1), "r");
        let acks = vec![short.clone(), ack.clone(), short.clone(), ack, short];
        bench.push(1, vec![Command::Acks(acks)]);
        assert_eq!(name(&bench.commit(pieces)[0]), "1 acks");
        let mut names = bench.run();
        assert!(!names.contains(&"piece 4".to_owned()), "{names:?}");
        names.retain(|name| name != "piece 5");
        assert_eq!(names, ["forget 4", "1 acks", "open 5", "ack 5", "1 acks"]);
    });
}
