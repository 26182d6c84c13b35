//! `kirosu web`: opens the web page, logged in.

use super::{Context, Failure, each};
use clap::ArgAction;
use kirosu_protocol::{WebTicketAnswer, WebTicketParams};
use serde_json::json;
use std::process::{Command, Stdio};

const EXAMPLES: &str = "\
Examples:
  kirosu web                                opens the page of the running hub in a browser
  kirosu web --print                        only prints the link, for a browser elsewhere (ssh -L 8000:127.0.0.1:8000)
  kirosu web --at https://kirosu.example/   for a proxy, or for a gateway that `kirosu api` serves
  kirosu web --json | jq -r .link

The link works once, within five minutes; the login lasts twelve hours. The page has the rights of the key that this command
uses. On a terminal of the hub's user, outside of runs, the hub's own key also decides as a person: approvals and answers.";

/// Opens the web page of the hub, logged in
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Prints the link instead of opening a browser
    #[arg(long, action = ArgAction::SetTrue)]
    print: bool,
    /// Address of the page, if it is not the one that the hub's process serves
    #[arg(long, value_name = "URL", value_parser = read_page)]
    at: Option<String>,
    /// Name of the person, for the record of decisions [default: $USER]
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// The address of a page, with the slash at its end.
fn read_page(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.split_once("://").unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_graphic() && !matches!(c, '#' | '?' | '@');
    let host = rest.trim_end_matches('/');
    let is_page = matches!(scheme, "http" | "https")
        && !host.is_empty()
        && !host.contains('/')
        && host.chars().all(is_plain);
    match is_page {
        true => Ok(format!("{scheme}://{host}/")),
        false => Err("write it as http://HOST:PORT/ or https://HOST/".to_owned()),
    }
}

/// Makes a ticket and opens or prints the link.
///
/// # Errors
/// The hub cannot be reached or refuses, or no gateway is known.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let screen = &context.screen;
    let browser = match args.print || screen.json {
        true => None,
        false => browser(),
    };
    let hub = context.connect().await?;
    let params = WebTicketParams {
        by: each::actor(&args.by),
        // The arguments of the browser's process can be read by others while it starts.
        same_user: browser.is_some() && args.at.is_none(),
    };
    let ticket = hub.request(&params).await?;
    let page = args
        .at
        .as_ref()
        .or(ticket.url.as_ref())
        .ok_or_else(no_page)?;
    let link = ticket.link(page);
    if let Some(opener) = browser {
        if open(opener, &link) {
            let rights = may(&ticket);
            screen.print(&format!("opened {page} as {}, {rights}", ticket.who))?;
            return Ok(0);
        }
        // That ticket may be of no use elsewhere.
        screen.note(&format!(
            "kirosu: {opener} could not open a browser; `kirosu web --print` prints the link"
        ))?;
        return Ok(1);
    }
    let answer = json!({
        "link": link, "url": page, "who": ticket.who, "rights": ticket.rights, "expires_at": ticket.expires_at,
    });
    screen.answer(&answer, || {
        screen.print(&link)?;
        screen.note(&format!(
            "kirosu: it logs {} in once, within five minutes, {}",
            ticket.who,
            may(&ticket)
        ))
    })
}

fn no_page() -> Failure {
    Failure::Local(
        "the hub's process serves no web page: set gateway.enabled = true there (the default) and restart it, or start `kirosu api` \
         and name its address with --at"
            .to_owned(),
    )
}

/// The rights of the page, for people.
fn may(ticket: &WebTicketAnswer) -> String {
    let rights: Vec<&str> = ticket
        .rights
        .iter()
        .map(String::as_str)
        .filter(|right| !matches!(*right, "connect" | "work"))
        .collect();
    let person = match rights.contains(&"person") {
        true => "",
        false => "; it cannot approve or answer",
    };
    format!("with the rights {}{person}", rights.join(", "))
}

/// The program that opens addresses in the user's browser, if there may be one.
fn browser() -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("open");
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let has_display = is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    (has_display && on_path("xdg-open")).then_some("xdg-open")
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Opens a link. Returns whether the opener took it.
fn open(opener: &str, link: &str) -> bool {
    let status = Command::new(opener)
        .arg(link)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_page_is_a_host_and_nothing_behind_it() {
        let read = |text| read_page(text).ok();
        assert_eq!(
            read("http://127.0.0.1:8000").as_deref(),
            Some("http://127.0.0.1:8000/")
        );
        assert_eq!(
            read("https://kirosu.example//").as_deref(),
            Some("https://kirosu.example/")
        );
        for wrong in [
            "",
            "kirosu.example",
            "ftp://h/",
            "http://",
            "http://h/x",
            "http://h#x",
            "http://u@h",
            "http://h x",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
