//! `kirosu api`: REST and MCP for a hub in another process.

use super::connect;
use super::{Context, Failure, Globals, PORTS, whole};
use kirosu_config::{Flag, HubPort, Loaded};

const EXAMPLES: &str = "\
Examples:
  kirosu api                                http://127.0.0.1:8000, for the hub that the settings name
  kirosu api --port 0 --hub hub.lan:8765    any free port; the first line of output says which
  KIRO_SWARM_KEY=... kirosu api --host 0.0.0.0
  curl http://127.0.0.1:8000/tasks -d '{\"prompt\": \"Summarise README.md\"}'

`kirosu up` serves the same in the hub's process. Without a key, it listens on loopback only.";

/// Serves REST and MCP over HTTP, for a hub in another process
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    // These two replace the global flags, which mean the hub's address for every other verb.
    /// Address to listen on [default: 127.0.0.1]
    #[arg(long)]
    host: Option<String>,
    /// Port to listen on; 0 for any free one [default: 8000]
    #[arg(long, value_parser = port_number)]
    port: Option<HubPort>,
    /// The hub's host and port [default: as in the settings]
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "socket", value_parser = host_and_port)]
    hub: Option<(String, u16)>,
}

/// A number: without a port nothing would be served. The type is that of the global flag.
fn port_number(text: &str) -> Result<HubPort, String> {
    whole::<u16>(PORTS, 8000)(text).map(HubPort::Number)
}

fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    let read = parts.and_then(|(host, port)| {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        Some((host.to_owned(), port.parse().ok()?))
    });
    read.ok_or_else(|| "write it as HOST:PORT, such as hub.lan:8765".to_owned())
}

/// Runs until a signal stops it.
///
/// # Errors
/// The settings have a fault, or the gateway cannot start.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = load(args, &context.globals)?;
    context.globals.log_as_server(&loaded)?;
    crate::boot::run(loaded, crate::boot::Role::Gateway)?;
    Ok(0)
}

fn load(args: &Args, globals: &Globals) -> Result<Loaded, Failure> {
    let mut globals = globals.clone();
    let (host, port) = args.hub.clone().unzip();
    (globals.host, globals.port) = (host, port.map(HubPort::Number));
    let loaded = globals.for_agent(args.flags())?;
    connect::endpoint(&loaded)?;
    Ok(loaded)
}

impl Args {
    fn flags(&self) -> Vec<Flag> {
        let port = self.port.map(|port| port.to_string());
        [
            ("--host", "gateway.host", self.host.clone()),
            ("--port", "gateway.port", port),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| Some(Flag::new(name, key, value?)))
        .collect()
    }
}
