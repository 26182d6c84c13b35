//! The kernel's cost: a message to a supervised actor against one to a plain actix actor.
//! `cargo bench -p kirosu-supervision`.
#![allow(clippy::unwrap_used)]

use actix::prelude::*;
use divan::Bencher;
use kirosu_supervision::{
    ChildContext, ChildSpec, Clock, Root, SupervisorSpec, mailbox, supervised,
};

fn main() {
    divan::main();
}

#[derive(Message)]
#[rtype(result = "u64")]
struct Add(u64);

struct Supervised {
    _child: ChildContext,
    sum: u64,
}

supervised!(Supervised);

impl Actor for Supervised {
    type Context = Context<Self>;
}

impl Handler<Add> for Supervised {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _: &mut Self::Context) -> u64 {
        self.sum += n;
        self.sum
    }
}

struct Plain {
    sum: u64,
}

impl Actor for Plain {
    type Context = Context<Self>;
}

impl Handler<Add> for Plain {
    type Result = u64;

    fn handle(&mut self, Add(n): Add, _: &mut Self::Context) -> u64 {
        self.sum += n;
        self.sum
    }
}

#[divan::bench]
fn supervised_actor(bencher: Bencher<'_, '_>) {
    let system = actix_rt::System::new();
    let (root, addr) = system.block_on(async {
        let (mailbox, addr) = mailbox();
        let factory = |child: &ChildContext| Supervised {
            _child: child.clone(),
            sum: 0,
        };
        let spec = SupervisorSpec::new("root").child(ChildSpec::new("actor", mailbox, factory));
        (Root::start(spec, Clock::system()), addr)
    });
    bencher.bench_local(|| system.block_on(addr.send(Add(1))).unwrap());
    system.block_on(root.shutdown());
}

#[divan::bench]
fn plain_actor(bencher: Bencher<'_, '_>) {
    let system = actix_rt::System::new();
    let addr = system.block_on(async { Plain { sum: 0 }.start() });
    bencher.bench_local(|| system.block_on(addr.send(Add(1))).unwrap());
}
