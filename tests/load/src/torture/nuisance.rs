//! A misbehaving client: garbage, half lines, unread answers, leases abandoned with the connection.
//!
//! It writes nothing down: none of it may change what the others are promised.

use super::link::Shared;
use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// More questions than a connection may have under way.
const UNREAD: usize = 100;

/// Between two nuisances.
const REST: Duration = Duration::from_millis(50);

/// Connections of it that stay open at a time, unread.
const OPEN: usize = 8;

/// Goes on while tasks are being enqueued; afterwards the queue must drain in peace. Returns how often it struck.
pub fn run(shared: &Shared, seed: u64) -> u64 {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut open = Vec::new();
    let mut struck = 0;
    while shared.producing.load(Ordering::Acquire) > 0 && !shared.is_over() {
        std::thread::sleep(REST);
        // A hub that is down cannot be annoyed, and one that closes such a connection is right.
        let Ok(stream) = TcpStream::connect(shared.address()) else {
            continue;
        };
        let _ = stream.set_nonblocking(true);
        let _ = strike(&stream, &mut rng);
        struck += 1;
        open.push(stream);
        if open.len() > OPEN {
            open.remove(rng.usize(0..OPEN));
        }
    }
    struck
}

fn strike(mut stream: &TcpStream, rng: &mut fastrand::Rng) -> std::io::Result<()> {
    match rng.u32(0..6) {
        0 => stream.write_all(b"{\"id\":1,\"method\":\"enqueue\",\"params\":{\"prompt\":\"never fini"),
        1 => stream.write_all(&std::iter::repeat_with(|| rng.u8(..)).take(4096).collect::<Vec<u8>>()),
        2 => stream.write_all("[".repeat(100_000).as_bytes()),
        3 => stream.write_all(b"{\"id\":1,\"method\":\"lease\",\"params\":{\"worker_id\":\"gone\",\"lease_seconds\":1}}\n"),
        4 => stream.write_all("{\"id\":1,\"method\":\"list\"}\n".repeat(UNREAD).as_bytes()),
        _ => stream.write_all(
            b"{\"id\":1e999,\"method\":\"ack\"}\n{\"id\":2,\"method\":\"ack\",\"params\":{\"task_id\":1.9,\"status\":\"done\"}}\n\
              {\"id\":3,\"method\":\"enqueue\",\"params\":{\"prompt\":\"\\ud800\"}}\n\xff\xfe\n",
        ),
    }
}
