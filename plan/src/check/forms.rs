//! JSON schemas, and the clauses of `accept`, which the protocol's own reader checks.

use super::PlanCheck;
use crate::compiled::Work;
use kirosu_protocol::accept::{Accept, COMPILE_LIMIT, read_within};
use kirosu_protocol::params::Params;
use serde_json::{Value, json};

impl PlanCheck<'_> {
    pub(super) fn forms(&mut self) {
        let mut found = Vec::new();
        for at in &self.steps {
            let (step, path) = (at.step, &at.path);
            let schema = step.result.as_ref().and_then(|form| form.schema.as_ref());
            if let Some(schema) = schema {
                found.push((format!("{path}.result.schema"), json!({ "schema": schema })));
            }
            if let Work::Approve(work) = &step.work
                && let Some(form) = &work.form
            {
                found.push((format!("{path}.approve.form"), json!({ "schema": form })));
            }
            if let Some(accept) = &step.accept {
                found.push((format!("{path}.accept"), accept.clone()));
            }
        }
        let faults = read_within(COMPILE_LIMIT, || {
            let faults = found.into_iter();
            faults
                .filter_map(|(path, accept)| Some((path, refused(accept)?)))
                .collect::<Vec<_>>()
        });
        for (path, message) in faults {
            self.fault(&path, message, None);
        }
    }
}

/// The reason why the protocol refuses these clauses.
fn refused(accept: Value) -> Option<String> {
    let text = json!({ "accept": accept }).to_string();
    let params = Params::parse(&text);
    let error = params.and_then(|params| Accept::read(&params)).err()?;
    let message = error.message.trim_start_matches("invalid params: ");
    Some(message.replace("`accept.", "`"))
}
