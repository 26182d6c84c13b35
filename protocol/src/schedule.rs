//! Schedules: rules by which the hub itself adds tasks, at times.
//!
//! A firing adds the task of the schedule, and moves the schedule to its next time, in one commit. The task of a schedule may
//! be of any type; one of the type `plan` is a run of a plan.

use crate::limits::DAY_MS;
use crate::params::Params;
use crate::verbs::{seconds, seconds_or_null, skip_zero};
use crate::{Error, Status, TaskId};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// The beginning of the label of each task that a schedule adds; the name of the schedule follows.
pub const SCHEDULE_LABEL: &str = "schedule:";
/// The most bytes of a schedule's task, as JSON.
pub const SCHEDULE_TASK_BYTES: usize = 1 << 20;
/// The most schedules of a hub.
pub const SCHEDULES: usize = 1000;
/// The greatest number of `all<=N`.
pub const MISSED_MAX: u32 = 100;
/// The range of `every_seconds`, in milliseconds.
pub const EVERY_MS: RangeInclusive<u64> = 1000..=3660 * DAY_MS;
/// The range of `jitter_seconds`, in milliseconds.
pub const JITTER_MS: RangeInclusive<u64> = 0..=DAY_MS;
/// The time zone of a cron expression that names none.
pub const UTC: &str = "UTC";

/// The times of a schedule.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub enum ScheduleSpec {
    /// Again and again after this time, counted from when the schedule was added.
    Every {
        /// Milliseconds.
        #[serde(
            rename = "every_seconds",
            serialize_with = "seconds",
            deserialize_with = "unsigned_ms"
        )]
        #[cfg_attr(feature = "schema", schema(value_type = f64))]
        every_ms: u64,
    },
    /// The times of a cron expression.
    Cron {
        /// Minute, hour, day of the month, month and day of the week; or a name such as `@daily`.
        cron: String,
        /// The IANA time zone, such as `Europe/Berlin`.
        tz: String,
    },
    /// Once.
    At {
        /// Unix milliseconds.
        #[serde(
            rename = "at",
            serialize_with = "signed_seconds",
            deserialize_with = "signed_ms"
        )]
        #[cfg_attr(feature = "schema", schema(value_type = f64))]
        at_ms: i64,
    },
}

impl ScheduleSpec {
    /// Reads the parameters `every_seconds`, `cron` with `tz`, and `at`, of which one must be given.
    ///
    /// # Errors
    /// `invalid_params` for none, for several, and for values out of range. Whether the expression and the time zone are
    /// valid, the hub finds out.
    pub fn read(params: &Params<'_>) -> Result<ScheduleSpec, Error> {
        let every = params.opt_seconds("every_seconds", EVERY_MS)?;
        let cron = params.opt_text("cron")?.filter(|text| !text.is_empty());
        let at = params.opt_seconds("at", 1..=crate::limits::LAST_MS)?;
        let tz = params.opt_text("tz")?.filter(|text| !text.is_empty());
        if tz.is_some() && cron.is_none() {
            return Err(Error::invalid_params(
                "invalid params: `tz` is the time zone of `cron`; leave it out",
            ));
        }
        match (every, cron, at) {
            (Some(every_ms), None, None) => Ok(ScheduleSpec::Every { every_ms }),
            (None, Some(cron), None) => Ok(ScheduleSpec::Cron {
                cron,
                tz: tz.unwrap_or_else(|| UTC.to_owned()),
            }),
            (None, None, Some(at_ms)) => Ok(ScheduleSpec::At {
                at_ms: at_ms as i64,
            }),
            _ => Err(Error::invalid_params(
                "invalid params: give one of `every_seconds`, `cron` and `at`",
            )),
        }
    }
}

impl fmt::Display for ScheduleSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScheduleSpec::Every { every_ms } => write!(f, "every {}s", *every_ms as f64 / 1000.0),
            ScheduleSpec::Cron { cron, tz } => write!(f, "cron {cron} ({tz})"),
            ScheduleSpec::At { at_ms } => write!(f, "at {}", *at_ms as f64 / 1000.0),
        }
    }
}

/// The treatment of times that passed while the hub was down, or that a wall clock which was set forward has skipped. On the
/// wire: `skip`, `one`, or `all<=N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissedPolicy {
    /// They are left out.
    Skip,
    /// One task is added for all of them.
    #[default]
    One,
    /// A task is added for each of the newest ones, at most this many; 1 to [`MISSED_MAX`].
    All(u32),
}

impl MissedPolicy {
    /// The forms of the name, for messages.
    pub const RULE: &str = "skip, one, or all<=N with N from 1 to 100";
}

impl fmt::Display for MissedPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MissedPolicy::Skip => f.write_str("skip"),
            MissedPolicy::One => f.write_str("one"),
            MissedPolicy::All(most) => write!(f, "all<={most}"),
        }
    }
}

impl FromStr for MissedPolicy {
    type Err = String;

    fn from_str(word: &str) -> Result<MissedPolicy, String> {
        let number = |text: &str| text.trim().parse().ok();
        match word.trim() {
            "skip" => Ok(MissedPolicy::Skip),
            "one" => Ok(MissedPolicy::One),
            word => word
                .strip_prefix("all<=")
                .and_then(number)
                .filter(|most| (1..=MISSED_MAX).contains(most))
                .map(MissedPolicy::All)
                .ok_or_else(|| format!("it is {}", MissedPolicy::RULE)),
        }
    }
}

impl Serialize for MissedPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MissedPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MissedPolicy, D::Error> {
        let word = String::deserialize(deserializer)?;
        word.parse().map_err(serde::de::Error::custom)
    }
}

wire_enum! {
    /// The behaviour at a time at which the task of the last firing is unfinished.
    pub enum OverlapPolicy {
        /// No task is added.
        Skip,
        /// A task is added all the same.
        Queue,
        /// The unfinished task is cancelled first.
        Cancel,
    }
}

/// A schedule, in the answer to `schedule_list`.
#[serde_with::skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// Its times.
    #[serde(flatten)]
    pub spec: ScheduleSpec,
    /// The treatment of times that passed.
    #[cfg_attr(feature = "schema", schema(value_type = String))]
    pub missed: MissedPolicy,
    /// The behaviour while the last task is unfinished.
    pub overlap: OverlapPolicy,
    /// The most milliseconds by which a firing is delayed.
    #[serde(
        default,
        rename = "jitter_seconds",
        serialize_with = "seconds",
        deserialize_with = "unsigned_ms",
        skip_serializing_if = "skip_zero"
    )]
    #[cfg_attr(feature = "schema", schema(value_type = f64))]
    pub jitter_ms: u64,
    /// Whether it is paused.
    pub paused: bool,
    /// The queue of its task.
    pub queue: String,
    /// The type of its task.
    #[serde(rename = "type")]
    pub task_type: String,
    /// The beginning of its task's prompt.
    pub prompt: String,
    /// Unix seconds of the next firing, with the jitter. `None` means that the schedule is finished.
    pub next_at: Option<f64>,
    /// Unix seconds of the newest time for which a task was added.
    pub last_at: Option<f64>,
    /// The newest task. It may have been pruned.
    #[cfg_attr(feature = "schema", schema(value_type = Option<i64>))]
    pub last_task: Option<TaskId>,
    /// The status of the newest task.
    pub last_status: Option<Status>,
    /// The number of tasks that it has added.
    pub fired: u64,
    /// The number of times that were left out, as the last task was unfinished.
    pub skipped: u64,
    /// The reason why no task was added at its newest time, or why it was paused.
    pub error: Option<String>,
    /// Unix seconds.
    pub created_at: f64,
}

fn signed_seconds<S: Serializer>(ms: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    seconds_or_null(&Some(*ms), serializer)
}

fn signed_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    Ok((f64::deserialize(deserializer)? * 1000.0).round() as i64)
}

fn unsigned_ms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok((f64::deserialize(deserializer)? * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn policies_have_a_name_each() {
        for word in ["skip", "one", "all<=1", "all<=100"] {
            assert_eq!(word.parse::<MissedPolicy>().unwrap().to_string(), word);
        }
        for bad in ["", "all", "all<=0", "all<=101", "all<=x", "two"] {
            assert!(bad.parse::<MissedPolicy>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for (given, spec) in [
            (
                json!({"every_seconds": 1.5}),
                ScheduleSpec::Every { every_ms: 1500 },
            ),
            (
                json!({"cron": "0 3 * * *", "tz": "Europe/Berlin"}),
                ScheduleSpec::Cron {
                    cron: "0 3 * * *".into(),
                    tz: "Europe/Berlin".into(),
                },
            ),
            (
                json!({"at": 1_790_000_000.25}),
                ScheduleSpec::At {
                    at_ms: 1_790_000_000_250,
                },
            ),
        ] {
            let text = given.to_string();
            let read = ScheduleSpec::read(&Params::parse(&text).unwrap()).unwrap();
            assert_eq!(read, spec);
            assert_eq!(serde_json::to_value(&spec).unwrap(), given);
            assert_eq!(serde_json::from_str::<ScheduleSpec>(&text).unwrap(), spec);
        }
        for bad in [
            "{}",
            r#"{"every_seconds":0.5}"#,
            r#"{"every_seconds":5,"at":9}"#,
            r#"{"every_seconds":5,"tz":"UTC"}"#,
        ] {
            let read = ScheduleSpec::read(&Params::parse(bad).unwrap());
            assert!(read.is_err(), "{bad}");
        }
    }
}
