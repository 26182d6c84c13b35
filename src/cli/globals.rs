//! The global flags: settings, address of the hub, form of the output.

use super::Failure;
use super::numbers::port_or_off;
use kirosu_config::{Flag, HubPort, LoadOptions, Loaded, Purpose, Settings};
use std::path::PathBuf;

use crate::log;

/// Flags of every verb.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Global options")]
pub struct Globals {
    /// Settings file [default: the first of ./kirosu.toml once you trust it, ~/.config/kirosu/kirosu.toml, /etc/kirosu/kirosu.toml]
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// Sets a key of the settings, such as lease.default=2m; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE", global = true, value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// The hub's host [default: 127.0.0.1]
    #[arg(long, global = true)]
    pub host: Option<String>,
    /// The hub's TCP port, or off: only its Unix socket [default: 8765]
    #[arg(long, global = true, value_parser = port_or_off)]
    pub port: Option<HubPort>,
    /// The hub's Unix socket
    #[arg(long, value_name = "PATH", global = true)]
    pub socket: Option<PathBuf>,
    /// File with the hub's key (or set KIRO_SWARM_KEY)
    #[arg(long, value_name = "FILE", global = true)]
    pub key_file: Option<PathBuf>,
    /// Uses TLS: the fingerprint of the hub's certificate
    #[arg(long, value_name = "SHA256", global = true)]
    pub tls_fingerprint: Option<String>,
    /// Uses TLS: file with the authorities of the hub's certificate
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_ca: Option<PathBuf>,
    /// Prints JSON for programs, including errors on standard error
    #[arg(long, global = true)]
    pub json: bool,
    /// Prints no colours (like the variable NO_COLOR)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Shows times in UTC; the default is local time on a terminal, UTC in a pipe
    #[arg(long, global = true)]
    pub utc: bool,
    /// Prints more on standard error
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Prints only errors on standard error
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => {
            Ok((key.trim().to_owned(), value.to_owned()))
        }
        _ => Err("write it as KEY=VALUE, such as lease.default=2m".into()),
    }
}

/// Also checks provider definitions, approval rules and prices.
fn with_definitions(options: LoadOptions) -> LoadOptions {
    LoadOptions {
        also: Some(crate::options::definition_faults),
        ..options
    }
}

impl Globals {
    /// Loads the settings of a client.
    ///
    /// # Errors
    /// All faults of the settings. The same holds for the methods below.
    pub fn for_client(&self) -> Result<Loaded, Failure> {
        Ok(Settings::load(self.load_options(Purpose::Client, []))?)
    }

    /// Loads the settings to run a hub; `more` are the verb's own flags.
    pub fn for_server(&self, more: impl IntoIterator<Item = Flag>) -> Result<Loaded, Failure> {
        let log = self.log_flags();
        let options = self.load_options(Purpose::Serve, log.into_iter().chain(more));
        Ok(Settings::load(with_definitions(options))?)
    }

    /// Loads the settings to run agents for a hub in another process: the hub's address as for a client, the log as for
    /// a server.
    pub fn for_agent(&self, more: impl IntoIterator<Item = Flag>) -> Result<Loaded, Failure> {
        let log = self.log_flags();
        let options = self.load_options(Purpose::Agent, log.into_iter().chain(more));
        Ok(Settings::load(with_definitions(options))?)
    }

    /// Loads the settings to print or check them: the file of the working directory is read even if the user has not
    /// trusted it.
    pub fn for_reading(&self) -> Result<Loaded, Failure> {
        let options = LoadOptions {
            reads_untrusted: true,
            ..self.load_options(Purpose::Serve, self.log_flags())
        };
        Ok(Settings::load(with_definitions(options))?)
    }

    /// Loads the settings to find the folders of this machine's agents, whose hub may be remote.
    pub fn for_folders(&self) -> Result<Loaded, Failure> {
        Ok(Settings::load(self.load_options(Purpose::Agent, []))?)
    }

    /// Options for [`Settings::load`]: this process's environment and these flags.
    pub fn load_options(
        &self,
        purpose: Purpose,
        more: impl IntoIterator<Item = Flag>,
    ) -> LoadOptions {
        let mut options = LoadOptions::from_process();
        options.file = self.config.clone();
        options.purpose = purpose;
        options.flags = self.set.iter().map(|(k, v)| Flag::set(k, v)).collect();
        options.flags.extend(self.hub_flags());
        options.flags.extend(more);
        options
    }

    /// Starts the log of a client.
    pub fn log_as_client(&self) {
        log::for_client(self.verbose, self.quiet, !self.no_color);
    }

    /// Starts the log of a server.
    ///
    /// # Errors
    /// `[log]` of the settings cannot be used.
    pub fn log_as_server(&self, loaded: &Loaded) -> Result<(), Failure> {
        log::for_server(loaded, !self.no_color).map_err(Failure::Local)
    }

    fn hub_flags(&self) -> impl Iterator<Item = Flag> {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        [
            ("--host", "hub.host", self.host.clone()),
            ("--port", "hub.port", self.port.map(|p| p.to_string())),
            ("--socket", "hub.socket", self.socket.as_ref().map(path)),
            (
                "--key-file",
                "hub.key_file",
                self.key_file.as_ref().map(path),
            ),
            (
                "--tls-fingerprint",
                "hub.tls_fingerprint",
                self.tls_fingerprint.clone(),
            ),
            ("--tls-ca", "hub.tls_ca", self.tls_ca.as_ref().map(path)),
        ]
        .into_iter()
        .filter_map(|(name, key, value)| Some(Flag::new(name, key, value?)))
    }

    fn log_flags(&self) -> Vec<Flag> {
        let mut flags = Vec::new();
        if self.json {
            flags.push(Flag::new("--json", "log.format", "json"));
        }
        match (self.verbose, self.quiet) {
            (true, _) => flags.push(Flag::new("--verbose", "log.level", "debug")),
            (_, true) => flags.push(Flag::new("--quiet", "log.level", "warn")),
            _ => {}
        }
        flags
    }
}
