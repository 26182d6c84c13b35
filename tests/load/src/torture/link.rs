//! A speaker's connection to a hub that comes and goes.

pub use super::shared::Shared;

use super::history::{Call, Event, Outcome, now_ns, wall_ms};
use crate::Fault;
use crate::wire::{self, CallError, Wire};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Refusals that say "later", not "no": busy and shutting down.
pub const LATER: [i64; 2] = [-32005, -32009];

/// The hub could not write, or a part of it crashed: the sentence says whether anything of the request may have been kept.
pub const FAILED: i64 = -32603;

/// Between two attempts to reach a hub that is down.
pub const REST: Duration = Duration::from_millis(5);

/// One lease of a session in this number is requested over a connection that is replaced meanwhile.
const REPLACED_IN: u32 = 20;

/// No fault lasts as long: a hub that does not answer until then never will.
const PATIENCE_NS: u64 = 60_000_000_000;

/// How often a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Once: cut off, it stays unknown.
    Once,
    /// Until it is answered.
    UntilAnswered,
}

/// Makes the event of a call from its answer (`None`: there was none).
pub type ToCall<'a> = dyn Fn(Option<&Value>) -> Call + 'a;

/// One speaker: its connection and its history.
#[derive(Debug)]
pub struct Link<'a> {
    shared: &'a Shared,
    speaker: u32,
    session: Option<String>,
    wire: Option<Wire>,
    /// A second connection, for requests that are sent twice.
    twin: Option<Wire>,
    /// Decides when a connection is replaced.
    rng: fastrand::Rng,
    /// Leases that the speaker knows of: task and fence.
    held: HashSet<(u64, i64)>,
    /// Leases that `hello` listed and the speaker knows nothing of.
    unknown: Vec<(u64, i64)>,
    /// The start of the hub that the newest request was sent to.
    boot: Option<String>,
    /// Its observations.
    pub events: Vec<Event>,
}

impl<'a> Link<'a> {
    /// A speaker, with a session if it has a name for one.
    pub fn new(shared: &'a Shared, speaker: u32, session: Option<String>) -> Link<'a> {
        Link {
            shared,
            speaker,
            session,
            wire: None,
            twin: None,
            rng: fastrand::Rng::with_seed(u64::from(speaker)),
            held: HashSet::new(),
            unknown: Vec::new(),
            boot: None,
            events: Vec::new(),
        }
    }

    /// Whether leases are taken under a session.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The speaker holds a lease from now on.
    pub fn hold(&mut self, task: u64, fence: i64) {
        self.held.insert((task, fence));
    }

    /// The speaker is done with a lease.
    pub fn let_go(&mut self, task: u64, fence: i64) {
        self.held.remove(&(task, fence));
    }

    /// Leases that the session holds and the speaker knows nothing of: they have to be released.
    pub fn unknown_leases(&mut self) -> Vec<(u64, i64)> {
        let mut unknown = std::mem::take(&mut self.unknown);
        unknown.retain(|lease| !self.held.contains(lease));
        unknown
    }

    /// Calls and writes it down. `call` makes the event from the answer (`None`: there was none).
    pub fn say(
        &mut self,
        method: &str,
        params: &Value,
        sending: Sending,
        call: impl FnOnce(Option<&Value>) -> Call,
    ) -> Outcome {
        let (begun, tries, answer) = self.send(method, params, sending);
        let outcome = outcome(&answer);
        let call = call(answer.as_ref().ok());
        self.note(begun, tries, call, outcome);
        outcome
    }

    /// Sends many acks as one request until it is answered, and writes each down as a call of its own.
    pub fn say_acks(&mut self, acks: Vec<Call>) {
        let entry = |ack: &Call| match ack {
            Call::Ack {
                task,
                fence,
                done: true,
                result,
            } => json!({"task_id": task, "fence": fence, "status": "done", "result": result}),
            Call::Ack {
                task,
                fence,
                result,
                ..
            } => json!({"task_id": task, "fence": fence, "status": "failed", "error": result}),
            _ => Value::Null,
        };
        let params = json!({"acks": acks.iter().map(entry).collect::<Vec<_>>()});
        let (begun, tries, answer) = self.send("ack", &params, Sending::UntilAnswered);
        for (at, ack) in acks.into_iter().enumerate() {
            let outcome = match &answer {
                Ok(answer) => outcome(&wire::outcome(answer["acks"][at].clone())),
                Err(_) => outcome(&answer),
            };
            self.note(begun, tries, ack, outcome);
        }
    }

    /// Sends a request. Returns when it was begun, how often it was sent, and its answer.
    fn send(
        &mut self,
        method: &str,
        params: &Value,
        sending: Sending,
    ) -> (u64, u32, Result<Value, CallError>) {
        let begun = now_ns();
        self.boot = None;
        let mut tries = 0;
        let again = sending == Sending::UntilAnswered;
        let answer = loop {
            tries += 1;
            match self.once_or_twice(method, params, again) {
                Err(CallError::Refused(code, _)) if LATER.contains(&code) => {}
                Err(CallError::Refused(FAILED, _)) if again => {}
                Err(CallError::Broken(_)) if again => {}
                answer => break answer,
            }
            if self.shared.is_over() || now_ns() - begun > PATIENCE_NS {
                break Err(CallError::Broken("the torture is over".into()));
            }
            std::thread::sleep(REST);
        };
        (begun, tries, answer)
    }

    /// Sends two requests in one packet, once, so that the hub most likely carries them out as one commit, and writes both
    /// down. Each `call` makes its event from its answer.
    pub fn say_both(
        &mut self,
        requests: [(&str, &Value); 2],
        calls: [&ToCall<'_>; 2],
    ) -> [Outcome; 2] {
        let begun = now_ns();
        self.boot = None;
        let wire = self.wire.take().map_or_else(|| self.connect(), Ok);
        let answers = wire.and_then(|mut wire| {
            self.boot = wire.boot.clone();
            wire.ask_both(requests)?;
            let answers = wire.both_answers();
            self.note_notices(&mut wire);
            let broken =
                |answer: &Result<Value, CallError>| matches!(answer, Err(CallError::Broken(_)));
            if !answers.iter().any(broken) {
                self.wire = Some(wire);
            }
            Ok(answers)
        });
        let answers = answers.unwrap_or_else(|error| [Err(error.clone()), Err(error)]);
        let mut outcomes = [Outcome::Unknown; 2];
        for (at, answer) in answers.iter().enumerate() {
            outcomes[at] = outcome(answer);
            self.note(begun, 1, calls[at](answer.as_ref().ok()), outcomes[at]);
        }
        outcomes
    }

    /// Asks without writing it down, once.
    pub fn ask(&mut self, method: &str, params: &Value, read: impl FnOnce(&Value)) -> Outcome {
        let answer = self.once(method, params);
        if let Ok(answer) = &answer {
            read(answer);
        }
        outcome(&answer)
    }

    /// Writes down that the hub was started, after the one before was gone at `begun`.
    pub fn started(&mut self, begun: u64, restored: Option<String>) -> Result<(), Fault> {
        let mut wire = Wire::connect(self.shared.address())?;
        wire.hello(None)?;
        self.boot = wire.boot.clone();
        self.wire = Some(wire);
        self.note(begun, 1, Call::Start { restored }, Outcome::Ok);
        Ok(())
    }

    /// Takes a backup under this name.
    pub fn back_up(&mut self, name: &str) -> Result<(), Fault> {
        let (params, name) = (json!({ "name": name }), name.to_owned());
        let call = |_: Option<&Value>| Call::Backup { name };
        match self.say("backup", &params, Sending::Once, call) {
            Outcome::Ok => Ok(()),
            outcome => Err(Fault::new(format!("a backup ended as {outcome:?}"))),
        }
    }

    fn note(&mut self, begun: u64, tries: u32, call: Call, outcome: Outcome) {
        let event = Event {
            speaker: self.speaker,
            begun,
            ended: now_ns(),
            wall_ms: wall_ms(),
            tries,
            boot: self.boot.clone(),
            call,
            outcome,
        };
        if self.shared.tells
            && let Ok(line) = serde_json::to_string(&event)
        {
            // No receiver is left, and none is needed.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
        self.events.push(event);
    }

    /// While requests are doubled, two copies of each repeatable request are sent at once, over two connections. Both must get
    /// the same answer.
    fn once_or_twice(
        &mut self,
        method: &str,
        params: &Value,
        repeatable: bool,
    ) -> Result<Value, CallError> {
        if !repeatable || !self.shared.twice.load(Ordering::Relaxed) {
            return self.once(method, params);
        }
        // Without a session: it would take the session from the first connection.
        let twin = self.twin.take().or_else(|| {
            let mut twin = Wire::connect(self.shared.address()).ok()?;
            twin.hello(None).ok()?;
            Some(twin)
        });
        let Some(mut twin) = twin else {
            return self.once(method, params);
        };
        let begun = now_ns();
        if twin.ask(method, params).is_err() {
            return self.once(method, params);
        }
        let first = self.once(method, params);
        let second = twin.answer();
        let second_boot = twin.boot.clone();
        if !matches!(second, Err(CallError::Broken(_))) {
            self.twin = Some(twin);
        }
        let call = Call::Twice {
            method: method.to_owned(),
            first: essence(&first),
            second: essence(&second),
            second_boot: second_boot.clone(),
        };
        self.note(begun, 2, call, Outcome::Ok);
        // Either copy may have been the one that was carried out.
        match (first, second) {
            (Err(_), Ok(second)) => {
                self.boot = second_boot;
                Ok(second)
            }
            (first, _) => first,
        }
    }

    /// Sends once, over a fresh connection where the old one broke.
    fn once(&mut self, method: &str, params: &Value) -> Result<Value, CallError> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.connect()?,
        };
        let replaced = method == "lease" && self.session.is_some();
        self.boot = wire.boot.clone();
        if replaced && self.rng.u32(0..REPLACED_IN) == 0 {
            return self.replaced(wire, method, params);
        }
        let answer = wire.call(method, params.clone());
        self.note_notices(&mut wire);
        if !matches!(answer, Err(CallError::Broken(_))) {
            self.wire = Some(wire);
        }
        answer
    }

    /// Sends over a connection that another one replaces before the answer is read.
    fn replaced(
        &mut self,
        mut old: Wire,
        method: &str,
        params: &Value,
    ) -> Result<Value, CallError> {
        old.ask(method, params)?;
        let Ok(mut new) = Wire::connect(self.shared.address()) else {
            return old.answer();
        };
        let greeted = self.greet(&mut new, true);
        self.boot = old.boot.clone();
        let answer = old.answer();
        if greeted.is_err() {
            return answer;
        }
        self.note_notices(&mut old);
        self.wire = Some(new);
        answer
    }

    fn note_notices(&mut self, wire: &mut Wire) {
        for notice in wire.notices() {
            let cancelled = notice["method"] == "cancel";
            if !cancelled && notice["method"] != "lease_lost" {
                continue;
            }
            let lease = (
                notice["params"]["task_id"].as_u64(),
                notice["params"]["fence"].as_i64(),
            );
            if let (Some(task), Some(fence)) = lease {
                let call = Call::Notice {
                    task,
                    fence,
                    cancelled,
                };
                self.note(now_ns(), 1, call, Outcome::Ok);
            }
        }
    }

    /// Waits for the hub; only an end of the whole torture ends the waiting.
    fn connect(&mut self) -> Result<Wire, CallError> {
        let begun = now_ns();
        while !self.shared.is_over() && now_ns() - begun < PATIENCE_NS {
            if let Ok(mut wire) = Wire::connect(self.shared.address())
                && self.greet(&mut wire, false).is_ok()
            {
                return Ok(wire);
            }
            std::thread::sleep(REST);
        }
        Err(CallError::Broken("the torture is over".into()))
    }

    fn greet(&mut self, wire: &mut Wire, replaces: bool) -> Result<(), CallError> {
        let begun = now_ns();
        let answer = wire.hello(self.session.as_deref())?;
        self.boot = wire.boot.clone();
        if self.session.is_none() {
            return Ok(());
        }
        let leases: Vec<(u64, i64)> = answer["leases"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|lease| Some((lease["task_id"].as_u64()?, lease["fence"].as_i64()?)))
            .collect();
        self.unknown = leases.clone();
        self.note(begun, 1, Call::Hello { replaces, leases }, Outcome::Ok);
        self.note_notices(wire);
        Ok(())
    }
}

fn outcome(answer: &Result<Value, CallError>) -> Outcome {
    match answer {
        Ok(_) => Outcome::Ok,
        // A large batch that is stored may be there as a whole by now, or will be.
        Err(CallError::Refused(FAILED, sentence))
            if sentence.contains("is unknown") || sentence.contains("batch is stored") =>
        {
            Outcome::Unknown
        }
        Err(CallError::Refused(code, _)) => Outcome::Refused(*code),
        Err(CallError::Broken(_)) => Outcome::Unknown,
    }
}

/// The decisive part of an answer: its ids, or the error code. `None` if it was cut off or says "later".
fn essence(answer: &Result<Value, CallError>) -> Option<String> {
    match answer {
        Ok(answer) => Some(format!("{} {}", answer["task_id"], answer["task_ids"])),
        Err(CallError::Refused(code, _)) if LATER.contains(code) || *code == FAILED => None,
        Err(CallError::Refused(code, _)) => Some(format!("refused with {code}")),
        Err(CallError::Broken(_)) => None,
    }
}
