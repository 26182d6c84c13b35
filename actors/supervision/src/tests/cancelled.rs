//! A cancellation by the old actor must not affect the new one.

use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, SpawnHandle};

use crate::tests::kit::{Log, Poke, root, run};
use crate::{BackoffPolicy, ChildContext, ChildSpec, SupervisorSpec, mailbox, testkit};

struct Ticker {
    child: ChildContext,
    log: Log,
    tick: Option<SpawnHandle>,
}

crate::supervised!(Ticker);

impl Actor for Ticker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.tick = Some(ctx.run_interval(Duration::from_millis(10), |ticker, _| {
            ticker
                .log
                .add(format!("tick {}", ticker.child.incarnation()));
        }));
    }
}

impl Handler<Poke> for Ticker {
    type Result = ();

    fn handle(&mut self, _: Poke, ctx: &mut Context<Self>) {
        if let Some(tick) = self.tick.take() {
            ctx.cancel_future(tick);
        }
        if self.child.incarnation() == 0 {
            self.child.fail(ctx, "no luck");
        } else {
            panic!("no luck either");
        }
    }
}

#[test]
fn timers_of_a_restarted_actor_tick_although_the_old_one_cancelled_its_own() {
    run(|log| async move {
        let (place, addr) = mailbox();
        let told = log.clone();
        let spec = ChildSpec::new("ticker", place, move |child| Ticker {
            child: child.clone(),
            log: told.clone(),
            tick: None,
        });
        let root =
            root(SupervisorSpec::new("root").child(spec.backoff(BackoffPolicy::immediate())));
        for incarnation in 0..3 {
            let line = format!("tick {incarnation}");
            testkit::eventually(&line, || log.count(&line) > 0).await;
            addr.do_send(Poke);
        }
        root.shutdown().await;
    });
}
