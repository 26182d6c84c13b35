//! The hub's actors, wired together and ready to be added to a supervisor.

use crate::bus::{Bus, RING_CAPACITY, Ring, SharedWatchers};
use crate::conductor::{Conductor, ConductorFactory};
use crate::hub::{Addresses, Hub, HubShared};
use crate::leases::Leases;
use crate::listener::{Listener, Sockets};
use crate::options::HubOptions;
use crate::readers::{QueryReader, Readers};
use crate::reaper::Reaper;
use crate::sessions::Sessions;
use crate::sessions::table::SessionTable;
use crate::tuning::Tuning;
use crate::writer::{Writer, WriterFactory};
use actix_rt::ArbiterHandle;
use kirosu_store::{Store, StoreOptions};
use kirosu_supervision::{
    ChildSpec, DynamicSpec, Restart, StopPolicy, Strategy, SupervisorSpec, mailbox,
};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// The threads that the hub's actors run on. An actor without a thread of its own runs on the supervisor's thread.
#[derive(Clone, Debug, Default)]
pub struct HubThreads {
    /// The writer's thread.
    pub writer: Option<ArbiterHandle>,
    /// The conductor's thread.
    pub conductor: Option<ArbiterHandle>,
    /// One thread per reader. If there are more readers than threads, readers share threads in turn.
    pub readers: Vec<ArbiterHandle>,
}

/// The hub's children of the root supervisor, in start order, and the handle to the hub. A client is accepted only when all
/// children before the listener have started.
pub struct HubParts {
    /// The event bus.
    pub bus: ChildSpec,
    /// The sessions.
    pub sessions: ChildSpec,
    /// One actor per live lease.
    pub leases: ChildSpec,
    /// Finds the actor and the holder of a lease.
    pub lease_registry: ChildSpec,
    /// Applies all changes to the store.
    pub writer: ChildSpec,
    /// Answer queries from read-only connections to the store.
    pub readers: ChildSpec,
    /// Wakes what is due.
    pub reaper: ChildSpec,
    /// Carries runs of plans out.
    pub conductor: ChildSpec,
    /// Accepts clients; one actor per connection.
    pub listener: ChildSpec,
    /// The interface of the hub for the other parts of the process.
    pub hub: Hub,
}

impl HubParts {
    /// Wires the actors; none of them runs yet.
    ///
    /// The caller opens `store`, so that a store in use is reported as an error of the start. The writer opens it again
    /// with `store_options` after a crash. `boot_id` is unique per start of the process.
    pub fn build(
        options: HubOptions,
        store: Store,
        store_options: StoreOptions,
        sockets: Sockets,
        threads: &HubThreads,
        boot_id: String,
    ) -> HubParts {
        let (writer_mailbox, writer) = mailbox::<Writer>();
        let (bus_mailbox, bus) = mailbox::<Bus>();
        let (leases_mailbox, leases) = mailbox::<Leases>();
        let (sessions_mailbox, sessions) = mailbox::<Sessions>();
        let (reaper_mailbox, reaper) = mailbox::<Reaper>();
        let (conductor_mailbox, conductor) = mailbox::<Conductor>();
        let draining = Arc::new(AtomicBool::new(false));
        let tuning = Tuning::new(options.rules.clone());

        let shared = HubShared::default();
        let factory = WriterFactory {
            store: store_options,
            tuning: tuning.clone(),
            opened: Arc::new(Mutex::new(Some(store))),
            bus: bus.clone(),
            leases: leases.clone(),
            reaper: reaper.clone(),
            conductor,
            draining: draining.clone(),
            shared: shared.clone(),
        };
        let writer_spec = ChildSpec::new("writer", writer_mailbox, move |child| {
            Writer::new(child.clone(), factory.clone())
        })
        .stop(StopPolicy::Grace(Duration::from_secs(30)));
        let writer_spec = on(writer_spec, threads.writer.as_ref());

        let (readers_spec, readers) = readers(&options, &threads.readers);

        let ring = Ring::new(RING_CAPACITY, options.limits.event_bytes);
        let ring = Arc::new(Mutex::new(ring));
        let events = ring.clone();
        let watchers = SharedWatchers::default();
        let tree = Arc::new(OnceLock::new());
        let to_tree = tree.clone();
        let bus_spec = ChildSpec::new("bus", bus_mailbox, move |child| {
            Bus::new(
                child.clone(),
                ring.clone(),
                watchers.clone(),
                to_tree.clone(),
            )
        });

        let table = Arc::new(Mutex::new(SessionTable::new(options.rules.session_grace)));
        let sessions_table = table.clone();
        let (to_writer, to_bus) = (writer.clone(), bus.clone());
        let sessions_spec = ChildSpec::new("sessions", sessions_mailbox, move |child| {
            Sessions::new(
                child.clone(),
                table.clone(),
                to_writer.clone(),
                to_bus.clone(),
            )
        });

        let (to_writer, rules) = (writer.clone(), tuning.clone());
        let reaper_spec = ChildSpec::new("reaper", reaper_mailbox, move |child| {
            Reaper::new(child.clone(), to_writer.clone(), rules.clone())
        });

        let factory = ConductorFactory {
            writer: writer.clone(),
            store_path: options.store_path.clone(),
            sessions: sessions_table,
            pools: options.pools.clone(),
        };
        let conductor_spec = ChildSpec::new("conductor", conductor_mailbox, move |child| {
            Conductor::new(child.clone(), factory.clone())
        });
        let conductor_spec = on(conductor_spec, threads.conductor.as_ref());

        let runs = shared.live_runs.clone();
        let lease_actors = DynamicSpec::new("leases")
            .kind("lease")
            .restart(Restart::Transient);
        let (spawn, to_writer, to_sessions) =
            (lease_actors.handle(), writer.clone(), sessions.clone());
        let registry_spec = ChildSpec::new("lease-registry", leases_mailbox, move |child| {
            Leases::new(
                child.clone(),
                spawn.clone(),
                to_writer.clone(),
                to_sessions.clone(),
                runs.clone(),
            )
        })
        .kind("leases");

        let addresses = Addresses {
            writer,
            bus,
            leases,
            sessions,
            readers,
            events,
        };
        let hub = Hub::new(addresses, options, tree, boot_id, draining, tuning, shared);
        HubParts {
            bus: bus_spec,
            sessions: sessions_spec,
            leases: ChildSpec::dynamic(lease_actors),
            lease_registry: registry_spec,
            writer: writer_spec,
            readers: readers_spec,
            reaper: reaper_spec,
            conductor: conductor_spec,
            listener: listener(&hub, sockets),
            hub,
        }
    }
}

fn listener(hub: &Hub, sockets: Sockets) -> ChildSpec {
    let connections = DynamicSpec::new("connections")
        .kind("connection")
        .restart(Restart::Temporary);
    let (spawn, hub) = (connections.handle(), hub.clone());
    let accept = ChildSpec::simple("accept", move |child| {
        Listener::new(child.clone(), hub.clone(), sockets.clone(), spawn.clone())
    })
    .kind("listener");
    // Children stop in reverse order: the hub stops to accept clients before it closes the connections.
    ChildSpec::supervisor(
        SupervisorSpec::new("listener")
            .strategy(Strategy::OneForOne)
            .child(ChildSpec::dynamic(connections))
            .child(accept),
    )
}

fn readers(options: &HubOptions, threads: &[ArbiterHandle]) -> (ChildSpec, Readers) {
    let mut spec = SupervisorSpec::new("readers");
    let mut addresses = Vec::new();
    let mut threads = threads.iter().cycle();
    for number in 1..=options.readers.max(1) {
        let (mailbox, address) = mailbox::<QueryReader>();
        let path = options.store_path.clone();
        let child = ChildSpec::new(number.to_string(), mailbox, move |child| {
            QueryReader::new(child.clone(), path.clone())
        })
        .kind("reader");
        spec = spec.child(on(child, threads.next()));
        addresses.push(address);
    }
    (ChildSpec::supervisor(spec), Readers::new(addresses))
}

fn on(spec: ChildSpec, thread: Option<&ArbiterHandle>) -> ChildSpec {
    match thread {
        Some(thread) => spec.on(thread),
        None => spec,
    }
}
