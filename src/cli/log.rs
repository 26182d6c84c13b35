//! The log: set up once, before the verb runs.

use super::failure::Failure;
use super::globals::Globals;
use kirosu_config::Loaded;
use kirosu_config::settings::LogFormat;
use std::fs::File;
use std::io::{self, IsTerminal};
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// For a verb that speaks to a hub: warnings, or more with `--verbose`, on standard error.
pub fn for_client(globals: &Globals) {
    let level = match (globals.verbose, globals.quiet) {
        (true, _) => "debug",
        (_, true) => "error",
        _ => "warn",
    };
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(io::stderr().is_terminal() && !globals.no_color)
        .with_writer(io::stderr);
    // Fails only when a log was set up before, as tests of this process may have done.
    let _ = builder.try_init();
}

/// For a verb that serves: as `[log]` says.
pub fn for_server(loaded: &Loaded, globals: &Globals) -> Result<(), Failure> {
    let log = &loaded.settings.log;
    let filter = EnvFilter::try_new(&log.level)
        .map_err(|why| Failure::local(format!("cannot read log.level {:?}", log.level), why))?;
    let (writer, terminal) = match &log.file {
        None => (BoxMakeWriter::new(io::stderr), io::stderr().is_terminal()),
        Some(path) => {
            let file = File::options()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|why| {
                    Failure::local(format!("cannot open the log file {}", path.display()), why)
                })?;
            (BoxMakeWriter::new(Mutex::new(file)), false)
        }
    };
    let no_color = globals.no_color || std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(terminal && !no_color)
        .with_writer(writer);
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(())
}
