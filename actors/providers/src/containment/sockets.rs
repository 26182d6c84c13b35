//! The filter of system calls for runs without network: it leaves only sockets that Landlock controls (TCP) and those of
//! this machine (Unix).

use std::collections::BTreeMap;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType, ipproto};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule,
};

/// The part of a socket's type that is not a flag.
const TYPE: u64 = 0xf;

/// The system calls that the filter looks at: `socket`, and `io_uring_setup`, which would open sockets past it.
#[cfg(target_arch = "x86_64")]
const CALLS: (i64, i64) = (41, 425);
#[cfg(target_arch = "aarch64")]
const CALLS: (i64, i64) = (198, 425);

/// The filter.
///
/// # Errors
/// A sentence: there is none for this processor.
pub(super) fn filter() -> Result<BpfProgram, String> {
    let made = rules().and_then(|rules| {
        let architecture = std::env::consts::ARCH.try_into()?;
        let refused = u32::from(Errno::ACCESS.raw_os_error().unsigned_abs() as u16);
        let (allow, refuse) = (SeccompAction::Allow, SeccompAction::Errno(refused));
        SeccompFilter::new(rules, allow, refuse, architecture)?.try_into()
    });
    made.map_err(|error| format!("the filter of sockets cannot be made: {error}"))
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let is = |argument: u8, operation: SeccompCmpOp, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)
    };
    let family = |family: AddressFamily| u64::from(family.as_raw());
    let [unix, v4, v6] = [
        AddressFamily::UNIX,
        AddressFamily::INET,
        AddressFamily::INET6,
    ]
    .map(family);
    let other = SeccompRule::new(vec![is(0, Ne, unix)?, is(0, Ne, v4)?, is(0, Ne, v6)?])?;
    let mut refused = vec![other];
    let stream = u64::from(SocketType::STREAM.as_raw());
    for family in [v4, v6] {
        for kind in (0..=TYPE).filter(|it| *it != stream) {
            let rule = vec![is(0, Eq, family)?, is(1, MaskedEq(TYPE), kind)?];
            refused.push(SeccompRule::new(rule)?);
        }
        // Other protocols with streams, such as multipath TCP.
        let tcp = u64::from(ipproto::TCP.as_raw().get());
        let rule = vec![is(0, Eq, family)?, is(2, Ne, 0)?, is(2, Ne, tcp)?];
        refused.push(SeccompRule::new(rule)?);
    }
    let (socket, io_uring) = CALLS;
    Ok(BTreeMap::from([(socket, refused), (io_uring, Vec::new())]))
}
