//! `kirosu doctor`: what is wrong here, and what to do about it.

use super::connect::{self, Context};
use super::failure::Failure;
use super::show::foreign::Foreign;
use super::show::paint::Paint;
use super::show::{Screen, text};
use crate::console::transcript::wrap;
use crate::doctor::{self, Finding, Level, Orders, Patient};
use kirosu_config::{Purpose, Settings};
use serde_json::json;
use std::path::PathBuf;

/// Columns for the level.
const LEVEL: usize = 8;
/// Most columns for names.
const NAMES: usize = 28;
/// Fewest columns for texts.
const TEXTS: usize = 20;

const EXAMPLES: &str = "\
Examples:
  kirosu doctor                             settings, providers, hub, store, files, systemd, machine
  kirosu doctor --provider codex            is it there, which version, logged in, what would be run
  kirosu doctor --fix                       makes what is missing, closes what is open; never touches a running hub
  kirosu doctor --json | jq '.findings[] | select(.level == \"problem\")'

It costs no money: agents are asked for their version only; of a login it sees the signs, not whether it still holds.

Exit codes: 0 nothing is broken (there may be notes), 1 problems, 2 wrong usage.";

/// Looks at settings, providers, hub, store and machine, and says what to do
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Puts right what is safe: makes the data folder, takes permissions from others, removes a dead socket
    #[arg(long)]
    fix: bool,
    /// Only this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
}

/// Looks, and prints what it found.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let (globals, screen) = (&context.globals, &context.screen);
    let settings = match globals.for_server([]) {
        Ok(loaded) => Ok(loaded),
        Err(Failure::Settings(faults)) => Err(faults),
        Err(other) => return Err(other),
    };
    // A hub is looked for as its clients do, who may name a distant one.
    let client = globals.for_client().ok();
    let mut without = globals.load_options(Purpose::Client, []);
    without.file = Some(PathBuf::from("/dev/null"));
    without.flags.clear();
    without.env.retain(|(name, _)| !name.starts_with("KIRO"));
    let patient = Patient {
        settings,
        usual: Settings::load(without).ok(),
        hub: client.and_then(|loaded| connect::endpoint(&loaded).ok()),
    };
    let orders = Orders {
        fix: args.fix,
        provider: args.provider.clone(),
    };
    let findings = doctor::look(&patient, &orders)
        .await
        .map_err(Failure::Usage)?;
    let count = |level| findings.iter().filter(|it| it.level == level).count();
    let (problems, notes) = (count(Level::Problem), count(Level::Note));
    match screen.json {
        true => screen.json(&json!({
            "ok": problems == 0, "problems": problems, "notes": notes, "findings": findings,
        }))?,
        false => show(&findings, (problems, notes), screen)?,
    }
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

/// Columns of the page.
struct Columns {
    /// Width of the names, which stand after a level of eight.
    names: usize,
    /// Width of the texts; `None`: lines are not broken.
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

    /// The rows of a text, below the names.
    fn rows(&self, text: &str) -> Vec<String> {
        let Some(width) = self.texts else {
            return vec![text.to_owned()];
        };
        let rows = wrap(text, width).into_iter();
        rows.map(|row| row.trim_end().to_owned()).collect()
    }
}

/// Columns before the texts: two, the level, the name, two.
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
    // Programs and services said some of it.
    let plain = |text: &str| Foreign::whole(text);
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
    // A longer name has a line for itself, where lines have an end.
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
