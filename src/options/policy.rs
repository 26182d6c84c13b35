//! What models cost, and who decides over tool calls.

use kirosu_config::Settings;
use kirosu_config::approval::{ApprovalAction, ApprovalArgs, ApprovalRule};
use kirosu_swarm::{ArgsText, PermissionPolicy, PermissionRule, Prices, RuleAction, RuleText};

/// What models cost.
///
/// # Errors
/// Every fault, as `MODEL.KEY: sentence`.
pub(super) fn prices(settings: &Settings) -> Result<Prices, Vec<String>> {
    let table = settings.prices.as_ref().map(Prices::read);
    table.unwrap_or_else(|| Ok(Prices::default()))
}

/// Who decides over tool calls, or what is wrong with the rules, each with its place.
pub(super) fn approval(settings: &Settings) -> Result<PermissionPolicy, Vec<String>> {
    let approval = &settings.approval;
    let told = |(place, message)| format!("{place}: {message}");
    let written = approval
        .rules()
        .map_err(|faults| faults.into_iter().map(told).collect::<Vec<_>>())?;
    let (mut rules, mut faults) = (Vec::new(), Vec::new());
    for (index, rule) in written.into_iter().enumerate() {
        match PermissionRule::new(rule_text(rule)) {
            Ok(rule) => rules.push(rule),
            Err(fault) => faults.push(format!("rule[{index}].{fault}")),
        }
    }
    match faults.is_empty() {
        true => Ok(PermissionPolicy::new(approval.wait, rules)),
        false => Err(faults),
    }
}

fn rule_text(rule: ApprovalRule) -> RuleText {
    RuleText {
        name: rule.name,
        action: match rule.action {
            ApprovalAction::Allow => RuleAction::Allow,
            ApprovalAction::Deny => RuleAction::Deny,
            ApprovalAction::Ask => RuleAction::Ask,
        },
        tool: rule.tool,
        kind: rule.kind,
        pool: rule.pool,
        args: rule.args.map(|args| match args {
            ApprovalArgs::All(pattern) => ArgsText::All(pattern),
            ApprovalArgs::Each(each) => ArgsText::Each(each),
        }),
    }
}
