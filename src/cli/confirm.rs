//! Asks before a change.

use super::{Context, Failure};
use std::io::{self, IsTerminal};

/// Whether the person at the terminal agrees. `otherwise`: advice for a command without a terminal.
///
/// # Errors
/// There is no terminal on which to ask, or the answer cannot be read.
pub fn confirmed(question: &str, otherwise: &str, context: &Context) -> Result<bool, Failure> {
    if context.screen.json || !io::stdin().is_terminal() {
        return Err(Failure::Usage(format!(
            "standard input is not a terminal on which to ask: {otherwise}"
        )));
    }
    context.screen.raw(&format!("{question} [y/N] "))?;
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|why| Failure::local("cannot read the answer", why))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
