//! The terminal: set up at the start, restored at the end, on a signal and on a panic.

use super::model::Model;
use super::views;
use crate::cli::Failure;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{
    self, DisableBracketedPaste, EnableBracketedPaste, Event, KeyEvent, KeyEventKind,
};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::layout::{Position, Rect};
use ratatui::{Terminal, TerminalOptions, Viewport};
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// Keys that can wait; a person types more slowly.
const QUEUE: usize = 64;
/// Bytes of a frame that are buffered before a flush.
const BUFFER: usize = 64 << 10;

/// Input of the user or the system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserInput {
    /// A key was pressed.
    Key(KeyEvent),
    /// A text was inserted from the clipboard.
    Paste(String),
    /// The new size of the terminal: columns, lines.
    Size((u16, u16)),
    /// A signal ends the process, or the terminal is gone.
    Terminated,
}

/// The terminal in raw mode.
pub struct TerminalScreen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    colour: bool,
    input: mpsc::Receiver<UserInput>,
    terminate: Signal,
    hangup: Signal,
    _guard: TerminalGuard,
}

impl TerminalScreen {
    /// Sets up the terminal of standard output.
    ///
    /// # Errors
    /// The terminal or the signal handlers cannot be set up.
    pub fn open(colour: bool) -> Result<TerminalScreen, Failure> {
        let failed = |why| Failure::local("cannot set up the terminal", why);
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let guard = TerminalGuard::set_up().map_err(failed)?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        let options = TerminalOptions {
            viewport: Viewport::Fullscreen,
        };
        let terminal = Terminal::with_options(backend, options).map_err(failed)?;
        Ok(TerminalScreen {
            terminal,
            colour,
            input: read_input(),
            terminate,
            hangup,
            _guard: guard,
        })
    }

    /// Columns and lines.
    pub fn size(&self) -> (u16, u16) {
        self.terminal
            .size()
            .map_or((80, 24), |size| (size.width, size.height))
    }

    /// Waits for the next input.
    pub async fn next(&mut self) -> Result<UserInput, Failure> {
        Ok(tokio::select! {
            input = self.input.recv() => input.unwrap_or(UserInput::Terminated),
            _ = self.terminate.recv() => UserInput::Terminated,
            _ = self.hangup.recv() => UserInput::Terminated,
        })
    }

    /// Draws a frame.
    pub fn draw(&mut self, model: &mut Model) -> Result<(), Failure> {
        let colour = self.colour;
        self.terminal
            .draw(|frame| views::draw(model, frame.buffer_mut(), colour))
            .map(drop)
            .map_err(|why| Failure::local("cannot draw on the terminal", why))
    }

    /// Marks the whole screen as out of date.
    pub fn clear(&mut self) -> Result<(), Failure> {
        let failed = |why| Failure::local("cannot clear the terminal", why);
        let size = self.terminal.size().map_err(failed)?;
        // `clear` would ask the terminal for the cursor's position, and the thread that reads keys would get the
        // answer.
        self.terminal
            .resize(Rect::from((Position::ORIGIN, size)))
            .map_err(failed)
    }
}

/// Reads keys on a thread of its own, because reading blocks. The thread ends with the process.
fn read_input() -> mpsc::Receiver<UserInput> {
    let (sender, input) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => UserInput::Key(key),
                Ok(Event::Resize(columns, lines)) => UserInput::Size((columns, lines)),
                Ok(Event::Paste(text)) => UserInput::Paste(text),
                Ok(_) => continue,
                Err(_) => UserInput::Terminated,
            };
            let is_last = input == UserInput::Terminated;
            if sender.blocking_send(input).is_err() || is_last {
                return;
            }
        }
    });
    input
}

/// Whether the terminal is in raw mode.
static IS_SET_UP: AtomicBool = AtomicBool::new(false);

/// Restores the terminal when it is dropped.
struct TerminalGuard;

impl TerminalGuard {
    fn set_up() -> io::Result<TerminalGuard> {
        restore_on_panic();
        IS_SET_UP.store(true, Ordering::SeqCst);
        let guard = TerminalGuard;
        enable_raw_mode()?;
        // Without the marks around a paste, its letters would be keys that act.
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            EnableBracketedPaste,
            Hide
        )?;
        Ok(guard)
    }
}

impl Drop for TerminalGuard {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal once.
fn restore() {
    if IS_SET_UP.swap(false, Ordering::SeqCst) {
        // A failure cannot be reported: the terminal itself has failed.
        let _ = execute!(
            io::stdout(),
            DisableBracketedPaste,
            LeaveAlternateScreen,
            Show
        );
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// Restores the terminal before a panic's message is printed.
fn restore_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            before(panic);
        }));
    });
}
