//! The terminal: taken over at the start, given back however the dashboard ends: in order, by a signal, by a panic.

use super::model::Model;
use super::views;
use crate::cli::failure::Failure;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event, KeyEvent, KeyEventKind};
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

/// Keys that may wait; a person types slower.
const QUEUE: usize = 64;
/// What a frame writes at most before it is flushed.
const BUFFER: usize = 64 << 10;

/// What comes from the person's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size now: columns, lines.
    Size((u16, u16)),
    /// The process is told to end, or the terminal is gone.
    Terminated,
}

/// The taken terminal.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    colour: bool,
    input: mpsc::Receiver<Input>,
    terminate: Signal,
    hangup: Signal,
    _taken: Taken,
}

impl Screen {
    /// Takes the terminal of standard output.
    pub fn open(colour: bool) -> Result<Screen, Failure> {
        let failed = |why| Failure::local("cannot take the terminal", why);
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let hangup = signal(SignalKind::hangup()).map_err(failed)?;
        let taken = Taken::take().map_err(failed)?;
        let backend = CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout()));
        let options = TerminalOptions {
            viewport: Viewport::Fullscreen,
        };
        let terminal = Terminal::with_options(backend, options).map_err(failed)?;
        Ok(Screen {
            terminal,
            colour,
            input: read_input(),
            terminate,
            hangup,
            _taken: taken,
        })
    }

    /// Columns and lines.
    pub fn size(&self) -> (u16, u16) {
        self.terminal
            .size()
            .map_or((80, 24), |size| (size.width, size.height))
    }

    /// The next thing from the person's side.
    pub async fn next(&mut self) -> Result<Input, Failure> {
        Ok(tokio::select! {
            input = self.input.recv() => input.unwrap_or(Input::Terminated),
            _ = self.terminate.recv() => Input::Terminated,
            _ = self.hangup.recv() => Input::Terminated,
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

    /// Forgets what is on the screen, so that all of it is drawn anew.
    pub fn clear(&mut self) -> Result<(), Failure> {
        let failed = |why| Failure::local("cannot clear the terminal", why);
        let size = self.terminal.size().map_err(failed)?;
        // Not `clear`, which asks the terminal for the cursor's position: the thread that reads keys takes the answer.
        self.terminal
            .resize(Rect::from((Position::ORIGIN, size)))
            .map_err(failed)
    }
}

/// Reads keys on a thread of its own, as the terminal can only be waited for by a thread. It ends with the process.
fn read_input() -> mpsc::Receiver<Input> {
    let (tell, input) = mpsc::channel(QUEUE);
    std::thread::spawn(move || {
        loop {
            let input = match event::read() {
                Ok(Event::Key(key)) if key.kind != KeyEventKind::Release => Input::Key(key),
                Ok(Event::Resize(columns, lines)) => Input::Size((columns, lines)),
                Ok(_) => continue,
                Err(_) => Input::Terminated,
            };
            if tell.blocking_send(input).is_err() || input == Input::Terminated {
                return;
            }
        }
    });
    input
}

/// Whether the terminal is ours now.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Ours until it is dropped.
struct Taken;

impl Taken {
    fn take() -> io::Result<Taken> {
        give_back_on_panic();
        TAKEN.store(true, Ordering::SeqCst);
        let taken = Taken;
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once.
fn give_back() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        // There is nobody to tell a failure to but the terminal itself.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
        let _ = io::stdout().flush();
    }
}

/// A panic's message has to be readable.
fn give_back_on_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
    });
}
