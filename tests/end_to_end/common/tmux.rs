//! A terminal of one's own: tmux on a socket of its own, driven by keys and read as text.

// Not every test that has it uses all of it.

use crate::common::{PATIENCE, until};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::Instant;
use tempfile::TempDir;

/// A running tmux with one window; it ends with the test.
pub struct Tmux {
    directory: TempDir,
    pub size: (usize, usize),
}

impl Tmux {
    /// Starts a command in a window of that size. Its last output stays readable, with its exit code.
    pub fn start(size: (usize, usize), environment: &[(&str, &str)], command: &str) -> Tmux {
        let tmux = Tmux {
            directory: tempfile::tempdir().unwrap(),
            size,
        };
        let variables: String = environment
            .iter()
            .map(|(name, value)| format!("export {name}='{value}'; "))
            .collect();
        let command = format!("{variables}{command}; echo \"[exit $?]\"; exec sleep 600");
        let (columns, lines) = (size.0.to_string(), size.1.to_string());
        let window = [
            "new-session",
            "-d",
            "-s",
            "t",
            "-x",
            &columns,
            "-y",
            &lines,
            &command,
        ];
        let started = tmux.run(&window);
        assert!(
            started.status.success(),
            "tmux did not start: {}",
            String::from_utf8_lossy(&started.stderr)
        );
        tmux
    }

    fn socket(&self) -> PathBuf {
        self.directory.path().join("tmux")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("tmux");
        command
            .arg("-u")
            .arg("-S")
            .arg(self.socket())
            .args(["-f", "/dev/null"]);
        command
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TMUX")
            .env_remove("NO_COLOR");
        let output = command.args(arguments).output();
        output.expect("tmux is not there: install it (apt-get install tmux)")
    }

    /// The process id of the running command.
    pub fn pid(&self) -> i32 {
        let shell = self
            .run(&["list-panes", "-t", "t", "-F", "#{pane_pid}"])
            .stdout;
        let shell = String::from_utf8(shell).unwrap().trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        children.unwrap().trim().parse().unwrap()
    }

    /// Presses keys, by tmux's names: `j`, `Enter`, `C-c`.
    pub fn keys(&self, keys: &[&str]) {
        let sent = self.run(&[&["send-keys", "-t", "t"], keys].concat());
        assert!(
            sent.status.success(),
            "{}",
            String::from_utf8_lossy(&sent.stderr)
        );
    }

    /// Inserts a text as the clipboard does: with the marks around it, if the program has asked for them.
    pub fn paste(&self, text: &str) {
        self.run(&["set-buffer", text]);
        self.run(&["paste-buffer", "-p", "-r", "-t", "t"]);
    }

    /// The columns that tmux needs for a text.
    pub fn columns(&self, text: &str) -> usize {
        self.run(&["set-option", "-g", "@text", text]);
        let wide = self.run(&["display-message", "-p", "-t", "t", "#{w:@text}"]);
        let wide = String::from_utf8(wide.stdout).unwrap();
        wide.trim().parse().unwrap()
    }

    /// Closes the terminal, as a person who closes its window.
    pub fn close(&self) {
        self.run(&["kill-session", "-t", "t"]);
    }

    /// Writes onto the screen from elsewhere, as `wall` does.
    pub fn write(&self, text: &str) {
        let tty = self.run(&["list-panes", "-t", "t", "-F", "#{pane_tty}"]);
        let tty = String::from_utf8(tty.stdout).unwrap();
        std::fs::write(tty.trim(), text).unwrap();
    }

    /// The text on the screen.
    pub fn screen(&self) -> String {
        String::from_utf8(self.run(&["capture-pane", "-p", "-t", "t"]).stdout).unwrap()
    }

    /// The screen with its colours.
    pub fn coloured(&self) -> String {
        String::from_utf8(self.run(&["capture-pane", "-e", "-p", "-t", "t"]).stdout).unwrap()
    }

    /// The window gets another size.
    pub fn resize(&mut self, size: (usize, usize)) {
        self.size = size;
        self.run(&[
            "resize-window",
            "-t",
            "t",
            "-x",
            &size.0.to_string(),
            "-y",
            &size.1.to_string(),
        ]);
    }

    /// Waits until the screen holds all of these texts; the screen.
    pub fn see(&self, texts: &[&str]) -> String {
        self.watch(&format!("{texts:?}"), |screen| {
            texts.iter().all(|text| screen.contains(text))
        })
    }

    /// Waits until the screen holds none of these texts any more; the screen.
    pub fn gone(&self, texts: &[&str]) -> String {
        self.watch(&format!("no {texts:?}"), |screen| {
            texts.iter().all(|text| !screen.contains(text))
        })
    }

    /// Waits until the screen is right; the screen.
    pub fn watch(&self, what: &str, right: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        until(&format!("the screen shows {what}"), || {
            let screen = self.screen();
            let right = right(&screen);
            assert!(
                right || begun.elapsed() < PATIENCE * 9 / 10,
                "waited for {what}, but the screen is:\n{screen}"
            );
            right.then_some(screen)
        })
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        self.run(&["kill-server"]);
    }
}
