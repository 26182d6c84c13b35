//! A flood of slow clients against the gateway of `kirosu up`: what the hub and its sessions feel of it.
//!
//! In CI with 1,000 clients; docs/performance.md says how to do it with 10,000 and has the figures.

use crate::common::http::raw;
use crate::common::process::{address, setup};
use crate::common::{Client, until};
use serde_json::json;
use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Slow clients side by side.
const CLIENTS: usize = 1000;
/// Connections that the gateway holds at most in this test.
const HELD: usize = 256;
/// Tasks that are timed before the flood, and at least as many during it.
const SAMPLES: usize = 200;

fn clients() -> usize {
    let asked = std::env::var("KIROSU_FLOOD_CLIENTS").ok();
    asked.map_or(CLIENTS, |text| text.parse().expect("a number of clients"))
}

/// Half of a request's head, a byte at a time, from many connections, each opened anew as soon as it is closed.
struct Flood {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicU64>,
    drivers: Vec<JoinHandle<()>>,
}

impl Flood {
    fn start(address: &str, clients: usize) -> Flood {
        let (stop, opened) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<AtomicU64>::default(),
        );
        let drivers = 2;
        let drive = |_| {
            let (stop, opened, address) = (stop.clone(), opened.clone(), address.to_owned());
            std::thread::spawn(move || {
                let mut open: Vec<Option<TcpStream>> = Vec::new();
                open.resize_with(clients / drivers, || None);
                while !stop.load(Ordering::Relaxed) {
                    for slot in &mut open {
                        drip(slot, &address, &opened);
                    }
                    // As a slow client does: it has time.
                    std::thread::park_timeout(Duration::from_millis(200));
                }
            })
        };
        let drivers = (0..drivers).map(drive).collect();
        Flood {
            stop,
            opened,
            drivers,
        }
    }

    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.drivers
            .into_iter()
            .for_each(|driver| driver.join().unwrap());
        self.opened.load(Ordering::Relaxed)
    }
}

/// Sends one more byte, or connects where there is no connection (any more).
fn drip(slot: &mut Option<TcpStream>, address: &str, opened: &AtomicU64) {
    let sent = slot.as_mut().map(|stream| stream.write_all(b"x"));
    if !matches!(sent, Some(Ok(()))) {
        // A machine that accepts no more connections is flooded all the same.
        *slot = TcpStream::connect(address).ok();
        if let Some(stream) = slot {
            opened.fetch_add(1, Ordering::Relaxed);
            let _ = stream.write_all(b"GET /stats HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
        }
    }
}

/// From the enqueue to the finished task, through the hub's own port and an echo session.
fn round_trip(client: &mut Client) -> Duration {
    let begun = Instant::now();
    let task = client.enqueue("ping");
    let done = client.call("wait", json!({"task_id": task, "timeout_seconds": 20}));
    assert_eq!(done["tasks"][0]["status"], "done");
    begun.elapsed()
}

/// The middle, and the one of a hundred.
fn middle_and_tail(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

#[test]
fn a_flood_of_slow_clients_reaches_neither_hub_nor_sessions() {
    let hub = setup().set(&format!("gateway.connections={HELD}")).start();
    let at = address(&hub);
    let mut client = hub.client();
    for _ in 0..20 {
        round_trip(&mut client);
    }
    let quiet = middle_and_tail((0..SAMPLES).map(|_| round_trip(&mut client)).collect());
    let memory = hub.resident();

    let flood = Flood::start(&at, clients());
    let ask = format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    until("the gateway says that it is full", || {
        // Where thousands are turned away at once, one may find its connection closed before it has asked.
        let answer = raw(&at, ask.as_bytes())?;
        (answer.status == 503).then_some(())
    });
    let begun = Instant::now();
    let mut times = Vec::new();
    while times.len() < SAMPLES || begun.elapsed() < Duration::from_secs(3) {
        times.push(round_trip(&mut client));
    }
    let flooded = middle_and_tail(times);
    let grown = hub.resident().saturating_sub(memory);
    let opened = flood.end();
    let ask = ask.replace("/healthz", "/readyz");
    until("the gateway serves again", || {
        (raw(&at, ask.as_bytes())?.status == 200).then_some(())
    });
    let after = middle_and_tail((0..SAMPLES).map(|_| round_trip(&mut client)).collect());

    println!(
        "{} slow clients, {opened} connections opened; a task's round trip, p50 and p99: {:?} before, {:?} during, {:?} after; memory grown by {} KiB",
        clients(),
        quiet,
        flooded,
        after,
        grown / 1024
    );
    assert!(opened as usize > HELD, "{opened}");
    assert!(
        flooded.0 < quiet.0 * 4 + Duration::from_millis(20),
        "{flooded:?}"
    );
    assert!(flooded.1 < Duration::from_secs(1), "{flooded:?}");
    assert!(grown < 64 << 20, "{grown}");
    let stats = client.call("stats", json!({}));
    assert_eq!(stats["stats"]["failed"], 0);
}
