//! `ack`: reports the end of runs. The answer is sent when the end is durable.
//!
//! ```text
//! {"id":1,"method":"ack","params":{"task_id":42,"fence":1,"status":"done","result":"It says hello."}}
//! {"id":1,"result":{"ok":true},"error":null}
//! ```
//!
//! Several runs are reported as `"acks":[{...},{...}]` and answered with
//! `{"acks":[{"task_id":42,"ok":true},{"task_id":43,"error":{...}}]}`. With `"lease":{...}`, the parameters of `lease`, the same
//! request takes the next tasks, answered as `"tasks":[...]`.

use super::seconds_or_null;
use crate::limits::LAST_MS;
use crate::{
    Error, FailureClass, Fence, LeaseParams, Limits, Method, Params, Task, TaskConversation,
    TaskId, Usage, Verb,
};
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};
use std::time::Duration;

/// The outcome of a run, as its worker reports it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum AckStatus {
    /// The run has a result.
    #[default]
    Done,
    /// The run failed.
    Failed,
}

/// The report of an ended run.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Ack {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// The lease's fence. `None` means the lease taken over this connection, else the task's current lease.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub fence: Option<Fence>,
    /// The worker that holds the lease. If given, another holder's lease is refused as `stale_lease`.
    pub worker_id: Option<String>,
    /// The outcome.
    pub status: AckStatus,
    /// The result.
    pub result: Option<String>,
    /// The reason of the failure.
    pub error: Option<String>,
    /// The class of the failure. `None` means `provider_error`.
    pub class: Option<FailureClass>,
    /// Unix milliseconds before which a retry would fail as well, at most 366 days ahead.
    #[serde(rename = "retry_at", serialize_with = "seconds_or_null")]
    #[cfg_attr(feature = "schema", schema(value_type = Option<f64>))]
    pub retry_at_ms: Option<i64>,
    /// The tokens and the cost of the run.
    pub usage: Option<Usage>,
    /// Whether the task's `accept` clauses were checked and hold. Required for a task with clauses to be done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "schema", schema(required = false))]
    pub accepted: bool,
    /// The provider's name, for metrics, `usage` and budgets.
    pub provider: Option<String>,
    /// The pool's name, for `usage` and budgets.
    pub pool: Option<String>,
    /// The model's name, for `usage`.
    pub model: Option<String>,
    /// The conversation that a task with `continues` can go on with.
    pub conversation: Option<Box<TaskConversation>>,
}

impl Ack {
    /// The report of a run with a result.
    pub fn done(task_id: TaskId, fence: Option<Fence>, result: impl Into<String>) -> Ack {
        Ack {
            task_id,
            fence,
            result: Some(result.into()),
            ..Ack::default()
        }
    }

    /// The report of a run that failed.
    pub fn failed(
        task_id: TaskId,
        fence: Option<Fence>,
        class: FailureClass,
        error: impl Into<String>,
    ) -> Ack {
        Ack {
            task_id,
            fence,
            status: AckStatus::Failed,
            error: Some(error.into()),
            class: Some(class),
            ..Ack::default()
        }
    }

    /// Reads the parameters of one report.
    ///
    /// # Errors
    /// As [`Verb::read`].
    pub fn read(params: &Params<'_>, limits: &Limits) -> Result<Ack, Error> {
        Ok(Ack {
            task_id: params.task_id()?,
            fence: params.opt_int("fence", 0..=i64::MAX)?,
            worker_id: params.opt_name("worker_id", limits)?,
            status: read_status(params)?,
            result: params.opt_text_or_json("result")?,
            error: params.opt_text_or_json("error")?,
            class: params.opt_word("class")?,
            retry_at_ms: params
                .opt_seconds("retry_at", 0..=LAST_MS)?
                .map(|ms| ms as i64),
            usage: read_usage(params)?,
            accepted: params.flag("accepted", false)?,
            provider: params.opt_name("provider", limits)?,
            pool: params.opt_name("pool", limits)?,
            model: params.opt_name("model", limits)?,
            conversation: TaskConversation::read(params, limits)?.map(Box::new),
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

/// One or several reports, and optionally a lease.
#[derive(Clone, Debug, PartialEq)]
pub struct AckParams {
    /// The reports; at least one.
    pub acks: Vec<Ack>,
    /// Whether the request has the form for one report: a refusal is the answer's error then, and nothing is leased.
    pub single: bool,
    /// The tasks to lease after the reports.
    pub lease: Option<Box<LeaseParams>>,
}

impl AckParams {
    /// The request with one report.
    pub fn one(ack: Ack) -> AckParams {
        AckParams {
            acks: vec![ack],
            single: true,
            lease: None,
        }
    }
}

impl Serialize for AckParams {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[serde_with::skip_serializing_none]
        #[derive(Serialize)]
        struct Single<'a> {
            #[serde(flatten)]
            ack: &'a Ack,
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

/// The outcome of one of several reports.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AckOutcome {
    /// The task.
    #[cfg_attr(feature = "schema", schema(value_type = i64))]
    pub task_id: TaskId,
    /// `true` if the report was accepted.
    pub ok: Option<bool>,
    /// The error if it was refused.
    #[cfg_attr(feature = "schema", schema(value_type = Option<crate::schema::ErrorSchema>))]
    pub error: Option<Error>,
}

impl AckOutcome {
    /// The outcome for a task.
    pub fn of(task_id: TaskId, outcome: Result<(), Error>) -> AckOutcome {
        AckOutcome {
            task_id,
            ok: outcome.is_ok().then_some(true),
            error: outcome.err(),
        }
    }
}

/// The answer to both forms.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AckAnswer {
    /// `true`, for the form with one report.
    pub ok: Option<bool>,
    /// One outcome per report, for the form with several.
    pub acks: Option<Vec<AckOutcome>>,
    /// The leased tasks, if the request has a lease.
    pub tasks: Option<Vec<Task>>,
}

impl Verb for AckParams {
    const METHOD: Method = Method::Ack;
    type Answer = AckAnswer;

    /// One invalid entry of `acks` refuses the whole request.
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
