//! `reserve`: reserves a part of a budget for a run.

use super::{Begun, Command, Outcome, RequestScope, Started, refuse_unexpected};
use kirosu_protocol::{ReserveParams, Scope, ScopeLimit};

pub fn begin(mut params: ReserveParams, scope: &mut RequestScope<'_>) -> Begun {
    apply_own_limits(&mut params.scopes, &scope.hub().rules().budgets);
    let command = Command::Reserve(Box::new(params));
    Ok(Started::Submit(command, finish))
}

/// Puts the limits of the hub's settings in the place of those that an agent host reports. The budget of all pools counts for
/// each run, whether its host knows it or not.
fn apply_own_limits(reported: &mut Vec<ScopeLimit>, own: &[ScopeLimit]) {
    for own in own {
        match reported.iter_mut().find(|it| it.scope == own.scope) {
            Some(limit) => limit.clone_from(own),
            None if own.scope == Scope::Hub => reported.push(own.clone()),
            None => {}
        }
    }
}

fn finish(outcome: Outcome, scope: &mut RequestScope<'_>) {
    match outcome {
        Outcome::Reserved(answer) => scope.answer(&*answer),
        outcome => refuse_unexpected(&outcome, scope),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_protocol::Budget;

    #[test]
    fn the_hubs_own_limits_replace_those_of_the_agent_host() {
        let limit = |scope: Scope, tokens, per_seconds| ScopeLimit {
            scope,
            limit: Budget {
                tokens: Some(tokens),
                micros: None,
            },
            per_seconds,
        };
        let own = [
            limit(Scope::Hub, 10, 86_400),
            limit(Scope::Pool("a".into()), 20, 3600),
        ];
        let mut scopes = vec![
            limit(Scope::Pool("a".into()), 999, 86_400),
            limit(Scope::Pool("b".into()), 5, 86_400),
        ];
        apply_own_limits(&mut scopes, &own);
        let [hub, a] = own;
        let b = limit(Scope::Pool("b".into()), 5, 86_400);
        assert_eq!(scopes, [a, b, hub]);
    }
}
