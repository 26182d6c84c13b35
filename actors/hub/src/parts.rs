//! The hub's actors, wired and ready to be put under a supervisor.

use crate::bus::{Bus, RING_CAPACITY, Ring, SharedWatchers};
use crate::hub::{Addresses, Hub};
use crate::leases::Leases;
use crate::listener::{Listener, Sockets};
use crate::options::HubOptions;
use crate::readers::{Reader, Readers};
use crate::reaper::Reaper;
use crate::sessions::Sessions;
use crate::sessions::table::Table;
use crate::tuning::{Rules, Tuning};
use crate::writer::{Writer, WriterRecipe};
use actix_rt::ArbiterHandle;
use kirosu_store::{Store, StoreOptions};
use kirosu_supervision::{
    ChildSpec, DynamicSpec, Restart, Stop, Strategy, SupervisorSpec, mailbox,
};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

/// Which threads the hub's actors run on; none: the supervisor's own.
#[derive(Clone, Debug, Default)]
pub struct HubThreads {
    /// The writer's.
    pub writer: Option<ArbiterHandle>,
    /// The readers', one each; readers beyond them share these.
    pub readers: Vec<ArbiterHandle>,
}

/// The hub's part of the tree, in start order, and its handles.
pub struct HubParts {
    /// Writer, readers, bus, sessions, reaper, leases: what must stand before anybody is let in.
    pub core: Vec<ChildSpec>,
    /// The listener and its connections.
    pub front: ChildSpec,
    /// What the rest of the house may ask of the hub.
    pub hub: Hub,
}

impl HubParts {
    /// Wires the actors; nothing runs yet. `store` is opened beforehand, so that a file in use is one sentence and an
    /// exit code; `store_options` open it again should the writer crash. `boot_id` is another word with each start.
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
        let draining = Arc::new(AtomicBool::new(false));
        let tuning = Tuning::new(Rules {
            session_grace: options.session_grace,
            retention: options.retention,
            retry: store_options.retry_default,
            retry_jitter: store_options.retry_jitter,
            strict_expiry: store_options.strict_expiry,
        });

        let recipe = WriterRecipe {
            store: store_options,
            tuning: tuning.clone(),
            opened: Arc::new(Mutex::new(Some(store))),
            bus: bus.clone(),
            leases: leases.clone(),
            reaper: reaper.clone(),
            draining: draining.clone(),
        };
        let writer_spec = ChildSpec::new("writer", writer_mailbox, move |child| {
            Writer::new(child.clone(), recipe.clone())
        })
        .stop(Stop::Grace(Duration::from_secs(30)));
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

        let table = Arc::new(Mutex::new(Table::new(options.session_grace)));
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

        let lease_actors = DynamicSpec::new("leases")
            .kind("lease")
            .restart(Restart::Transient);
        let (spawn, to_writer, to_sessions) =
            (lease_actors.handle(), writer.clone(), sessions.clone());
        let book_spec = ChildSpec::new("lease-book", leases_mailbox, move |child| {
            Leases::new(
                child.clone(),
                spawn.clone(),
                to_writer.clone(),
                to_sessions.clone(),
            )
        });

        let hub = Hub::new(
            Addresses {
                writer,
                bus,
                leases,
                sessions,
                readers,
                events,
            },
            options,
            tree,
            boot_id,
            draining,
            tuning,
        );

        let connections = DynamicSpec::new("connections")
            .kind("connection")
            .restart(Restart::Temporary);
        let (spawn, to_hub) = (connections.handle(), hub.clone());
        let listener_spec = ChildSpec::simple("accept", move |child| {
            Listener::new(
                child.clone(),
                to_hub.clone(),
                sockets.clone(),
                spawn.clone(),
            )
        });
        // The connections come first, so that the listener stops before them.
        let front = SupervisorSpec::new("listener")
            .strategy(Strategy::OneForOne)
            .child(ChildSpec::dynamic(connections))
            .child(listener_spec);

        HubParts {
            core: vec![
                bus_spec,
                sessions_spec,
                ChildSpec::dynamic(lease_actors),
                book_spec,
                writer_spec,
                readers_spec,
                reaper_spec,
            ],
            front: ChildSpec::supervisor(front),
            hub,
        }
    }
}

fn readers(options: &HubOptions, threads: &[ArbiterHandle]) -> (ChildSpec, Readers) {
    let mut spec = SupervisorSpec::new("readers");
    let mut addresses = Vec::new();
    let mut threads = threads.iter().cycle();
    for number in 1..=options.readers.max(1) {
        let (mailbox, address) = mailbox::<Reader>();
        let path = options.store_path.clone();
        let child = ChildSpec::new(number.to_string(), mailbox, move |child| {
            Reader::new(child.clone(), path.clone())
        });
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
