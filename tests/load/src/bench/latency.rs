//! From the moment an enqueue is sent to the moment an idle worker, parked in the hub, has the task.

use super::{Bench, Report, Row, Target, percentile};
use crate::Fault;
use crate::pump::Pump;
use crate::talk::{Kirosu, Style, prompt};
use crate::wire::Wire;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const SAMPLES: usize = 2000;

/// Between samples, so that the hub has come to rest.
const REST: Duration = Duration::from_millis(1);

/// Connections that run plain life cycles in another queue, one request in flight each, for the figures under load.
const LOAD: u64 = 8;

/// On an idle hub, then under load; and Redis's blocking pop on an idle server.
pub fn measure(bench: &Bench, report: &mut Report) -> Result<(), Fault> {
    let hub = bench.hub()?;
    let address = hub.server.address;
    let samples = bench.scaled(SAMPLES);
    let mut quiet = sample_hub(address, samples)?;
    let mut loaded = under_load(address, || sample_hub(address, samples))?;
    drop(hub);
    let mut redis = match bench.redis {
        true => {
            let (server, _folder) = bench.redis()?;
            Some(sample_redis(server.address, samples)?)
        }
        false => None,
    };
    for (name, p, target) in [
        ("p50", 0.5, Some(Target::AtMost(0.6))),
        ("p99", 0.99, Some(Target::AtMost(3.0))),
        ("max", 1.0, None),
    ] {
        let what = format!("enqueue to parked worker, quiet, {name}");
        let mut row = Row::new(what, "ms", percentile(&mut quiet, p));
        if let Some(redis) = &mut redis {
            row = row.beside("redis", percentile(redis, p));
        }
        row.target = target;
        report.add(row);
    }
    for (name, p) in [("p50", 0.5), ("p99", 0.99), ("max", 1.0)] {
        let what = format!("enqueue to parked worker, {LOAD} busy connections, {name}");
        report.add(Row::new(what, "ms", percentile(&mut loaded, p)));
    }
    Ok(())
}

fn under_load<R>(address: SocketAddr, work: impl FnOnce() -> Result<R, Fault>) -> Result<R, Fault> {
    let end = AtomicBool::new(false);
    let talks = (1..=LOAD).map(|n| Kirosu::new(n, 1, Style::Plain).in_queue("load"));
    let talks: Vec<_> = talks.collect();
    std::thread::scope(|scope| {
        let load = scope.spawn(|| Pump::connect(address, talks)?.run_until(&end));
        let result = work();
        end.store(true, Ordering::Relaxed);
        match load.join() {
            Ok(loaded) => loaded.and(result),
            Err(_) => Err(Fault::new("the load's thread panicked")),
        }
    })
}

fn sample_hub(address: SocketAddr, samples: usize) -> Result<Vec<f64>, Fault> {
    let (mut producer, mut worker) = (Wire::connect(address)?, Wire::connect(address)?);
    let enqueue = format!(
        "{{\"id\":1,\"method\":\"enqueue\",\"params\":{{\"prompt\":\"{}\",\"queue\":\"quick\"}}}}\n",
        prompt(1, 200)
    );
    // A parked request is overtaken by the next one's answer: when `stats` is answered, the lease is parked.
    let park = "{\"id\":2,\"method\":\"lease\",\"params\":{\"worker_id\":\"w\",\"wait_seconds\":60,\"queues\":[\"quick\"]}}\n\
                {\"id\":3,\"method\":\"stats\"}\n";
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        worker.send(park.as_bytes())?;
        expect(worker.line()?, "\"stats\":")?;
        std::thread::sleep(REST);
        let sent = Instant::now();
        producer.send(enqueue.as_bytes())?;
        let task = number_after(worker.line()?, b"\"task_id\":")?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
        expect(producer.line()?, "\"task_id\":")?;
        let ack = format!(
            "{{\"id\":4,\"method\":\"ack\",\"params\":{{\"task_id\":{task},\"status\":\"done\"}}}}\n"
        );
        worker.send(ack.as_bytes())?;
        expect(worker.line()?, "\"ok\":true")?;
    }
    Ok(times)
}

fn sample_redis(address: SocketAddr, samples: usize) -> Result<Vec<f64>, Fault> {
    let (mut producer, mut worker) = (Wire::connect(address)?, Wire::connect(address)?);
    let task = prompt(1, 200);
    let push = format!("*3\r\n$5\r\nLPUSH\r\n$5\r\nquick\r\n$200\r\n{task}\r\n");
    let remove = format!("*4\r\n$4\r\nLREM\r\n$5\r\ntaken\r\n$2\r\n-1\r\n$200\r\n{task}\r\n");
    let park = "*4\r\n$10\r\nBRPOPLPUSH\r\n$5\r\nquick\r\n$5\r\ntaken\r\n$1\r\n0\r\n";
    let mut times = Vec::with_capacity(samples);
    for _ in 0..samples {
        worker.send(park.as_bytes())?;
        std::thread::sleep(REST);
        let sent = Instant::now();
        producer.send(push.as_bytes())?;
        worker.line()?;
        worker.line()?;
        times.push(sent.elapsed().as_secs_f64() * 1e3);
        producer.line()?;
        worker.send(remove.as_bytes())?;
        expect(worker.line()?, ":1")?;
    }
    Ok(times)
}

/// The number that follows `key` in a line.
pub(super) fn number_after(line: &[u8], key: &[u8]) -> Result<u64, Fault> {
    let at = memchr::memmem::find(line, key);
    let digits = at.map(|at| {
        let digits = line[at + key.len()..].iter();
        digits
            .take_while(|b| b.is_ascii_digit())
            .fold(0, |n, b| n * 10 + u64::from(b - b'0'))
    });
    digits.ok_or_else(|| unexpected(line))
}

/// Fails unless the line contains `words`.
pub(super) fn expect(line: &[u8], words: &str) -> Result<(), Fault> {
    match memchr::memmem::find(line, words.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(unexpected(line)),
    }
}

fn unexpected(line: &[u8]) -> Fault {
    Fault::new(format!(
        "an unexpected answer: {}",
        String::from_utf8_lossy(line)
    ))
}
