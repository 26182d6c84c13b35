//! The runner's end of the control socket, which is its stdin.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, recvmsg, send};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};

use crate::containment::{RunnerOrder, RunnerReport};

/// The control socket, and the descriptor from the first message.
pub(super) struct Control {
    program_stdin: Option<OwnedFd>,
    open: bool,
}

impl Control {
    /// Waits for the order to start. `None` when the hub died before it.
    ///
    /// # Errors
    /// When stdin is not a control socket, or the first message is another one.
    pub(super) fn open() -> io::Result<Option<Self>> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut message = [IoSliceMut::new(&mut byte)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(stdin(), &mut message, &mut ancillary, flags)?;
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut program_stdin = None;
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                program_stdin = descriptors.into_iter().next();
            }
        }
        if byte[0] != RunnerOrder::Start.byte() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Some(Self {
            program_stdin,
            open: true,
        }))
    }

    /// Takes the program's stdin.
    pub(super) const fn take_stdin(&mut self) -> Option<OwnedFd> {
        self.program_stdin.take()
    }

    /// The descriptor to poll. `None` after the hub has died.
    pub(super) fn polled(&self) -> Option<BorrowedFd<'static>> {
        self.open.then(stdin)
    }

    /// Reads the available orders after a poll. True when everything must end, by order or because the hub died.
    pub(super) fn wants_stop(&mut self) -> bool {
        let mut bytes = [0; 16];
        match rustix::io::read(stdin(), &mut bytes) {
            Ok(count @ 1..) => bytes[..count].contains(&RunnerOrder::Stop.byte()),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => false,
            Ok(0) | Err(_) => {
                self.open = false;
                true
            }
        }
    }

    /// Sends a report to the hub, if it is still alive.
    pub(super) fn report(&self, report: &RunnerReport) {
        if let Ok(mut line) = serde_json::to_vec(report) {
            line.push(b'\n');
            let _ = send(stdin(), &line, SendFlags::NOSIGNAL);
        }
    }
}

/// Closes the runner's stdout and stderr, which only the program must hold.
pub(super) fn forget_output() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = dup2_stdout(null.as_fd());
        let _ = dup2_stderr(null.as_fd());
    }
}
