//! `kirosu completions`: for the shell.

use super::failure::Failure;
use super::show::Screen;
use clap::CommandFactory;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  kirosu completions bash > ~/.local/share/bash-completion/completions/kirosu
  kirosu completions zsh > ~/.zfunc/_kirosu
  kirosu completions fish > ~/.config/fish/completions/kirosu.fish";

/// Prints completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// The shell
    shell: Shell,
}

/// Prints them.
pub fn run(args: &Args, screen: &Screen) -> Result<u8, Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut super::Cli::command(), "kirosu", &mut text);
    screen.print(&String::from_utf8_lossy(&text))?;
    Ok(0)
}
