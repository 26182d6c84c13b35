//! `kirosu hub`: runs the queue without agents.

use super::{Context, Failure, whole};
use kirosu_config::Flag;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  kirosu hub                                127.0.0.1:8765
  kirosu hub --port 0                       any free port; the first line of output says which
  kirosu hub --socket /run/kirosu/hub.sock --db /var/lib/kirosu/kirosu.db
  KIRO_SWARM_KEY=... kirosu hub --host 0.0.0.0";

/// Runs the hub without agents
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    serving: Serving,
}

/// Flags that `hub` and `up` share.
#[derive(Debug, Default, clap::Args)]
pub struct Serving {
    /// The database file [default: kirosu.db in the data folder]
    #[arg(long, value_name = "FILE")]
    db: Option<PathBuf>,
    /// Length of a lease in seconds if the worker names none [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u64>(1..=86_400, 300))]
    lease_seconds: Option<u64>,
    /// Accepts python tasks, which run code on the agents' machines
    #[arg(long)]
    trust_all_tools: bool,
}

impl Serving {
    /// The flags as settings.
    pub fn flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        if let Some(db) = &self.db {
            flags.push(Flag::new("--db", "store.path", db.to_string_lossy()));
        }
        if let Some(seconds) = self.lease_seconds {
            let value = format!("{seconds}s");
            flags.push(Flag::new("--lease-seconds", "lease.default", value));
        }
        if self.trust_all_tools {
            flags.push(Flag::new(
                "--trust-all-tools",
                "hub.trust_all_tools",
                "true",
            ));
        }
        flags
    }
}

/// Runs until a signal stops it.
pub fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    let loaded = context.globals.for_server(args.serving.flags())?;
    context.globals.log_as_server(&loaded)?;
    crate::boot::run(loaded, crate::boot::Role::Hub)?;
    Ok(0)
}
