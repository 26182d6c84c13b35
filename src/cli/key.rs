//! `kirosu key`: adds, lists and revokes the keys of clients.

use super::{Cell, Column, Context, Failure, Paint, TextTable, time};
use clap::Subcommand;
use kirosu_protocol::{
    AccessRole, AccessScope, KeyAddParams, KeyInfo, KeyListParams, KeyRevokeParams, millis,
};
use kirosu_tls::Fingerprint;
use std::path::PathBuf;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kirosu key add ci --role enqueue --queues builds --expires 30d > ci.key
  kirosu key add ada --role person          approves, answers and rejects in the name `ada`
  kirosu key add gpu-1 --role work --queues images --pools painters
  kirosu key add grafana --role observe
  kirosu key add gpu-2 --role work --certificate gpu-2.pem    by its TLS certificate, without a secret
  kirosu key list
  kirosu key revoke ci                      at once, also for clients that are connected
Clients send a key as they send the hub's own: KIRO_SWARM_KEY, or hub.key_file in their settings.
In a pipe the columns of the list are: name, role, limits, state, created, used, expires.";

/// Adds, lists and revokes the keys of clients
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Adds a key and prints its secret, which the hub cannot show again
    Add(Box<NewKey>),
    /// Lists the keys, without their secrets
    List,
    /// Ends the validity of a key at once
    Revoke {
        /// The key
        name: String,
    },
}

#[derive(Debug, clap::Args)]
struct NewKey {
    /// Its name, which decisions and the audit trail record
    name: String,
    /// Its rights: observe, enqueue, work, person or admin
    #[arg(long, value_name = "ROLE", value_parser = read_role)]
    role: AccessRole,
    /// enqueue, work: only tasks of these queues
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    queues: Vec<String>,
    /// enqueue, work: only tasks of these types
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    types: Vec<String>,
    /// enqueue: only tasks with at least one of these labels and no others
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    labels: Vec<String>,
    /// enqueue, admin: may add `python` tasks, which run any code, if the hub allows them
    #[arg(long)]
    python: bool,
    /// work: only budgets and permission requests of these pools
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pools: Vec<String>,
    /// Validity from now, such as 30d [default: without end]
    #[arg(long, value_name = "DURATION", value_parser = time::read_some_span)]
    expires: Option<Duration>,
    /// PEM file with the client's TLS certificate, or its fingerprint: the credential instead of a secret
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
}

fn read_role(word: &str) -> Result<AccessRole, String> {
    let known = AccessRole::ALL.map(AccessRole::as_str).join(", ");
    AccessRole::from_name(&word.trim().to_ascii_lowercase())
        .ok_or_else(|| format!("it is one of {known}"))
}

/// Runs the subcommand.
///
/// # Errors
/// The hub cannot be reached or refuses, or standard output fails.
pub async fn run(args: &Args, context: &Context) -> Result<u8, Failure> {
    match &args.command {
        KeyCommand::Add(new) => add(new, context).await,
        KeyCommand::List => list(context).await,
        KeyCommand::Revoke { name } => {
            let params = KeyRevokeParams { name: name.clone() };
            let answer = context.connect().await?.request(&params).await?;
            let screen = &context.screen;
            screen.answer(&answer, || screen.print(&format!("{name} revoked")))
        }
    }
}

impl NewKey {
    /// The fingerprint of the client's certificate.
    fn fingerprint(&self) -> Result<Option<String>, Failure> {
        let Some(certificate) = &self.certificate else {
            return Ok(None);
        };
        let written = certificate.to_str().map(str::parse::<Fingerprint>);
        let fingerprint = match written {
            Some(Ok(fingerprint)) => fingerprint,
            _ => {
                Fingerprint::of_file(certificate).map_err(|fault| Failure::Local(fault.message))?
            }
        };
        Ok(Some(fingerprint.to_string()))
    }
}

async fn add(new: &NewKey, context: &Context) -> Result<u8, Failure> {
    let params = KeyAddParams {
        name: new.name.clone(),
        role: new.role,
        scope: AccessScope {
            queues: new.queues.clone(),
            types: new.types.clone(),
            labels: new.labels.clone(),
            pools: new.pools.clone(),
            python: new.python,
        },
        expires_ms: new.expires.map(millis),
        certificate: new.fingerprint()?,
    };
    let answer = context.connect().await?.request(&params).await?;
    let screen = &context.screen;
    screen.answer(&answer, || {
        let (name, role) = (&answer.name, answer.role);
        match (&answer.key, &answer.certificate) {
            (Some(key), _) => {
                screen.note(&format!(
                    "{name} may now use the hub as {role}; keep its key, it is not shown again:"
                ))?;
                screen.print(key)
            }
            (None, certificate) => {
                screen.note(&format!(
                    "{name} may now use the hub as {role} by TLS with its certificate, without a key:"
                ))?;
                screen.print(certificate.as_deref().unwrap_or_default())
            }
        }
    })
}

async fn list(context: &Context) -> Result<u8, Failure> {
    let hub = context.connect().await?;
    let answer = hub.request_idempotent(&KeyListParams {}).await?;
    let screen = &context.screen;
    screen.answer(&answer, || match answer.keys.as_slice() {
        [] => screen.note("no keys but the hub's own"),
        keys => table(keys, time::now()).print(screen),
    })
}

/// A table with one row per key.
fn table(keys: &[KeyInfo], now: f64) -> TextTable {
    let mut table = TextTable::new([
        Column::text("NAME"),
        Column::text("ROLE"),
        Column::long("LIMITS"),
        Column::text("STATE"),
        Column::text("CREATED").yields(1),
        Column::text("USED"),
        Column::text("EXPIRES").unless(""),
    ]);
    for key in keys {
        let (state, paint) = state(key, now);
        let ago = |at: Option<f64>| match at {
            Some(at) => Cell::new(time::ago(at, now)).exact(time::stamp(at)),
            None => Cell::new("never").exact(""),
        };
        let expires = key.expires_at.map(time::stamp).unwrap_or_default();
        table.row([
            Cell::new(&key.name),
            Cell::new(key.role.as_str()),
            Cell::new(limits(key)),
            Cell::new(state).painted(paint),
            ago(Some(key.created_at)),
            ago(key.used_at),
            Cell::new(expires),
        ]);
    }
    table
}

fn state(key: &KeyInfo, now: f64) -> (&'static str, Paint) {
    match (key.revoked_at, key.expires_at) {
        (Some(_), _) => ("revoked", Paint::Dim),
        (None, Some(at)) if at <= now => ("expired", Paint::Dim),
        _ => ("valid", Paint::Good),
    }
}

/// The limits of a key, and its certificate, in one line.
fn limits(key: &KeyInfo) -> String {
    let scope = &key.scope;
    let lists = [
        ("queues", &scope.queues),
        ("types", &scope.types),
        ("labels", &scope.labels),
        ("pools", &scope.pools),
    ];
    let given = lists.iter().filter(|(_, names)| !names.is_empty());
    let mut limits: Vec<String> = given
        .map(|(name, names)| format!("{name}={}", names.join(",")))
        .collect();
    limits.extend(scope.python.then(|| "python".to_owned()));
    limits.extend(
        key.certificate
            .as_ref()
            .map(|it| format!("certificate={it}")),
    );
    limits.join(" ")
}
