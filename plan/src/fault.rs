//! Faults of plans. A check reports all of them at once.

use crate::limits::FAULTS_MAX;
use crate::place::Place;
use kirosu_protocol::text::write_lines;
use serde::Serialize;
use std::fmt;

/// One fault of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanFault {
    /// Its position in the text.
    #[serde(flatten)]
    pub place: Place,
    /// The path of the faulty value, such as `pipeline[2].map.over`. Empty for the plan as a whole.
    pub path: String,
    /// The fault and the allowed values, in one sentence that starts in lower case.
    pub message: String,
    /// The known word that is most similar to a wrong one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.place.line, self.place.column)?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.nearest {
            Some(word) => write!(f, "; did you mean {word}?"),
            None => Ok(()),
        }
    }
}

/// All faults of a plan, by their positions: at least one, at most [`FAULTS_MAX`]. `Display` writes one per line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PlanFaults(pub Vec<PlanFault>);

impl fmt::Display for PlanFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_lines(f, &self.0)
    }
}

impl PlanFaults {
    /// Sorts the faults by position, removes repeated ones and keeps the first [`FAULTS_MAX`].
    pub(crate) fn sorted(mut faults: Vec<PlanFault>) -> PlanFaults {
        faults.sort_by(|one, other| {
            (one.place, &one.path, &one.message).cmp(&(other.place, &other.path, &other.message))
        });
        faults.dedup();
        faults.truncate(FAULTS_MAX);
        PlanFaults(faults)
    }
}
