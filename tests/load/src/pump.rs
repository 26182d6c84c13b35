//! Drives many connections from one thread, as cheaply as it can: it shares the cores with what it measures.

use crate::Fault;
use crate::talk::Talk;
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Nothing heard for so long: the server hangs.
const SILENCE: Timespec = Timespec {
    tv_sec: 30,
    tv_nsec: 0,
};

/// The result of a load.
#[derive(Clone, Copy, Debug)]
pub struct Pumped {
    /// Life cycles completed.
    pub cycles: u64,
    /// In this time.
    pub elapsed: Duration,
}

impl Pumped {
    /// Life cycles per second.
    pub fn rate(&self) -> f64 {
        self.cycles as f64 / self.elapsed.as_secs_f64()
    }
}

struct Line<T> {
    stream: TcpStream,
    talk: T,
    input: Vec<u8>,
    used: usize,
    awaited: usize,
}

/// Many conversations with one server.
pub struct Pump<T> {
    epoll: OwnedFd,
    lines: Vec<Line<T>>,
    out: Vec<u8>,
    events: Vec<epoll::Event>,
}

impl<T: Talk> Pump<T> {
    /// Opens a connection for each conversation.
    pub fn connect(address: SocketAddr, talks: Vec<T>) -> Result<Pump<T>, Fault> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let mut lines = Vec::with_capacity(talks.len());
        for talk in talks {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            let data = epoll::EventData::new_u64(lines.len() as u64);
            epoll::add(&epoll, &stream, data, epoll::EventFlags::IN)?;
            lines.push(Line {
                stream,
                talk,
                input: vec![0; 256 * 1024],
                used: 0,
                awaited: 0,
            });
        }
        Ok(Pump {
            epoll,
            lines,
            out: Vec::with_capacity(64 * 1024),
            events: Vec::with_capacity(256),
        })
    }

    /// Starts all conversations, lets them run for `warm_up`, and counts for `time`.
    pub fn run(&mut self, warm_up: Duration, time: Duration) -> Result<Pumped, Fault> {
        self.start()?;
        self.until(Instant::now() + warm_up)?;
        let (before, begun) = (self.cycles(), Instant::now());
        self.until(begun + time)?;
        Ok(Pumped {
            cycles: self.cycles() - before,
            elapsed: begun.elapsed(),
        })
    }

    /// Starts all conversations and runs them until they are stopped.
    pub fn run_until(&mut self, end: &AtomicBool) -> Result<(), Fault> {
        self.start()?;
        while !end.load(Ordering::Relaxed) {
            self.turn()?;
        }
        Ok(())
    }

    /// Starts all conversations and lets them run until the last has ended of itself.
    pub fn run_to_end(&mut self) -> Result<Pumped, Fault> {
        let (before, begun) = (self.cycles(), Instant::now());
        self.start()?;
        while self.lines.iter().any(|line| line.awaited > 0) {
            self.turn()?;
        }
        Ok(Pumped {
            cycles: self.cycles() - before,
            elapsed: begun.elapsed(),
        })
    }

    /// The conversations, to be reconfigured between two runs.
    pub fn talks(&mut self) -> impl Iterator<Item = &mut T> {
        self.lines.iter_mut().map(|line| &mut line.talk)
    }

    fn start(&mut self) -> Result<(), Fault> {
        for line in &mut self.lines {
            line.ask(&mut self.out)?;
        }
        Ok(())
    }

    fn cycles(&self) -> u64 {
        self.lines.iter().map(|line| line.talk.cycles()).sum()
    }

    fn until(&mut self, end: Instant) -> Result<(), Fault> {
        while Instant::now() < end {
            self.turn()?;
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fault> {
        self.events.clear();
        epoll::wait(
            &self.epoll,
            spare_capacity(&mut self.events),
            Some(&SILENCE),
        )?;
        if self.events.is_empty() {
            return Err(Fault::new("no answer for 30 s; the server hangs"));
        }
        for event in self.events.drain(..) {
            let line = &mut self.lines[event.data.u64() as usize];
            if line.listen()? {
                line.ask(&mut self.out)?;
            }
        }
        Ok(())
    }
}

impl<T: Talk> Line<T> {
    /// Says what comes next. Blocking: what is said fits a socket's buffer, and the server reads all the time.
    fn ask(&mut self, out: &mut Vec<u8>) -> Result<(), Fault> {
        out.clear();
        self.awaited = self.talk.next(out);
        Ok(self.stream.write_all(out)?)
    }

    /// Reads what is there; true when everything asked is answered.
    fn listen(&mut self) -> Result<bool, Fault> {
        if self.used == self.input.len() {
            self.input.resize(self.used * 2, 0);
        }
        let got = self.stream.read(&mut self.input[self.used..])?;
        if got == 0 {
            return Err(Fault::new("the server closed a connection"));
        }
        self.used += got;
        let mut at = 0;
        while self.awaited > 0 {
            let refused = |answer| Fault::new(format!("the server refused a request: {answer}"));
            let taken = self
                .talk
                .take(&self.input[at..self.used])
                .map_err(refused)?;
            if taken == 0 {
                break;
            }
            at += taken;
            self.awaited -= 1;
        }
        self.input.copy_within(at..self.used, 0);
        self.used -= at;
        Ok(self.awaited == 0)
    }
}
