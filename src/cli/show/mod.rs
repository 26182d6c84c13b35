//! Output: for people on a terminal, for programs in a pipe.

pub mod accept;
mod layout;
pub mod progress;
pub mod run;
pub mod sheet;
pub mod spinner;
pub mod table;
pub mod task;

use super::failure::Failure;
use super::globals::Globals;
use crate::terminal::paint::Paint;
use crate::terminal::sanitizer::Sanitizer;
use jiff::tz::TimeZone;
use serde::Serialize;
use std::io::{self, ErrorKind, IsTerminal, Write};

/// Properties of standard output and standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Screen {
    /// Whether to print JSON instead of text: one document, or one per line for streams.
    pub json: bool,
    /// Whether standard error shows only errors.
    pub quiet: bool,
    /// Whether standard output may be coloured.
    pub colour: bool,
    /// The terminal's width in columns; `None` means that standard output is not a terminal and nothing is cut.
    pub width: Option<usize>,
    /// Whether standard error is a terminal that can show progress indicators.
    pub lively: bool,
    /// Whether times are in UTC on a terminal too.
    pub utc: bool,
}

impl Screen {
    /// Examines this process's standard output and error.
    pub fn new(globals: &Globals) -> Screen {
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

    /// The zone of printed times: the user's own on a terminal. `None` means UTC in the form for programs.
    pub fn zone(&self) -> Option<TimeZone> {
        let is_for_people = self.width.is_some() && !self.json && !self.utc;
        is_for_people
            .then(|| crate::terminal::zone::local().ok())
            .flatten()
    }

    /// Prints a text and ends its last line.
    ///
    /// # Errors
    /// Standard output is closed or cannot be written. The same holds for the methods below.
    pub fn print(&self, text: &str) -> Result<(), Failure> {
        let end = if text.is_empty() || text.ends_with('\n') {
            ""
        } else {
            "\n"
        };
        self.raw(&format!("{text}{end}"))
    }

    /// Prints a text that others wrote: sanitized on a terminal, unchanged in a pipe.
    pub fn print_untrusted(&self, text: &str) -> Result<(), Failure> {
        match self.width {
            Some(_) => self.print(&Sanitizer::whole(text)),
            None => self.print(text),
        }
    }

    /// Prints a text unchanged.
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

    /// Prints the answer of a verb: as JSON for programs, or as `show` prints it for people. Returns exit code 0.
    pub fn answer(
        &self,
        answer: &impl Serialize,
        show: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<u8, Failure> {
        match self.json {
            true => self.json(answer)?,
            false => show()?,
        }
        Ok(0)
    }

    /// Prints a sanitized line on standard error, unless `--quiet` or `--json` is set.
    pub fn note(&self, text: &str) -> Result<(), Failure> {
        if !self.quiet && !self.json {
            let text = Sanitizer::whole(text);
            // Overwrites a progress indicator, which is drawn again by its own timer.
            let text = match self.lively {
                true => format!("\r\x1b[K{text}"),
                false => text,
            };
            // The verb continues if standard error is closed.
            let _ = io::stderr()
                .lock()
                .write_all(format!("{text}\n").as_bytes());
        }
        Ok(())
    }

    /// Paints a text if colours are shown.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        paint.on(text, self.colour)
    }
}

/// Converts an error of standard output. A reader that has closed the pipe is not reported.
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

/// Columns and lines of the terminal of standard error, where progress is shown.
pub fn progress_room() -> (usize, usize) {
    let measured = rustix::termios::tcgetwinsize(io::stderr());
    let size = measured.map(|size| (usize::from(size.ws_col), usize::from(size.ws_row)));
    match size {
        Ok((columns, lines)) if columns > 0 && lines > 0 => (columns, lines),
        _ => (80, 24),
    }
}

fn terminal_width() -> usize {
    let measured = rustix::termios::tcgetwinsize(io::stdout()).map(|size| usize::from(size.ws_col));
    match measured {
        Ok(columns) if columns > 0 => columns,
        _ => 80,
    }
}
