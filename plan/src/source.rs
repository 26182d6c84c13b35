//! The text of a plan: its format, its size, and the marks around it in the answer of a planner.

use crate::check::check;
use crate::compiled::Plan;
use crate::fault::{PlanFault, PlanFaults};
use crate::limits::PLAN_BYTES;
use crate::place::Lines;
use crate::{toml_text, yaml};
use std::borrow::Cow;

/// The format of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanFormat {
    /// YAML, and JSON, which is a part of it.
    Yaml,
    /// TOML.
    Toml,
}

impl PlanFormat {
    /// The endings of plan files, in the order in which they are tried.
    pub const ENDINGS: [&str; 4] = ["yaml", "yml", "toml", "json"];

    /// The format of a file by the ending of its name; YAML without a known one.
    pub fn of_ending(ending: &str) -> PlanFormat {
        match ending {
            "toml" => PlanFormat::Toml,
            _ => PlanFormat::Yaml,
        }
    }
}

/// Compiles a plan. Around it there may be the fences of Markdown, and text outside of them, as in the answer of a planner.
///
/// # Errors
/// All faults; their positions are in `text`. A text beyond [`PLAN_BYTES`] is not read.
pub fn compile(text: &str, format: PlanFormat) -> Result<Plan, PlanFaults> {
    let lines = Lines::new(text);
    let fault = |(at, message): (usize, String)| PlanFault {
        place: lines.place(at),
        path: String::new(),
        message,
        nearest: None,
    };
    if text.len() > PLAN_BYTES {
        let message = format!(
            "a plan has at most {} MiB, and this has {} bytes",
            PLAN_BYTES >> 20,
            text.len()
        );
        return Err(PlanFaults(vec![fault((0, message))]));
    }
    let inner = unfenced(text, format);
    let root = match format {
        PlanFormat::Yaml => yaml::read(&inner),
        PlanFormat::Toml => toml_text::read(&inner),
    };
    match root {
        Ok(root) => check(&root, &lines),
        Err(faults) => Err(PlanFaults::sorted(faults.into_iter().map(fault).collect())),
    }
}

/// The text with blanks in place of the fences and everything outside of the first pair, so that positions stay.
///
/// In YAML no line of a value begins with a fence at its first column. In TOML one may, so there the text must begin with it.
fn unfenced(text: &str, format: PlanFormat) -> Cow<'_, str> {
    let mut fences = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("```") {
            fences.push((at, at + line.len()));
        }
        at += line.len();
    }
    let Some((first, start)) = fences.first().copied() else {
        return Cow::Borrowed(text);
    };
    if format == PlanFormat::Toml && !text.get(..first).unwrap_or("").trim().is_empty() {
        return Cow::Borrowed(text);
    }
    let end = match format {
        PlanFormat::Yaml => fences.get(1),
        PlanFormat::Toml => fences.last().filter(|_| fences.len() > 1),
    };
    let end = end.map_or(text.len(), |(end, _)| *end);
    let blank = |text: &str| -> String {
        // One blank per byte.
        text.bytes()
            .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
            .collect()
    };
    let part = |start: usize, end: usize| text.get(start..end).unwrap_or("");
    Cow::Owned(blank(part(0, start)) + part(start, end) + &blank(part(end, text.len())))
}
