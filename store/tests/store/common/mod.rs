//! A store in a directory of its own, with shortcuts for its commands.

use kirosu_protocol::{Ack, AckStatus, Error, Fence, LeaseParams, NewTask, Stats, Task, TaskId};
use kirosu_store::*;

pub const T0: i64 = 1_700_000_000_000;

pub struct Bench {
    pub store: Store,
    pub reader: StoreReader,
    pub now: i64,
    pub options: StoreOptions,
    pub woken: Vec<(ParkId, Vec<Task>)>,
    /// Leases that ended with the tasks' parents.
    pub ended: Vec<EndedLease>,
    pub directory: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut StoreOptions)) -> Bench {
        let directory = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(directory.path().join("deep/kirosu.db"), T0);
        change(&mut options);
        let store = Store::open(&options).unwrap();
        let reader = StoreReader::open(&options.path).unwrap();
        Bench {
            store,
            reader,
            now: T0,
            options,
            woken: Vec::new(),
            ended: Vec::new(),
            directory,
        }
    }

    pub fn batch(&mut self, commands: Vec<Command>) -> Vec<Result<Outcome, Error>> {
        let applied = self.store.apply(self.now, commands);
        self.woken.extend(applied.woken);
        self.ended.extend(applied.ended);
        applied.outcomes
    }

    pub fn one(&mut self, command: Command) -> Result<Outcome, Error> {
        self.batch(vec![command]).pop().unwrap()
    }

    pub fn enqueue(&mut self, new: NewTask) -> TaskId {
        match self.one(Command::Enqueue(Box::new(new))) {
            Ok(Outcome::Enqueued(made)) => made.task_id,
            other => panic!("enqueue: {other:?}"),
        }
    }

    pub fn chat(&mut self, prompt: &str) -> TaskId {
        self.enqueue(NewTask::chat(prompt))
    }

    pub fn lease(&mut self, max: u32) -> Vec<Task> {
        self.lease_as(ask(max), None)
    }

    pub fn lease_as(&mut self, ask: LeaseParams, session: Option<&str>) -> Vec<Task> {
        let session = session.map(str::to_owned);
        match self.one(Command::Lease {
            ask,
            session,
            park: None,
            spent: 0,
        }) {
            Ok(Outcome::Leased(tasks)) => tasks,
            other => panic!("lease: {other:?}"),
        }
    }

    pub fn ack(&mut self, ack: Ack) -> Result<Acked, Error> {
        self.one(Command::Ack(Box::new(ack)))
            .map(|outcome| match outcome {
                Outcome::Acked(acked) => acked,
                other => panic!("ack: {other:?}"),
            })
    }

    pub fn expire(&mut self) -> Vec<EndedLease> {
        match self.one(Command::ExpireDue { limit: 1000 }) {
            Ok(Outcome::Ended { leases, .. }) => leases,
            other => panic!("expire: {other:?}"),
        }
    }

    pub fn task(&mut self, id: TaskId) -> Task {
        self.detail(id).task
    }

    pub fn detail(&mut self, id: TaskId) -> TaskDetail {
        self.reader.get(id, 100).unwrap().unwrap()
    }

    pub fn stats(&self) -> Stats {
        self.store.stats(self.now)
    }

    pub fn reopen(mut self) -> Bench {
        self.options.now_ms = self.now;
        let Bench {
            store,
            reader,
            now,
            options,
            woken,
            ended,
            directory,
        } = self;
        drop(reader);
        drop(store);
        assert_sound(&options);
        let store = Store::open(&options).unwrap();
        let reader = StoreReader::open(&options.path).unwrap();
        Bench {
            store,
            reader,
            now,
            options,
            woken,
            ended,
            directory,
        }
    }
}

/// A store that no hub has keeps every rule of `check`.
pub fn assert_sound(options: &StoreOptions) {
    let checked = check(&options.path).unwrap();
    assert_eq!(checked.findings, Vec::<String>::new());
    assert_eq!(checked.pending, 0);
}

pub fn ask(max: u32) -> LeaseParams {
    LeaseParams {
        worker_id: "w1".into(),
        max_tasks: max,
        lease_ms: Some(10_000),
        wait_ms: 0,
        queues: vec!["default".into()],
        types: vec![],
        exclude_types: vec![],
    }
}

pub fn waiting(max: u32) -> LeaseParams {
    LeaseParams {
        wait_ms: 60_000,
        ..ask(max)
    }
}

pub fn done(task: TaskId, fence: Option<Fence>) -> Ack {
    Ack {
        task_id: task,
        fence,
        worker_id: None,
        status: AckStatus::Done,
        result: Some(format!("result of {task}")),
        error: None,
        class: None,
        retry_at_ms: None,
        usage: None,
        accepted: false,
        provider: None,
        pool: None,
        model: None,
        conversation: None,
    }
}

pub fn failed(task: TaskId, fence: Option<Fence>) -> Ack {
    Ack {
        status: AckStatus::Failed,
        result: None,
        error: Some("it broke".into()),
        ..done(task, fence)
    }
}
