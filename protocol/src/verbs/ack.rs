//! `ack`: a run ended; the answer is given once it is durable.
//!
//! ```text
//! {"id":1,"method":"ack","params":{"task_id":42,"fence":1,"status":"done","result":"It says hello."}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```
//!
//! Several at once are `"acks":[{...},{...}]`, answered `{"acks":[{"task_id":42,"ok":true},{"task_id":43,"error":{...}}]}`.
//! With `"lease":{...}` (the parameters of `lease`) the same round trip takes the next tasks, answered as `"tasks":[...]`.

use super::{Verb, seconds_or_null};
use crate::error::Error;
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::task::{FailureClass, Fence, Task, TaskId, Usage};
use crate::verbs::lease::LeaseParams;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// How the worker says the run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckStatus {
    /// With a result.
    Done,
    /// Without one.
    Failed,
}

/// One ended run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ack {
    /// The task.
    pub task_id: TaskId,
    /// The lease's fence; without one the hub looks at the connection, then at the current lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fence: Option<Fence>,
    /// The holder, where said: another's is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker_id: Option<String>,
    /// How it ended.
    pub status: AckStatus,
    /// The result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The class of the failure; `provider_error` when none is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<FailureClass>,
    /// For `rate_limited`: Unix milliseconds before which a retry is useless.
    #[serde(
        rename = "retry_at",
        serialize_with = "seconds_or_null",
        skip_serializing_if = "Option::is_none"
    )]
    pub retry_at_ms: Option<i64>,
    /// What it consumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The task's `accept` clause was checked, and holds. A task that has one is done only with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub accepted: bool,
    /// What ran it, for the metrics: the provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The pool whose agent ran it, for `usage` and the budgets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// The model that answered, for `usage`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

impl Ack {
    /// A run that ended well.
    pub fn done(task_id: TaskId, fence: Option<Fence>, result: impl Into<String>) -> Ack {
        Ack {
            task_id,
            fence,
            worker_id: None,
            status: AckStatus::Done,
            result: Some(result.into()),
            error: None,
            class: None,
            retry_at_ms: None,
            usage: None,
            accepted: false,
            provider: None,
            pool: None,
            model: None,
        }
    }

    /// A run that failed.
    pub fn failed(
        task_id: TaskId,
        fence: Option<Fence>,
        class: FailureClass,
        error: impl Into<String>,
    ) -> Ack {
        Ack {
            status: AckStatus::Failed,
            result: None,
            error: Some(error.into()),
            class: Some(class),
            ..Ack::done(task_id, fence, "")
        }
    }

    /// Reads one ack's parameters.
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Ack, Error> {
        Ok(Ack {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            status: read_status(params)?,
            result: params.opt_text_or_json("result")?,
            error: params.opt_text_or_json("error")?,
            class: read_class(params)?,
            retry_at_ms: params
                .opt_seconds("retry_at", 0..=super::LAST_MS)?
                .map(|ms| ms as i64),
            usage: read_usage(params)?,
            accepted: params.flag("accepted", false)?,
            provider: params.opt_name("provider", limits)?,
            pool: params.opt_name("pool", limits)?,
            model: params.opt_name("model", limits)?,
        })
    }
}

fn read_status(params: &Params<'_>) -> Result<AckStatus, Error> {
    let word = params.opt_text("status").ok().flatten();
    match word.map(|w| w.trim().to_ascii_lowercase()).as_deref() {
        Some("done") => Ok(AckStatus::Done),
        Some("failed") => Ok(AckStatus::Failed),
        _ => Err(Error::invalid_params("status must be done|failed")),
    }
}

fn read_class(params: &Params<'_>) -> Result<Option<FailureClass>, Error> {
    match params.opt_text("class")?.as_deref() {
        None | Some("") => Ok(None),
        Some(word) => match FailureClass::from_name(word) {
            Some(class) => Ok(Some(class)),
            None => {
                let words = FailureClass::ALL.map(FailureClass::as_str).join(", ");
                Err(params.refuse("class", &format!("one of {words}")))
            }
        },
    }
}

fn read_usage(params: &Params<'_>) -> Result<Option<Usage>, Error> {
    let Some(fields) = params.object("usage")? else {
        return Ok(None);
    };
    let tokens = |name| {
        fields
            .opt_int(name, 0..=i64::MAX)
            .map(|n| n.unwrap_or(0) as u64)
    };
    Ok(Some(Usage {
        input_tokens: tokens("input_tokens")?,
        cache_read_tokens: tokens("cache_read_tokens")?,
        cache_write_tokens: tokens("cache_write_tokens")?,
        output_tokens: tokens("output_tokens")?,
        cost_usd: fields.opt_float("cost_usd", 0.0, 1e12)?,
        cost_estimated: fields.flag("cost_estimated", false)?,
    }))
}

/// One or several ended runs, and perhaps the next lease.
#[derive(Clone, Debug, PartialEq)]
pub struct AckParams {
    /// At least one.
    pub acks: Vec<Ack>,
    /// Whether it was the single form: its refusal is the answer's error, and nothing is leased then.
    pub single: bool,
    /// The next lease, in the same round trip.
    pub lease: Option<Box<LeaseParams>>,
}

impl AckParams {
    /// One ended run.
    pub fn one(ack: Ack) -> AckParams {
        AckParams {
            acks: vec![ack],
            single: true,
            lease: None,
        }
    }

    /// The same with the next lease in one round trip.
    pub fn then_lease(mut self, lease: LeaseParams) -> AckParams {
        self.lease = Some(Box::new(lease));
        self
    }
}

impl Serialize for AckParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Single<'a> {
            #[serde(flatten)]
            ack: &'a Ack,
            #[serde(skip_serializing_if = "Option::is_none")]
            lease: Option<&'a LeaseParams>,
        }
        if let ([ack], true) = (self.acks.as_slice(), self.single) {
            return Single {
                ack,
                lease: self.lease.as_deref(),
            }
            .serialize(serializer);
        }
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("acks", &self.acks)?;
        if let Some(lease) = &self.lease {
            map.serialize_entry("lease", lease)?;
        }
        map.end()
    }
}

/// How one of several acks went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AckOutcome {
    /// The task.
    pub task_id: TaskId,
    /// `true` when it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

impl AckOutcome {
    /// From how it went.
    pub fn of(task_id: TaskId, outcome: Result<(), Error>) -> AckOutcome {
        AckOutcome {
            task_id,
            ok: outcome.is_ok().then_some(true),
            error: outcome.err(),
        }
    }
}

/// The answer to either form.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AckAnswer {
    /// `true`, for the single form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<bool>,
    /// One for each ack, for the form with several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acks: Option<Vec<AckOutcome>>,
    /// The next tasks, where a lease was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks: Option<Vec<Task>>,
}

impl Verb for AckParams {
    const METHOD: Method = Method::Ack;
    type Answer = AckAnswer;

    /// Reads the parameters; one bad entry of `acks` refuses them all.
    fn read(params: &Params<'_>, limits: &Limits) -> Result<AckParams, Error> {
        let many = params.objects("acks", limits)?;
        let single = many.is_none();
        let acks = match many {
            None => vec![Ack::read(params, limits)?],
            Some(list) if list.is_empty() => {
                return Err(params.refuse("acks", "a list of at least one ack"));
            }
            Some(list) => list
                .iter()
                .map(|p| Ack::read(p, limits))
                .collect::<Result<_, _>>()?,
        };
        let lease = match params.object("lease")? {
            None => None,
            Some(fields) => Some(Box::new(LeaseParams::read(&fields, limits)?)),
        };
        Ok(AckParams {
            acks,
            single,
            lease,
        })
    }

    fn parked(&self) -> Duration {
        self.lease
            .as_ref()
            .map_or(Duration::ZERO, |lease| lease.parked())
    }
}
