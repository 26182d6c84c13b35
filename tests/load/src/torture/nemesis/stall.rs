//! Readers that do not read: the wire to the worker processes is held, and a client asks thousands of questions and
//! leaves the answers where they are. When it reads them at last, they must be its own, in the order it asked.

use super::{Field, Nemesis};
use crate::Fault;
use crate::torture::proxy::Gate;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Questions asked at once: far more than a connection may have under way.
const QUESTIONS: usize = 1_500;

/// How long the reader waits for an answer when it reads again.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Default)]
pub(super) struct Stall {
    hog: Option<Hog>,
}

impl Nemesis for Stall {
    fn lasts_ms(&self) -> (u64, u64) {
        (500, 1_500)
    }

    fn start(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        field.gates.set(Gate::Open, Gate::Held);
        self.hog = Some(Hog::ask(field.shared.address())?);
        Ok(())
    }

    fn heal(&mut self, field: &mut Field<'_>) -> Result<(), Fault> {
        field.gates.set(Gate::Open, Gate::Open);
        if let Some(hog) = self.hog.take()
            && let Err(sentence) = hog.read()
        {
            field.verdict.violation(sentence);
        }
        Ok(())
    }
}

/// A client that asks and does not read.
struct Hog {
    stream: TcpStream,
    /// Bytes that the connection has not accepted yet.
    unsent: Vec<u8>,
}

impl Hog {
    fn ask(address: SocketAddr) -> Result<Hog, Fault> {
        let stream = TcpStream::connect(address)?;
        stream.set_nonblocking(true)?;
        let line = |n| format!("{{\"id\":{n},\"method\":\"list\",\"params\":{{\"limit\":20}}}}\n");
        let mut unsent: Vec<u8> = (0..QUESTIONS).flat_map(|n| line(n).into_bytes()).collect();
        let mut writing = &stream;
        // Full at some point: the hub takes no more than it may.
        while let Ok(sent) = writing.write(&unsent) {
            unsent.drain(..sent);
            if unsent.is_empty() {
                break;
            }
        }
        Ok(Hog { stream, unsent })
    }

    /// Sends the rest and reads all answers. A hub that was killed, or has had enough, may close; it may not mix up.
    fn read(self) -> Result<usize, String> {
        let Hog { stream, unsent } = self;
        let prepared = stream
            .set_nonblocking(false)
            .and_then(|()| stream.set_read_timeout(Some(PATIENCE)))
            .and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        prepared.map_err(|e| format!("a connection cannot be set up: {e}"))?;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let sent = (&stream).write_all(&unsent);
                sent.and_then(|()| stream.shutdown(Shutdown::Write))
            });
            let mut lines = BufReader::new(&stream);
            for n in 0..QUESTIONS {
                let mut line = String::new();
                match lines.read_line(&mut line) {
                    Ok(0) => return Ok(n),
                    Ok(_) if !line.ends_with('\n') => return Ok(n),
                    Ok(_) => {}
                    Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                        let _ = stream.shutdown(Shutdown::Both);
                        return Err(format!(
                            "question {n} of a slow reader was not answered within {PATIENCE:?}"
                        ));
                    }
                    Err(_) => return Ok(n),
                }
                if !line.starts_with(&format!("{{\"id\":{n},")) {
                    let _ = stream.shutdown(Shutdown::Both);
                    let said: String = line.chars().take(80).collect();
                    return Err(format!(
                        "question {n} of a slow reader was answered with {said}"
                    ));
                }
            }
            Ok(QUESTIONS)
        })
    }
}
