//! Random faults and orders at random moments. Afterwards the tree must be complete again, every
//! address must be answered, and no child may be leaked.

use std::time::Duration;

use actix::Addr;

use crate::tests::kit::{
    Log, StopBehavior, Which, Worker, factory, often, root, steady, with_stop,
};
use crate::{
    BackoffPolicy, ChildSnapshot, ChildSpec, ChildStatus, Clock, DynamicHandle, DynamicSpec,
    ExitReason, Restart, Root, Strategy, SupervisorHandle, SupervisorSpec, ThreadRegistry, testkit,
};

/// A small random generator. A failed test prints its seed.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.roll(list.len() as u64) as usize]
    }
}

struct RandomTree {
    root: Root,
    handles: Vec<SupervisorHandle>,
    dynamic: DynamicHandle,
    addrs: Vec<Addr<Worker>>,
    log: Log,
}

fn quick(spec: ChildSpec, dice: &mut Dice) -> ChildSpec {
    let policy = match dice.roll(3) {
        0 => BackoffPolicy::immediate(),
        1 => steady(1),
        _ => steady(20),
    };
    spec.backoff(policy)
}

fn random_tree(
    dice: &mut Dice,
    place: Option<&actix_rt::ArbiterHandle>,
    clock: Option<Clock>,
) -> RandomTree {
    let log = Log::default();
    let mut addrs = Vec::new();
    let mut handles = Vec::new();
    let mut top = SupervisorSpec::new("root").intensity(often(100_000));
    for (n, strategy) in [
        Strategy::OneForOne,
        Strategy::OneForAll,
        Strategy::RestForOne,
    ]
    .into_iter()
    .enumerate()
    {
        let mut spec = SupervisorSpec::new(format!("s{n}"))
            .strategy(strategy)
            .intensity(often(100_000));
        for m in 0..4 {
            let stop = match dice.roll(3) {
                0 => StopBehavior::After(Duration::from_millis(2)),
                _ => StopBehavior::Plain,
            };
            let (mut child, addr) = with_stop(&format!("c{m}"), &log, stop);
            if let Some(place) = place.filter(|_| m % 2 == 0) {
                child = child.on(place);
            }
            spec = spec.child(quick(child, dice));
            addrs.push(addr);
        }
        handles.push(spec.handle());
        top = top.child(quick(ChildSpec::supervisor(spec), dice));
    }
    let spec = DynamicSpec::new("d")
        .restart(Restart::Transient)
        .backoff(steady(5))
        .intensity(often(100_000));
    let dynamic = spec.handle();
    top = top.child(quick(ChildSpec::dynamic(spec), dice));
    let root = match clock {
        Some(clock) => Root::start(top, clock),
        None => root(top),
    };
    RandomTree {
        root,
        handles,
        dynamic,
        addrs,
        log,
    }
}

fn paths(node: &ChildSnapshot, above: &str, into: &mut Vec<String>) {
    for child in &node.children {
        let path = format!("{above}/{}", child.id);
        paths(child, &path, into);
        into.push(path);
    }
}

impl RandomTree {
    async fn act(&self, dice: &mut Dice) {
        let mut all = Vec::new();
        paths(&self.root.tree().snapshot(), "root", &mut all);
        match dice.roll(10) {
            0..=3 => {
                self.root.tree().inject_panic(dice.pick::<String>(&all));
            }
            4 | 5 => {
                let name = dice.roll(20);
                let _ = self
                    .dynamic
                    .spawn(name, factory(&self.log, None, 0, StopBehavior::Ignore));
            }
            6 => {
                let handle = dice.pick(&self.handles).clone();
                let child = format!("c{}", dice.roll(4));
                tokio::task::spawn_local(async move {
                    let _ = handle.restart_child(child).await;
                });
            }
            7 => {
                let handle = self.root.handle().clone();
                let child = format!("s{}", dice.roll(3));
                tokio::task::spawn_local(async move {
                    let _ = handle.restart_child(child).await;
                });
            }
            8 => {
                self.dynamic.kill(dice.roll(20));
            }
            _ => tokio::time::sleep(Duration::from_millis(dice.roll(30))).await,
        }
        for _ in 0..dice.roll(4) {
            tokio::task::yield_now().await;
        }
    }

    fn is_whole(&self) -> bool {
        let tree = self.root.tree().snapshot();
        let up = |node: &ChildSnapshot| node.state == ChildStatus::Running;
        tree.children.len() == 4
            && tree
                .children
                .iter()
                .all(|node| up(node) && node.children.iter().all(up))
            && tree
                .children
                .iter()
                .take(3)
                .all(|node| node.children.len() == 4)
    }

    async fn recovers(&self) {
        testkit::eventually("the tree is whole again", || self.is_whole()).await;
        for addr in &self.addrs {
            addr.send(Which).await.unwrap();
        }
        assert_eq!(self.root.shutdown().await, ExitReason::Stopped);
        assert!(self.dynamic.is_empty());
        testkit::eventually("the addresses are closed", || {
            self.addrs.iter().all(|addr| !addr.connected())
        })
        .await;
    }
}

#[test]
fn the_tree_recovers_from_random_faults() {
    for seed in 1..=20 {
        println!("seed {seed}");
        testkit::run(async move {
            let mut dice = Dice::new(seed);
            let random_tree = random_tree(&mut dice, None, None);
            for _ in 0..100 {
                random_tree.act(&mut dice).await;
            }
            random_tree.recovers().await;
        });
    }
}

#[test]
fn the_tree_recovers_across_threads_in_real_time() {
    for seed in 1..=3 {
        println!("seed {seed}");
        actix_rt::System::new().block_on(async {
            let threads = ThreadRegistry::new();
            let elsewhere = threads.start("elsewhere").unwrap();
            let mut dice = Dice::new(seed);
            let random_tree = random_tree(&mut dice, Some(&elsewhere), Some(Clock::system()));
            for _ in 0..100 {
                random_tree.act(&mut dice).await;
            }
            random_tree.recovers().await;
            assert!(threads.stop(Duration::from_secs(5)).await.is_empty());
        });
    }
}

#[test]
fn a_shutdown_at_any_moment_leaks_no_child() {
    for seed in 1..=60 {
        println!("seed {seed}");
        testkit::run(async move {
            let mut dice = Dice::new(seed + 1_000);
            let random_tree = random_tree(&mut dice, None, None);
            for _ in 0..dice.roll(40) {
                random_tree.act(&mut dice).await;
            }
            assert_eq!(random_tree.root.shutdown().await, ExitReason::Stopped);
        });
    }
}
