//! `kirosu doctor`: finds faults of this installation and prints how to fix them.

use super::connect;
use super::{Context, Failure, Paint, Screen, text};
use crate::console::transcript::wrap;
use crate::doctor::{self, DoctorInput, DoctorOptions, Finding, Level};
use crate::terminal::sanitizer::Sanitizer;
use kirosu_config::{Purpose, Settings};
use serde_json::json;
use std::path::PathBuf;

/// Columns of the level.
const LEVEL: usize = 8;
/// Maximum columns of a name.
const NAMES: usize = 28;
/// Minimum columns of a text.
const TEXTS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  kirosu doctor                             settings, providers, hub, store, files, systemd, machine
  kirosu doctor --provider codex            installed, version, login, command line
  kirosu doctor --fix                       creates missing folders, tightens permissions; never changes a running hub
  kirosu doctor --json | jq '.findings[] | select(.level == \"problem\")'

It costs no money: agent programs only print their version; a login is checked by its files, not by a request.

Exit codes: 0 no problems (notes are possible), 1 problems, 2 wrong usage.";

/// Checks settings, providers, hub, store and machine, and prints what to do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Fixes what is safe to fix: creates the data folder, restricts file permissions, removes a dead socket
    #[arg(long)]
    fix: bool,
    /// Only checks this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// Runs the checks and prints their findings. The exit code is 1 if there are problems.
///
/// # Errors
/// The flags do not fit, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (globals, screen) = (&context.globals, &context.screen);
    let settings = match globals.for_server([]) {
        Ok(loaded) => Ok(loaded),
        Err(Failure::Settings(faults)) => Err(faults),
        Err(other) => return Err(other),
    };
    // The hub's address is resolved as for a client, which may name a remote hub.
    let client = globals.for_client().ok();
    let mut without = globals.load_options(Purpose::Client, []);
    without.file = Some(PathBuf::from("/dev/null"));
    without.flags.clear();
    without.env.retain(|(name, _)| !name.starts_with("KIRO"));
    let input = DoctorInput {
        settings,
        defaults: Settings::load(without).ok(),
        hub: client.and_then(|loaded| connect::endpoint(&loaded).ok()),
    };
    let options = DoctorOptions {
        fix: args.fix,
        provider: args.provider.clone(),
    };
    let findings = doctor::examine(&input, &options)
        .await
        .map_err(Failure::Usage)?;
    let count = |level| findings.iter().filter(|it| it.level == level).count();
    let (problems, notes) = (count(Level::Problem), count(Level::Note));
    let answer = json!({
        "ok": problems == 0, "problems": problems, "notes": notes, "findings": findings,
    });
    screen.answer(&answer, || show(&findings, (problems, notes), screen))?;
    Ok(u8::from(problems > 0))
}

fn show(
    findings: &[Finding],
    (problems, notes): (usize, usize),
    screen: &Screen,
) -> Result<(), Failure> {
    let columns = Columns::of(findings, screen.width);
    let mut area = "";
    let mut page = String::new();
    for finding in findings {
        if finding.area != area {
            let gap = if area.is_empty() { "" } else { "\n" };
            area = finding.area;
            page.push_str(&format!("{gap}{}\n", screen.paint(Paint::Bold, area)));
        }
        lines(finding, &columns, screen, &mut page);
    }
    let sum = match (problems, notes) {
        (0, 0) => screen.paint(Paint::Good, "nothing is wrong"),
        (0, _) => format!("no problems, {}", text::count(notes as u64, "note")),
        _ => {
            let problems = text::count(problems as u64, "problem");
            let notes = text::count(notes as u64, "note");
            format!("{}, {notes}", screen.paint(Paint::Bad, &problems))
        }
    };
    screen.print(&format!("{page}\n{sum}"))
}

/// Column widths of the page.
struct Columns {
    /// Width of the names, which follow a level of eight columns.
    names: usize,
    /// Width of the texts; `None` means that lines are not broken.
    texts: Option<usize>,
}

impl Columns {
    fn of(findings: &[Finding], width: Option<usize>) -> Self {
        let longest = findings.iter().map(|it| text::width(&it.name)).max();
        // A narrow terminal needs its columns for the texts.
        let most = width.map_or(NAMES, |width| (width / 4).min(NAMES));
        let names = longest.unwrap_or_default().min(most);
        let texts = width.map(|width| width.saturating_sub(indent(names)).max(TEXTS));
        Self { names, texts }
    }

    /// Breaks a text into rows.
    fn rows(&self, text: &str) -> Vec<String> {
        let Some(width) = self.texts else {
            return vec![text.to_owned()];
        };
        let rows = wrap(text, width).into_iter();
        rows.map(|row| row.trim_end().to_owned()).collect()
    }
}

/// Columns before the texts: two blanks, the level, the name, two blanks.
const fn indent(names: usize) -> usize {
    2 + LEVEL + names + 2
}

fn lines(finding: &Finding, columns: &Columns, screen: &Screen, page: &mut String) {
    let paint = match finding.level {
        Level::Ok => Paint::Good,
        Level::Note => Paint::Attention,
        Level::Problem => Paint::Bad,
    };
    let level = screen.paint(paint, &format!("{:<LEVEL$}", finding.level.as_str()));
    // Programs and services wrote some of these texts.
    let plain = |text: &str| Sanitizer::whole(text);
    let name = plain(&finding.name);
    let message = plain(&finding.message);
    let mut rows: Vec<(String, Paint)> = Vec::new();
    let mut add = |text: &str, paint: Paint| {
        rows.extend(columns.rows(text).into_iter().map(|row| (row, paint)));
    };
    for line in message.lines().chain(message.is_empty().then_some("")) {
        add(line, Paint::Plain);
    }
    for (name, value) in &finding.details {
        add(&format!("{name}: {}", plain(value)), Paint::Dim);
    }
    if let Some(fixed) = &finding.fixed {
        add(&format!("fixed: {}", plain(fixed)), Paint::Plain);
    }
    if let Some(advice) = &finding.advice {
        add(&format!("→ {}", plain(advice)), Paint::Plain);
    }
    let below = " ".repeat(indent(columns.names));
    let taken = text::width(&name);
    // A longer name gets a line of its own if lines are broken.
    let mut head = match taken > columns.names && columns.texts.is_some() {
        true => format!("  {level}{name}\n{below}"),
        false => {
            let pad = " ".repeat(columns.names.saturating_sub(taken) + 2);
            format!("  {level}{name}{pad}")
        }
    };
    for (row, paint) in rows {
        let row = screen.paint(paint, &row);
        page.push_str(&format!("{head}{row}\n"));
        head.clone_from(&below);
    }
}
