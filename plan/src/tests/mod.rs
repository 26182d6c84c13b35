//! Whole plans.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod compiling;
mod drawing;
mod faults;
mod random;
mod rendering;

use crate::{Plan, PlanFormat, compile};

/// The example of the documentation.
const EXAMPLE: &str = include_str!("example.yaml");

fn yaml(text: &str) -> Plan {
    compile(text, PlanFormat::Yaml).unwrap_or_else(|faults| panic!("{faults}\n{text}"))
}

/// The faults of a plan, one text each.
fn faults(text: &str, format: PlanFormat) -> Vec<String> {
    let faults = compile(text, format)
        .map(|plan| plan.canonical())
        .unwrap_err();
    faults.0.iter().map(ToString::to_string).collect()
}
