//! The order of commands, with large ones among them.

use super::*;
use crate::caller::{Caller, CommandAnswers};
use actix::prelude::*;

/// A caller that ignores its answers.
struct Client;

impl Actor for Client {
    type Context = Context<Client>;
}

impl Handler<CommandAnswers> for Client {
    type Result = ();

    fn handle(&mut self, _: CommandAnswers, _: &mut Self::Context) {}
}

/// A queue with a number of clients.
struct Bench {
    queue: CommandQueue,
    client: Addr<Client>,
    batches: BatchId,
}

impl Bench {
    fn push(&mut self, client: u64, commands: Vec<Command>) {
        let caller = Caller {
            connection: ConnectionId(client),
            ..Caller::hub(self.client.clone().recipient())
        };
        let commands = commands.into_iter().map(|command| (0, command));
        let batches = &mut self.batches;
        let submit = Submit::new(caller, commands.collect());
        self.queue.push(submit, || {
            *batches += 1;
            *batches
        });
    }

    /// Takes one commit and answers it. Commands for which `fails` is true are refused.
    fn commit(&mut self, fails: impl Fn(&Command) -> bool) -> Vec<Command> {
        let (taken, batch) = self.queue.take();
        let cost: u64 = batch.iter().map(cost::of).sum();
        assert!(cost <= cost::COMMIT || batch.len() == 1, "{cost}");
        let outcome = |command: &Command| match fails(command) {
            true => Err(Error::internal(Effect::None, "it failed")),
            false => Ok(Outcome::Ok),
        };
        let mut outcomes = batch.iter().map(outcome);
        for taken in taken {
            match taken {
                Taken::Whole(reply) => {
                    let count = reply.numbers().len();
                    reply.answer(outcomes.by_ref().take(count), None);
                }
                Taken::Parts(entry, parts) => self.queue.advance(entry, parts, &mut outcomes),
            }
        }
        assert_eq!(outcomes.count(), 0, "each command has one taker");
        batch
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
        Command::MakePart(part) => format!("make {}", part.batch),
        Command::DropBatch(batch) => format!("drop {batch}"),
        Command::Acks(acks) => format!("{} acks", acks.len()),
        _ => "other".to_owned(),
    }
}

fn run(test: impl FnOnce(&mut Bench)) {
    System::new().block_on(async {
        test(&mut Bench {
            queue: CommandQueue::default(),
            client: Client.start(),
            batches: 0,
        });
    });
}

fn enqueue(name: &str) -> Command {
    Command::Enqueue(Box::new(NewTask::chat(name)))
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
