//! Questions of approvals that no person has answered in time.

use super::turn::{RunTurn, TurnInput};
use kirosu_plan::Work;
use kirosu_plan::advance::find;
use kirosu_store::{Command, RunStep};

impl RunTurn<'_> {
    /// Decides questions that no person has answered in time. Returns whether there are some.
    pub fn time_out(&mut self, around: &mut TurnInput<'_>) -> bool {
        let plan = self.plan.clone();
        let mut any = false;
        let questions = self.snapshot.steps.values().filter(|step| step.open > 0);
        let questions: Vec<RunStep> = questions.cloned().collect();
        for step in questions {
            let path = &step.path;
            let found = find(&plan, path);
            let Some(Work::Approve(work)) = found.map(|found| &found.step.work) else {
                continue;
            };
            let Some(timeout) = work.timeout_ms.and_then(|ms| i64::try_from(ms).ok()) else {
                continue;
            };
            if work.on_timeout == "wait" {
                continue;
            }
            let items = around
                .store
                .plan_items(step.id, None, 0, 1)
                .unwrap_or_default();
            let Some(task) = items.into_iter().next().and_then(|item| item.task_id) else {
                continue;
            };
            // A question that a pause has taken back is asked anew, and its time begins again.
            let asked = around.store.many(&[task]).unwrap_or_default();
            let Some(asked) = asked.first().map(|task| (task.created_at * 1000.0) as i64) else {
                continue;
            };
            let at = asked.saturating_add(timeout);
            if at > around.now_ms {
                self.wake_at(at);
                continue;
            }
            let reason = Some(format!("no person decided within {} s", timeout / 1000));
            let by = Some("timeout".to_owned());
            let command = match work.on_timeout.as_str() {
                "approve" => Command::Approve {
                    task,
                    fence: None,
                    by,
                    comment: reason,
                    raise: None,
                    only_human: false,
                },
                _ => Command::Reject {
                    task,
                    fence: None,
                    reason,
                    by,
                },
            };
            self.commands.push((command, None));
            any = true;
        }
        any
    }
}
