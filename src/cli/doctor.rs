//! `kirosu doctor`: what is wrong here, and what to do about it.

use super::connect::{self, Context};
use super::failure::Failure;
use super::show::foreign::Foreign;
use super::show::paint::Paint;
use super::show::{Screen, text};
use crate::doctor::{self, Finding, Level, Orders, Patient};
use kirosu_config::{Purpose, Settings};
use serde_json::json;
use std::path::PathBuf;

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
    let wide = findings.iter().map(|it| text::width(&it.name)).max();
    let wide = wide.unwrap_or_default().min(28);
    let mut area = "";
    let mut page = String::new();
    for finding in findings {
        if finding.area != area {
            let gap = if area.is_empty() { "" } else { "\n" };
            area = finding.area;
            page.push_str(&format!("{gap}{}\n", screen.paint(Paint::Bold, area)));
        }
        lines(finding, wide, screen, &mut page);
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

fn lines(finding: &Finding, wide: usize, screen: &Screen, page: &mut String) {
    let paint = match finding.level {
        Level::Ok => Paint::Good,
        Level::Note => Paint::Attention,
        Level::Problem => Paint::Bad,
    };
    let word = format!("{:<8}", finding.level.as_str());
    // Programs and services said some of it.
    let plain = |text: &str| Foreign::whole(text).to_string();
    let name = plain(&finding.name);
    let pad = " ".repeat(wide.saturating_sub(text::width(&name)) + 2);
    let message = plain(&finding.message);
    let mut message = message.lines();
    let first = message.next().unwrap_or_default();
    page.push_str(&format!(
        "  {}{name}{pad}{first}\n",
        screen.paint(paint, &word)
    ));
    let below = " ".repeat(10 + wide + 2);
    for more in message {
        page.push_str(&format!("{below}{more}\n"));
    }
    for (name, value) in &finding.details {
        let fact = format!("{name}: {}", plain(value));
        page.push_str(&format!("{below}{}\n", screen.paint(Paint::Dim, &fact)));
    }
    if let Some(fixed) = &finding.fixed {
        page.push_str(&format!("{below}fixed: {}\n", plain(fixed)));
    }
    if let Some(advice) = &finding.advice {
        page.push_str(&format!("{below}→ {}\n", plain(advice)));
    }
}
