//! Cost of a supervised child: `cargo run --release -p kirosu-supervision --example spawn_cost`.
//!
//! Spawns children in waves, ends each by one message, and compares the time per child of a dynamic
//! supervisor with that per bare actix actor. Before that, it measures the memory of idle children
//! and the time for a snapshot and for a stop of them.

use std::time::Instant;

use actix::{Actor, ActorContext as _, Context, Handler, Message};
use kirosu_supervision::{
    ChildContext, ChildSpec, Clock, DynamicHandle, DynamicSpec, Root, SupervisorSpec,
};

const CHILDREN: u64 = 200_000;
const WAVE: u64 = 1_000;
const IDLE: u64 = 10_000;

struct Lease {
    child: Option<ChildContext>,
}

kirosu_supervision::supervised!(Lease);

impl Actor for Lease {
    type Context = Context<Self>;
}

struct End;

impl Message for End {
    type Result = ();
}

impl Handler<End> for Lease {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Context<Self>) {
        match &self.child {
            Some(child) => child.finish(ctx),
            None => ctx.stop(),
        }
    }
}

fn main() {
    actix_rt::System::new().block_on(async {
        let spec = DynamicSpec::new("leases").kind("lease");
        let leases = spec.handle();
        let root = Root::start(
            SupervisorSpec::new("root").child(ChildSpec::dynamic(spec)),
            Clock::system(),
        );
        while !leases.is_open() {
            tokio::task::yield_now().await;
        }
        idle(&leases, &root).await;
        for round in 1..=3 {
            let bare = bare().await;
            let supervised = supervised(&leases).await;
            println!(
                "round {round}: {bare:.2} us per bare actor, {supervised:.2} us per supervised child"
            );
        }
        root.shutdown().await;
    });
}

fn ms(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1e3
}

/// Microseconds for spawn, one message and end of a bare actor.
async fn bare() -> f64 {
    let start = Instant::now();
    for _ in 0..CHILDREN / WAVE {
        let addrs: Vec<_> = (0..WAVE).map(|_| Lease { child: None }.start()).collect();
        for addr in &addrs {
            addr.do_send(End);
        }
        while addrs.iter().any(|addr| addr.connected()) {
            tokio::task::yield_now().await;
        }
    }
    ms(start) * 1e3 / CHILDREN as f64
}

/// The same for a child of a dynamic supervisor.
async fn supervised(leases: &DynamicHandle) -> f64 {
    let start = Instant::now();
    for wave in 0..CHILDREN / WAVE {
        let spawned = (0..WAVE).map(|n| {
            leases.spawn(wave * WAVE + n, |child| Lease {
                child: Some(child.clone()),
            })
        });
        let addrs: Vec<_> = spawned.flatten().collect();
        for addr in &addrs {
            addr.do_send(End);
        }
        while !leases.is_empty() {
            tokio::task::yield_now().await;
        }
    }
    ms(start) * 1e3 / CHILDREN as f64
}

async fn idle(leases: &DynamicHandle, root: &Root) {
    let before = resident_kib();
    let spawned = (0..IDLE).map(|n| {
        leases.spawn(n, |child| Lease {
            child: Some(child.clone()),
        })
    });
    let addrs: Vec<_> = spawned.flatten().collect();
    tokio::task::yield_now().await;
    let grown = resident_kib().saturating_sub(before);
    println!(
        "{IDLE} idle children: about {} bytes each",
        grown * 1024 / IDLE
    );
    let start = Instant::now();
    let nodes = root.tree().snapshot().count();
    println!("snapshot of {nodes} nodes: {:.2} ms", ms(start));
    let start = Instant::now();
    for n in 0..IDLE {
        leases.stop(n);
    }
    while !leases.is_empty() {
        tokio::task::yield_now().await;
    }
    println!("stop of {IDLE} idle children: {:.2} ms", ms(start));
    drop(addrs);
}

/// Resident memory of this process in KiB; 0 if the system does not report it.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
