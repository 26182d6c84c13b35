//! How things are shown: on a terminal for people, in a pipe for programs.

pub mod accept;
pub mod foreign;
mod layout;
pub mod paint;
pub mod progress;
pub mod sheet;
pub mod spinner;
pub mod table;
pub mod task;
pub mod text;
pub mod time;
pub mod zone;

use super::failure::Failure;
use super::globals::Globals;
use foreign::Foreign;
use jiff::tz::TimeZone;
use paint::Paint;
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// What is known of standard output and standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen {
    /// One JSON document (or one a line, for streams) instead of text.
    pub json: bool,
    /// Only errors on standard error.
    pub quiet: bool,
    /// Whether standard output may be coloured.
    pub colour: bool,
    /// The terminal's width in columns; none: standard output is no terminal, and nothing is shortened.
    pub width: Option<usize>,
    /// Whether standard error is a terminal that may show something moving.
    pub lively: bool,
    /// Whether times are shown in UTC on a terminal too.
    pub utc: bool,
}

impl Screen {
    /// Looks at this process's standard output and error.
    pub fn look(globals: &Globals) -> Screen {
        let terminal = io::stdout().is_terminal();
        let colourless = globals.no_color || set("NO_COLOR") || is("TERM", "dumb");
        Screen {
            json: globals.json,
            quiet: globals.quiet,
            colour: terminal && !colourless && !globals.json,
            width: terminal.then(terminal_width),
            lively: io::stderr().is_terminal()
                && !globals.json
                && !globals.quiet
                && !is("TERM", "dumb"),
            utc: globals.utc,
        }
    }

    /// The zone that moments are shown in: on a terminal the user's own, unless that is not wanted or not known. `None`:
    /// UTC, in the form for programs.
    pub fn zone(&self) -> Option<TimeZone> {
        let is_for_people = self.width.is_some() && !self.json && !self.utc;
        is_for_people.then(|| zone::local().ok()).flatten()
    }

    /// Prints a text and ends its last line.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.raw(&format!("{text}{end}"))
    }

    /// Prints a text that others wrote: on a terminal without what could steer it, in a pipe as it is.
    pub fn foreign(&self, text: &str) -> Result<(), Failure> {
        match self.width {
            Some(_) => self.print(&Foreign::whole(text)),
            None => self.print(text),
        }
    }

    /// Prints a text as it is.
    pub fn raw(&self, text: &str) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())
            .and_then(|()| out.flush())
            .map_err(output_failure)
    }

    /// Prints a value as JSON, on one line.
    pub fn json(&self, value: &impl Serialize) -> Result<(), Failure> {
        match serde_json::to_string(value) {
            Ok(text) => self.raw(&format!("{text}\n")),
            Err(why) => Err(Failure::local("cannot write the answer as JSON", why)),
        }
    }

    /// Tells something by the way, on standard error; not with `--quiet` or `--json`.
    pub fn note(&self, text: &str) -> Result<(), Failure> {
        if !self.quiet && !self.json {
            let text = Foreign::whole(text);
            // What moves on that line comes again by itself.
            let text = match self.lively {
                true => format!("\r\x1b[K{text}"),
                false => text,
            };
            // A closed standard error is no reason to end.
            let _ = io::stderr()
                .lock()
                .write_all(format!("{text}\n").as_bytes());
        }
        Ok(())
    }

    /// The text in a colour, where colours are shown.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        paint.on(text, self.colour)
    }
}

/// A failed write to standard output; a reader that has gone is no failure to report.
pub fn output_failure(why: io::Error) -> Failure {
    match why.kind() {
        ErrorKind::BrokenPipe => Failure::PipeClosed,
        _ => Failure::local("cannot write to standard output", why),
    }
}

fn set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

fn is(variable: &str, value: &str) -> bool {
    std::env::var_os(variable).is_some_and(|set| set == value)
}

fn terminal_width() -> usize {
    let measured = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    match measured {
        Ok(columns) if columns > 0 => columns,
        _ => 80,
    }
}
