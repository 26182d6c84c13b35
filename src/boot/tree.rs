//! The supervision tree of a process, in start order. It stops in reverse order.
//!
//! `docs/architecture.md` draws the tree with the task, strategy, restart kind and thread of each child; a test compares
//! the drawing with the running tree.

use super::app::App;
use super::parts::{self, Doors};
use super::reload::ReloadRequests;
use super::{BootError, Role, page};
use crate::options::{self, TlsAcceptors};
use crate::systemd::{self, Manager};
use crate::watchdog;
use kirosu_config::Loaded;
use kirosu_protocol::client::Endpoint;
use kirosu_providers::{Containment, RunnerCommand, runner};
use kirosu_supervision::{Clock, Intensity, Root, Strategy, SupervisorSpec, ThreadRegistry};
use std::time::Duration;
use tokio::sync::mpsc;

/// Maximum number of connections from within the process that wait to be accepted.
const LOCAL_BACKLOG: usize = 256;

/// Starts the actors of this role on the calling thread, which must run an actix system.
///
/// # Errors
/// A socket, the store or a thread cannot be opened, or the settings of a pool are invalid.
pub async fn start(
    loaded: &Loaded,
    role: Role,
    manager: Option<Manager>,
) -> Result<App, BootError> {
    let settings = &loaded.settings;
    let boot_id = boot_id();
    let threads = ThreadRegistry::new();
    threads.adopt();
    let (connect, incoming) = mpsc::channel(LOCAL_BACKLOG);
    let endpoint = match role.has_hub() {
        true => Endpoint::InMemory(connect),
        false => options::hub_endpoint(loaded).map_err(BootError::Address)?,
    };
    let mut tls = TlsAcceptors::default();

    let watchdog = watchdog::spec(&threads, manager.as_ref())?;
    let mut root = SupervisorSpec::new("root")
        .strategy(Strategy::OneForOne)
        .intensity(Intensity {
            restarts: 20,
            period: Duration::from_secs(60),
        })
        .child(watchdog);
    let hub_parts = match role.has_hub() {
        true => Some(parts::hub(
            settings, incoming, &threads, &boot_id, &mut tls,
        )?),
        false => None,
    };
    // After the store is locked: another running process of this name would lose its runs to the sweep in `pools`.
    let containment = Containment::new(
        RunnerCommand::this_executable(runner::VERB),
        options::instance(settings, role, &boot_id),
    );
    let (mut hub, mut doors, mut notices) = (None, Doors::default(), None);
    if let Some((built, bound)) = hub_parts {
        // It stops after the pools, so that what their end causes can be delivered.
        let key = parts::hub_key(settings)?.expose().to_owned();
        let targets = options::notify(settings, endpoint.clone(), key, &containment);
        let (notify, handle) = kirosu_notify::specs(targets, options::notify_targets(settings));
        root = root
            .child(built.bus)
            .child(built.sessions)
            .child(built.leases)
            .child(built.lease_registry)
            .child(built.writer)
            .child(built.readers)
            .child(built.reaper)
            .child(built.conductor)
            .child(built.listener)
            // On a thread of its own, so that its requests cannot delay the hub.
            .child(notify.on(&threads.start("notify")?));
        (hub, doors, notices) = (Some(built.hub), bound, Some(handle));
    }
    let mut swarm = None;
    if role.has_pools() {
        let agent_hub = match role.has_hub() {
            true => parts::agent_hub(settings, &doors),
            false => Some(parts::remote_agent_hub(settings, &endpoint)),
        };
        let (pools, handle) = parts::pools(
            settings,
            endpoint.clone(),
            agent_hub,
            &containment,
            &boot_id,
        )
        .await?;
        root = root.child(pools);
        let key = settings.client_key();
        root = root.child(kirosu_swarm::down_reports(&handle, &endpoint, key));
        swarm = Some(handle);
    }
    let mut gateway = None;
    let hub_key = match role.has_hub() {
        true => Some(parts::hub_key(settings)?.expose().to_owned()),
        false => settings.client_key(),
    };
    let served = options::gateway(loaded, endpoint.clone(), hub_key, role, &mut tls)?;
    if let Some(options) = served {
        let (spec, handle) = kirosu_gateway::specs(options);
        // On a thread of its own, so that its clients cannot delay the hub.
        root = root.child(spec.on(&threads.start("gateway")?));
        gateway = Some(handle);
    }
    if let Some(manager) = &manager {
        let key = settings.client_key();
        root = root.child(systemd::spec(manager, &endpoint, key, swarm.as_ref()));
    }
    let root = Root::start(root, Clock::system());

    if let Some(hub) = &hub {
        hub.set_tree(root.tree());
        if let Some(swarm) = &swarm {
            hub.set_pools(parts::pools_of(swarm));
        }
        if let Some(url) = page::url(settings, gateway.as_ref()) {
            hub.set_page(url);
        }
    }
    Ok(App {
        reloads: ReloadRequests::of(hub.as_ref()),
        local: hub.is_some().then_some(endpoint),
        root,
        hub,
        doors,
        swarm,
        notices,
        gateway,
        tls,
        containment,
        threads,
        manager,
    })
}

/// Unique per start.
fn boot_id() -> String {
    format!("{:x}-{:x}", options::now_ms(), std::process::id())
}
