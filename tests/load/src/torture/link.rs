//! A speaker's connection to a hub that comes and goes.

use super::history::{Call, Clock, Event, Outcome};
use crate::wire::{CallError, Wire};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Refusals that say "later", not "no": busy and shutting down.
const LATER: [i64; 2] = [-32005, -32009];

/// Between two attempts to reach a hub that is down.
const REST: Duration = Duration::from_millis(5);

/// What all speakers know.
#[derive(Debug)]
pub struct Shared {
    /// Where the hub listens now; each start takes another port.
    address: Mutex<SocketAddr>,
    /// Everybody may go.
    pub over: AtomicBool,
    /// Acks taken: the progress that kills are timed by.
    pub acked: AtomicU64,
    /// Producers still at work.
    pub producing: AtomicU32,
    /// The clocks.
    pub clock: Clock,
}

impl Shared {
    /// For a hub at `address` and so many producers.
    pub fn new(address: SocketAddr, producers: u32) -> Shared {
        Shared {
            address: Mutex::new(address),
            over: AtomicBool::new(false),
            acked: AtomicU64::new(0),
            producing: AtomicU32::new(producers),
            clock: Clock::start(),
        }
    }

    /// The hub has moved.
    pub fn moved(&self, address: SocketAddr) {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner) = address;
    }

    /// Where it is now.
    pub fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the work is over.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }
}

/// How often a call may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sending {
    /// Once: cut off, it stays unknown.
    Once,
    /// Until it is answered.
    UntilAnswered,
}

/// One speaker: its connection and its history.
#[derive(Debug)]
pub struct Link<'a> {
    shared: &'a Shared,
    speaker: u32,
    session: Option<String>,
    wire: Option<Wire>,
    /// What it saw.
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
            events: Vec::new(),
        }
    }

    /// Whether leases are taken under a session.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Calls and writes it down. `call` makes the event from the answer (`None`: there was none).
    pub fn say(
        &mut self,
        method: &str,
        params: &Value,
        sending: Sending,
        call: impl FnOnce(Option<&Value>) -> Call,
    ) -> Outcome {
        let begun = self.shared.clock.now();
        let mut tries = 0;
        let answer = loop {
            tries += 1;
            match self.once(method, params) {
                Err(CallError::Refused(code, _)) if LATER.contains(&code) => {}
                Err(CallError::Broken(_)) if sending == Sending::UntilAnswered => {}
                answer => break answer,
            }
            if self.shared.is_over() {
                break Err(CallError::Broken("the torture is over".into()));
            }
            std::thread::sleep(REST);
        };
        let outcome = match &answer {
            Ok(_) => Outcome::Ok,
            Err(CallError::Refused(code, _)) => Outcome::Refused(*code),
            Err(CallError::Broken(_)) => Outcome::Unknown,
        };
        self.events.push(Event {
            speaker: self.speaker,
            begun,
            ended: self.shared.clock.now(),
            wall_ms: Clock::wall_ms(),
            tries,
            call: call(answer.as_ref().ok()),
            outcome,
        });
        outcome
    }

    /// Sends once, over a fresh connection where the old one broke.
    fn once(&mut self, method: &str, params: &Value) -> Result<Value, CallError> {
        let mut wire = match self.wire.take() {
            Some(wire) => wire,
            None => self.connect()?,
        };
        let answer = wire.call(method, params.clone());
        if !matches!(answer, Err(CallError::Broken(_))) {
            self.wire = Some(wire);
        }
        answer
    }

    /// Waits for the hub; only an end of the whole torture ends the waiting.
    fn connect(&self) -> Result<Wire, CallError> {
        while !self.shared.is_over() {
            if let Ok(mut wire) = Wire::connect(self.shared.address())
                && self.greet(&mut wire).is_ok()
            {
                return Ok(wire);
            }
            std::thread::sleep(REST);
        }
        Err(CallError::Broken("the torture is over".into()))
    }

    fn greet(&self, wire: &mut Wire) -> Result<(), CallError> {
        match &self.session {
            None => Ok(()),
            Some(session) => wire
                .call("hello", json!({"protocol": 1, "session_id": session}))
                .map(drop),
        }
    }
}
