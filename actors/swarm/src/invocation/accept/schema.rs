//! `schema`: checked against the answer in a process of its own. A schema can be written so that the check never
//! ends, and a thread cannot be ended.

use std::io::{Read, Write};
use std::process::ExitCode;
use std::time::Duration;

use kirosu_providers::{EventSink, Program, RunFailure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Check;

/// The hidden verb of the executable that runs [`main`].
pub const VERB: &str = "__match-schema";
/// Time limit of the check.
const LIMIT: Duration = Duration::from_secs(20);

/// The input of the process.
#[derive(Serialize, Deserialize)]
struct SchemaCheck {
    schema: Value,
    answer: String,
}

impl Check<'_> {
    pub(super) async fn schema(
        &self,
        schema: &Value,
        answer: &str,
    ) -> Result<Option<String>, RunFailure> {
        let Some(containment) = &self.parts.options.containment else {
            return Ok(Some(
                "the schema was not checked: this process runs no programs other than its providers"
                    .to_owned(),
            ));
        };
        let question = SchemaCheck {
            schema: schema.clone(),
            answer: answer.to_owned(),
        };
        let this = containment.runner.program.to_string_lossy().into_owned();
        let program = Program {
            env_pass: Some(Vec::new()),
            stdin: serde_json::to_vec(&question).unwrap_or_default(),
            limit: LIMIT,
            ..Program::new(vec![this, VERB.to_owned()], "/")
        };
        let discard = EventSink::discard();
        let run = async || {
            program
                .run(containment, &discard, self.parts.cancel.clone())
                .await
        };
        let end = self.run("the check of the schema", run).await?;
        if !end.is_good() {
            let exit = &end.exit;
            return Ok(Some(format!(
                "the answer could not be checked against the schema: the check {exit}"
            )));
        }
        let faults: Vec<String> = serde_json::from_str(&end.stdout)
            .unwrap_or_else(|why| vec![format!("the check's answer cannot be read: {why}")]);
        Ok((!faults.is_empty()).then(|| {
            let faults = faults.join(", ");
            format!("the answer does not match the schema: {faults}")
        }))
    }
}

/// The process: reads a [`SchemaCheck`] from standard input, prints the faults as a JSON list.
pub fn main() -> ExitCode {
    let mut text = String::new();
    if std::io::stdin().read_to_string(&mut text).is_err() {
        return ExitCode::FAILURE;
    }
    let Ok(SchemaCheck { schema, answer }) = serde_json::from_str(&text) else {
        return ExitCode::FAILURE;
    };
    let faults = kirosu_protocol::accept::schema_faults(&schema, &answer);
    let told = serde_json::to_string(&faults).unwrap_or_default();
    match std::io::stdout().write_all(told.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
