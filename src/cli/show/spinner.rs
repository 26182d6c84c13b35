//! Progress indicators on standard error, only on a terminal. They are removed at the end.

use super::Screen;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};
use std::time::Duration;

/// The frames of a spinner; the last one is its end.
const TICKS: &str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏ ";

/// A progress indicator.
pub type Indicator = ProgressBar;

/// A spinner with a message; hidden if standard error is not a terminal.
pub fn spinner(screen: &Screen, message: impl Into<String>) -> ProgressBar {
    let spinner = hidden_unless(screen, ProgressBar::no_length());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        spinner.set_style(style.tick_chars(TICKS));
    }
    spinner.set_message(message.into());
    if screen.lively {
        spinner.enable_steady_tick(Duration::from_millis(100));
    }
    spinner
}

/// A spinner whose message has several lines below its prefix; hidden if standard error is not a terminal.
pub fn live(screen: &Screen) -> ProgressBar {
    let spinner = spinner(screen, "");
    if let Ok(style) = ProgressStyle::with_template("{spinner} {prefix} ({elapsed})\n{msg}") {
        spinner.set_style(style.tick_chars(TICKS));
    }
    spinner
}

/// A progress bar of `length` steps; hidden if standard error is not a terminal.
pub fn bar(screen: &Screen, length: u64, noun: &str) -> ProgressBar {
    let bar = hidden_unless(screen, ProgressBar::new(length));
    let template =
        format!("{{wide_bar:.cyan/dim}} {{human_pos}} of {{human_len}} {noun}, {{eta}} left");
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar
}

/// Removes the line also when the bar is dropped on an error.
fn hidden_unless(screen: &Screen, bar: ProgressBar) -> ProgressBar {
    let bar = bar.with_finish(ProgressFinish::AndClear);
    if !screen.lively {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    bar
}
