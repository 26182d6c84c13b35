//! The log: set up once, before the verb runs. Text and JSON go to standard error or a file, or lines go to the journal;
//! in each form a line carries the fields of the spans around it, so that task and session are on all lines of a run.

mod file;
mod journal;
mod json;

pub use file::reopen;

use super::failure::Failure;
use super::globals::Globals;
use kirosu_config::Loaded;
use kirosu_config::settings::LogFormat;
use std::io::{self, IsTerminal};
use std::sync::OnceLock;
use tracing_subscriber::fmt::format::JsonFields;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Layered, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, registry, reload};

/// For a verb that speaks to a hub: warnings, or more with `--verbose`, on standard error.
pub fn for_client(globals: &Globals) {
    let level = match (globals.verbose, globals.quiet) {
        (true, _) => "debug",
        (_, true) => "rmcp=off,error",
        _ => "rmcp=off,warn",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(io::stderr().is_terminal() && !globals.no_color)
        .with_writer(io::stderr);
    // Fails only when a log was set up before, as tests of this process may have done.
    let _ = builder.try_init();
}

/// For a verb that serves: as `[log]` says.
///
/// # Errors
/// When the level cannot be read, the file not be opened, or there is no journal.
pub fn for_server(loaded: &Loaded, globals: &Globals) -> Result<(), Failure> {
    let log = &loaded.settings.log;
    let (filter, level) = reload::Layer::new(filter(&log.level)?);
    let lines = match (log.format, &log.file) {
        (LogFormat::Journald, None) => journal::layer()?.boxed(),
        (LogFormat::Journald, Some(path)) => {
            let tried = "cannot log to the journal (log.format is \"journald\")";
            let why = format!("log.file is {}; unset one of the two", path.display());
            return Err(Failure::local(tried, why));
        }
        (format, Some(path)) => {
            let file = file::open(path)?;
            lines(format, BoxMakeWriter::new(move || file), false)
        }
        (format, None) => {
            let plain = globals.no_color
                || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            let colours = io::stderr().is_terminal() && !plain;
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

/// Logs from now on what this directive says.
///
/// # Errors
/// When it cannot be read; the old one stays.
pub fn set_level(level: &str) -> Result<(), String> {
    let filter = EnvFilter::try_new(level).map_err(|why| why.to_string())?;
    // Without a log of ours there is nothing to change.
    LEVEL.get().map_or(Ok(()), |log| {
        log.reload(filter).map_err(|why| why.to_string())
    })
}

type Filtered = Layered<reload::Layer<EnvFilter, Registry>, Registry>;

/// The level of a server's log, to be changed while it runs.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

fn filter(level: &str) -> Result<EnvFilter, Failure> {
    // rmcp warns of whatever a client does wrong; a level that names it counts.
    EnvFilter::try_new(format!("rmcp=off,{level}"))
        .map_err(|why| Failure::local(format!("cannot read log.level {level:?}"), why))
}

fn lines(
    format: LogFormat,
    writer: BoxMakeWriter,
    colours: bool,
) -> Box<dyn Layer<Filtered> + Send + Sync> {
    let layer = tracing_subscriber::fmt::layer()
        // Told of a line that cannot be written, it would print to standard error, and panic where that is full as well.
        .log_internal_errors(false)
        .with_ansi(colours)
        .with_writer(writer);
    match format {
        LogFormat::Json => layer
            .fmt_fields(JsonFields::new())
            .event_format(json::Flat)
            .boxed(),
        _ => layer.boxed(),
    }
}
