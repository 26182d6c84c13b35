//! Property tests of the restart machine.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use crate::{
    BackoffPolicy, ChildExit, ExitReason, Intensity, Restart, RestartDecision, RestartMachine,
    Strategy,
};

fn reason() -> impl proptest::strategy::Strategy<Value = ExitReason> {
    prop_oneof![
        Just(ExitReason::Normal),
        Just(ExitReason::Stopped),
        Just(ExitReason::Failed("x".into())),
        Just(ExitReason::Panicked("x".into())),
        Just(ExitReason::Killed),
        Just(ExitReason::GaveUp("x".into())),
    ]
}

fn restart() -> impl proptest::strategy::Strategy<Value = Restart> {
    prop_oneof![
        Just(Restart::Permanent),
        Just(Restart::Transient),
        Just(Restart::Temporary)
    ]
}

proptest! {
    /// Compared with a simple model: at most `restarts` in any window of `period`, and no restart
    /// is refused below that.
    #[test]
    fn the_window_is_filled_exactly(
        restarts in 0_u32..6,
        period_ms in 1_u64..500,
        ends in prop::collection::vec((0_u64..200, reason(), restart()), 1..80),
    ) {
        let period = Duration::from_millis(period_ms);
        let mut machine = RestartMachine::new(Intensity { restarts, period });
        let mut delays = BackoffPolicy::immediate().delays();
        let mut now = Instant::now();
        let mut granted: VecDeque<Instant> = VecDeque::new();
        for (pause, reason, restart) in ends {
            now += Duration::from_millis(pause);
            let ended = ChildExit {
                child: "c",
                restart,
                reason: &reason,
                up_for: Duration::ZERO,
                healthy_after: Duration::from_secs(1),
            };
            let verdict = machine.on_exit(&ended, &mut delays, now);
            let wanted = match restart {
                Restart::Permanent => true,
                Restart::Transient => reason.is_abnormal(),
                Restart::Temporary => false,
            };
            let recent = granted.iter().filter(|at| now - **at < period).count();
            let expected_restart = wanted && recent < restarts as usize;
            match verdict {
                RestartDecision::Leave => prop_assert!(!wanted),
                RestartDecision::Restart { .. } => {
                    prop_assert!(expected_restart);
                    granted.push_back(now);
                }
                RestartDecision::GiveUp(why) => {
                    prop_assert!(wanted && !expected_restart);
                    prop_assert!(why.contains('c'));
                }
            }
        }
    }

    #[test]
    fn every_strategy_restarts_the_one_that_failed(len in 1_usize..50, at in 0_usize..50) {
        let failed = at % len;
        for strategy in [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne] {
            let affected = strategy.affected(failed, len);
            prop_assert!(affected.contains(&failed) && affected.end <= len);
        }
        prop_assert_eq!(Strategy::OneForOne.affected(failed, len).len(), 1);
        prop_assert_eq!(Strategy::RestForOne.affected(failed, len), failed..len);
    }
}
