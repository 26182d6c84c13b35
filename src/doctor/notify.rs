//! The targets of notifications: whether a delivery could be tried. Nothing is sent.

use super::Finding;
use crate::options::notify_targets;
use kirosu_config::Settings;

const AREA: &str = "Notifications";

pub(super) async fn findings(settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in notify_targets(settings) {
        let examined = kirosu_notify::examine(&target).await;
        findings.push(match examined {
            Ok(what) => Finding::ok(AREA, &target.name, what),
            Err(why) => Finding::problem(AREA, &target.name, why).advise(format!(
                "correct it, then `kirosu reload` and `kirosu notify test {}`",
                target.name
            )),
        });
    }
    findings
}
