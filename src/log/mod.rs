//! The log, set up once before the verb runs. It writes text or JSON to standard error or a file, or entries to the
//! journal. Each line has the fields of the spans around it, so that all lines of a run name its task and session.

mod file;
mod journal;
mod json;

pub use file::reopen;

use kirosu_config::Loaded;
use kirosu_config::LogFormat;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, registry, reload};

/// Logs to standard error, for a verb that is a client: warnings, everything down to `debug` if `verbose`, or only errors
/// if `quiet`.
pub fn for_client(verbose: bool, quiet: bool, colours: bool) {
    let level = match (verbose, quiet) {
        (true, _) => "debug",
        (_, true) => "rmcp=off,error",
        _ => "rmcp=off,warn",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(io::stderr().is_terminal() && colours)
        .with_writer(io::stderr);
    // Fails only if the process has a log already, as tests may.
    let _ = builder.try_init();
}

/// Logs as `[log]` of the settings says, for a verb that serves. `colours` permits colours on a terminal.
///
/// # Errors
/// The level cannot be read, the file cannot be opened, or there is no journal.
pub fn for_server(loaded: &Loaded, colours: bool) -> Result<(), String> {
    let log = &loaded.settings.log;
    let (filter, level) = reload::Layer::new(filter(&log.level)?);
    let lines = match (log.format, &log.file) {
        (LogFormat::Journald, None) => journal::layer()?.boxed(),
        (LogFormat::Journald, Some(path)) => {
            return Err(format!(
                "cannot log to the journal (log.format is \"journald\"): log.file is {}; unset one of the two",
                path.display()
            ));
        }
        (format, Some(path)) => {
            let file = file::open(path)?;
            lines(format, BoxMakeWriter::new(move || file), false)
        }
        (format, None) => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colours = colours && !refused && io::stderr().is_terminal();
            lines(format, BoxMakeWriter::new(io::stderr), colours)
        }
    };
    if registry().with(filter).with(lines).try_init().is_ok() {
        let _ = LEVEL.set(level);
    }
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}

/// Changes the level of the log.
///
/// # Errors
/// The directive cannot be read; the level does not change.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|why| why.to_string())?;
    // The process has no log of its own if it is a test.
    LEVEL.get().map_or(Ok(()), |log| {
        log.reload(filter).map_err(|why| why.to_string())
    })
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;

/// Handle to change the level while the process runs.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn filter(level: &str) -> Result<EnvFilter, String> {
    // rmcp warns of every mistake of a client. A level that names rmcp overrides this.
    EnvFilter::try_new(format!("rmcp=off,{level}"))
        .map_err(|why| format!("cannot read log.level {level:?}: {why}"))
}

fn lines(
    format: LogFormat,
    writer: BoxMakeWriter,
    colours: bool,
) -> Box<dyn Layer<Filtered> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer()
        // On a failed write the layer would print to standard error, and panic if that is full as well.
        .log_internal_errors(false)
        .with_ansi(colours)
        .with_writer(writer);
    match format {
        LogFormat::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(json::FlatJson)
            .boxed(),
        _ => layer.boxed(),
    }
}
