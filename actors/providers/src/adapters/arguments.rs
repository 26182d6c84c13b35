//! The call of a program for a job: arguments and stdin, without I/O.

use std::borrow::Cow;

use crate::definition::{Definition, TrustProfile, escaped};
use crate::job::{Job, TrustLevel};
use crate::outcome::{FailureKind, RunFailure};

/// Bytes of a system prompt in an argument, at most. Linux limits one argument to 128 KiB.
const SYSTEM_ARGUMENT: usize = 96 * 1024;

/// The profile of a job's trust.
pub(crate) fn profile(definition: &Definition, trust: TrustLevel) -> &TrustProfile {
    match trust {
        TrustLevel::Safe => &definition.trust.safe,
        TrustLevel::Edit => &definition.trust.edit,
        TrustLevel::All => &definition.trust.all,
    }
}

/// The system prompt for an argument. `None` where it goes before the prompt.
fn system<'j>(definition: &Definition, job: &'j Job) -> Option<&'j str> {
    let system = job.system_prompt.as_deref()?;
    let fits = system.len() <= SYSTEM_ARGUMENT && !system.contains('\0');
    (fits && !definition.system_args.is_empty()).then_some(system)
}

/// Whether the program can continue a conversation.
pub(crate) fn resumes(definition: &Definition) -> bool {
    let has_place = definition.command.iter().any(|it| it == "{resume_args}");
    has_place && !definition.resume_args.is_empty()
}

/// The text for the program's stdin. Takes the prompt out of the job.
pub(crate) fn stdin(definition: &Definition, job: &mut Job) -> String {
    let prompt = std::mem::take(&mut job.prompt);
    match &job.system_prompt {
        Some(text) if system(definition, job).is_none() => format!("{text}\n\n{prompt}"),
        _ => prompt,
    }
}

/// Program and arguments of one job.
///
/// # Errors
/// When a value of the job would become an option of the program.
pub(crate) fn argv(definition: &Definition, job: &Job) -> Result<Vec<String>, RunFailure> {
    argv_with(definition, job, &[])
}

/// As [`argv`], with `mcp` in place of `{mcp_args}`.
///
/// # Errors
/// As [`argv`].
pub(super) fn argv_with(
    definition: &Definition,
    job: &Job,
    mcp: &[String],
) -> Result<Vec<String>, RunFailure> {
    let given = |args: &'_ [String], is_given: bool| match is_given {
        true => args.to_vec(),
        false => Vec::new(),
    };
    let mut argv = Vec::new();
    for part in &definition.command {
        let group = match part.as_str() {
            "{mcp_args}" => {
                argv.extend_from_slice(mcp);
                continue;
            }
            "{model_args}" => given(&definition.model_args, job.model.is_some()),
            "{resume_args}" => given(&definition.resume_args, job.conversation.is_some()),
            "{system_args}" => given(&definition.system_args, system(definition, job).is_some()),
            "{trust_args}" => profile(definition, job.trust).args.clone(),
            "{extra_args}" => definition.extra_args.clone(),
            // Without a model the argument is left out.
            "{model}" if job.model.is_none() => Vec::new(),
            _ => vec![part.clone()],
        };
        for argument in group {
            argv.push(fill_in(&argument, definition, job)?);
        }
    }
    Ok(argv)
}

impl Definition {
    /// Program and arguments of a run with this trust level and model, for display.
    ///
    /// # Errors
    /// When the model would become an option of the program: a sentence.
    pub fn call(&self, trust: TrustLevel, model: Option<&str>) -> Result<Vec<String>, String> {
        let mut job = Job::new("", "{workdir}");
        job.trust = trust;
        job.model = model.map(str::to_owned);
        argv(self, &job).map_err(|failure| failure.message)
    }
}

/// Fills the placeholders of one argument. A value of the job must not become an option of the program.
fn fill_in(argument: &str, definition: &Definition, job: &Job) -> Result<String, RunFailure> {
    if !argument.contains('{') {
        return Ok(argument.to_owned());
    }
    let mut filled = String::new();
    let mut rest = argument;
    // In one pass, so that braces in a value stay as they are.
    while let Some(start) = rest.find('{') {
        let (before, from) = rest.split_at(start);
        filled.push_str(before);
        if let Some(text) = escaped(from) {
            filled.push_str(text);
            rest = &from[text.len() + 2..];
            continue;
        }
        let place = from.find('}').map(|end| &from[..=end]);
        let value = place.and_then(|place| value(place, definition, job));
        match (place, value) {
            (Some(place), Some(value)) => {
                filled.push_str(&value);
                rest = &from[place.len()..];
            }
            _ => {
                filled.push('{');
                rest = &from[1..];
            }
        }
    }
    filled.push_str(rest);
    if filled.starts_with('-') && !argument.starts_with('-') {
        let message = format!("'{filled}' in place of {argument} would be an option; name another");
        return Err(RunFailure::new(FailureKind::BadInput, message));
    }
    Ok(filled)
}

fn value<'j>(place: &str, definition: &Definition, job: &'j Job) -> Option<Cow<'j, str>> {
    Some(match place {
        "{model}" => job.model.as_deref().unwrap_or_default().into(),
        "{workdir}" => job.workdir.to_string_lossy(),
        "{task_id}" => job.task_id.to_string().into(),
        "{task_type}" => job.task_type.as_str().into(),
        "{session}" => job.conversation.as_ref()?.session.as_str().into(),
        "{system}" => system(definition, job)?.into(),
        // Valid as a TOML basic string too, except for DEL, which JSON does not escape.
        "{system_quoted}" => serde_json::to_string(system(definition, job)?)
            .ok()?
            .replace('\u{7f}', "\\u007f")
            .into(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Conversation;

    fn definition(preset: Option<&str>, overrides: serde_json::Value) -> Definition {
        Definition::read(preset, overrides.as_object().unwrap()).unwrap()
    }

    fn codex(job: &Job) -> String {
        let codex = definition(Some("codex"), serde_json::json!({}));
        argv(&codex, job).unwrap().join(" ")
    }

    #[test]
    fn arguments_are_filled_in() {
        let command = [
            "x",
            "-C",
            "{workdir}",
            "--for={task_type} {{model}}",
            "{model}",
        ];
        let plain = definition(None, serde_json::json!({ "command": command }));
        let mut job = Job::new("p", "/w{model}");
        let args = argv(&plain, &job).unwrap();
        assert_eq!(args, ["x", "-C", "/w{model}", "--for=chat {model}"]);
        job.model = Some("m".to_owned());
        assert_eq!(argv(&plain, &job).unwrap()[4], "m");
        job.model = Some("--trust-all-tools".to_owned());
        let failure = argv(&plain, &job).unwrap_err();
        assert_eq!(failure.kind, FailureKind::BadInput);
    }

    #[test]
    fn groups_expand_to_the_jobs_values_and_trust_must_be_explicit() {
        let mut job = Job::new("p", "/w");
        let start = "codex exec --json --skip-git-repo-check";
        assert_eq!(codex(&job), format!("{start} -s read-only -"));
        job.trust = TrustLevel::All;
        job.model = Some("m".to_owned());
        job.system_prompt = Some("be \"brief\"\n".to_owned());
        job.conversation = Some(Conversation {
            session: "S".to_owned(),
            ..Conversation::default()
        });
        assert_eq!(
            codex(&job),
            format!(
                "{start} --dangerously-bypass-approvals-and-sandbox -m m -c developer_instructions=\"be \\\"brief\\\"\\n\" resume S -"
            )
        );
        let kiro = definition(Some("kiro"), serde_json::json!({}));
        assert!(
            argv(&kiro, &job)
                .unwrap()
                .contains(&"--trust-all-tools".to_owned())
        );
        job.trust = TrustLevel::Safe;
        assert!(
            !argv(&kiro, &job)
                .unwrap()
                .contains(&"--trust-all-tools".to_owned())
        );
    }

    #[test]
    fn the_system_prompt_goes_to_its_flag_or_before_the_prompt() {
        let job = |system: &str| {
            let mut job = Job::new("p", "/w");
            job.system_prompt = Some(system.to_owned());
            job
        };
        let claude = definition(Some("claude"), serde_json::json!({}));
        let mut short = job("-brief");
        let args = argv(&claude, &short).unwrap();
        assert!(args.contains(&"--append-system-prompt=-brief".to_owned()));
        assert_eq!(stdin(&claude, &mut short), "p");
        let mut long = job(&"x".repeat(SYSTEM_ARGUMENT + 1));
        assert!(
            argv(&claude, &long)
                .unwrap()
                .iter()
                .all(|it| it.len() < 100)
        );
        assert!(stdin(&claude, &mut long).ends_with("x\n\np"));
        let kiro = definition(Some("kiro"), serde_json::json!({}));
        assert_eq!(stdin(&kiro, &mut job("brief")), "brief\n\np");
    }
}
