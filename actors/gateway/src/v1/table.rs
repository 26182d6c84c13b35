//! The routes of `/v1`: the only list of them. Each verb of the protocol has at least one.

use kirosu_protocol::Method;

/// The method of a route. A GET has a HEAD, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum RouteMethod {
    Get,
    Post,
    Patch,
    Delete,
}

impl RouteMethod {
    pub(crate) fn name(self) -> &'static str {
        match self {
            RouteMethod::Get => "GET",
            RouteMethod::Post => "POST",
            RouteMethod::Patch => "PATCH",
            RouteMethod::Delete => "DELETE",
        }
    }

    /// Whether its parameters are in the body, and not in the query.
    pub(crate) fn has_body(self) -> bool {
        matches!(self, RouteMethod::Post | RouteMethod::Patch)
    }
}

/// The way in which a route makes its answer from the verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteKind {
    /// It sends the verb and forwards the answer.
    Verb,
    /// The hub's answer to the `hello` of the client's connection.
    Hello,
    /// `enqueue` of a task of the type `plan`.
    NewRun,
    /// Server-sent events.
    Events,
    /// The output of a task as server-sent events.
    Output,
}

/// A route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct V1Route {
    pub(crate) method: RouteMethod,
    /// Names in braces are parameters of the verb.
    pub(crate) path: &'static str,
    pub(crate) verb: Method,
    pub(crate) kind: RouteKind,
}

impl V1Route {
    const fn new(verb: Method, method: RouteMethod, path: &'static str) -> V1Route {
        let kind = RouteKind::Verb;
        V1Route {
            method,
            path,
            verb,
            kind,
        }
    }

    const fn kind(self, kind: RouteKind) -> V1Route {
        V1Route { kind, ..self }
    }

    /// Whether it must not change anything.
    pub(crate) fn is_safe(&self) -> bool {
        self.method == RouteMethod::Get
    }

    /// Whether the header `Idempotency-Key` counts as the parameter `idempotency_key`.
    pub(crate) fn takes_idempotency_key(&self) -> bool {
        self.verb == Method::Enqueue
    }

    /// The names of the parameters in the path.
    pub(crate) fn path_parameters(&self) -> impl Iterator<Item = &'static str> + use<> {
        let parts = self.path.split('/');
        parts.filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

/// The routes of a verb; at least one, but for those of a browser's session.
fn of(verb: Method) -> Vec<V1Route> {
    use RouteMethod::{Delete, Get, Patch, Post};
    let route = |method, path| V1Route::new(verb, method, path);
    let one = |method, path| vec![route(method, path)];
    match verb {
        Method::Hello => vec![route(Get, "/v1/hello").kind(RouteKind::Hello)],
        Method::Enqueue => vec![
            route(Post, "/v1/tasks"),
            route(Post, "/v1/runs").kind(RouteKind::NewRun),
        ],
        Method::EnqueueBatch => one(Post, "/v1/tasks/batch"),
        Method::Lease => one(Post, "/v1/leases"),
        Method::Ack => one(Post, "/v1/leases/ack"),
        Method::Heartbeat => one(Post, "/v1/leases/heartbeat"),
        Method::Progress => one(Post, "/v1/leases/progress"),
        Method::Output => one(Post, "/v1/leases/output"),
        Method::WaitChildren => one(Post, "/v1/leases/wait_children"),
        Method::Reserve => one(Post, "/v1/leases/reserve"),
        Method::Release => one(Post, "/v1/leases/release"),
        Method::List => one(Get, "/v1/tasks"),
        Method::Get => vec![
            route(Get, "/v1/tasks/{task_id}"),
            route(Get, "/v1/tasks/{task_id}/output").kind(RouteKind::Output),
        ],
        Method::Wait => one(Post, "/v1/wait"),
        Method::Cancel => vec![
            route(Post, "/v1/tasks/cancel"),
            route(Post, "/v1/tasks/{task_id}/cancel"),
        ],
        Method::Retry => vec![
            route(Post, "/v1/tasks/retry"),
            route(Post, "/v1/tasks/{task_id}/retry"),
        ],
        Method::RetryFailed => one(Post, "/v1/tasks/retry_failed"),
        Method::Approve => vec![
            route(Post, "/v1/tasks/{task_id}/approve"),
            route(Post, "/v1/approvals/{approval_id}/approve"),
        ],
        Method::Answer => one(Post, "/v1/tasks/{task_id}/answer"),
        Method::Reject => vec![
            route(Post, "/v1/tasks/{task_id}/reject"),
            route(Post, "/v1/approvals/{approval_id}/reject"),
        ],
        Method::Ask => one(Post, "/v1/approvals"),
        Method::Approvals => one(Get, "/v1/approvals"),
        Method::Pause => one(Post, "/v1/queues/pause"),
        Method::Resume => one(Post, "/v1/queues/resume"),
        Method::Watch => vec![route(Get, "/v1/events").kind(RouteKind::Events)],
        Method::Stats => one(Get, "/v1/stats"),
        Method::Usage => one(Get, "/v1/usage"),
        Method::Agents => one(Get, "/v1/agents"),
        Method::Pools => vec![route(Get, "/v1/pools"), route(Post, "/v1/pools")],
        Method::Tree => one(Get, "/v1/tree"),
        Method::Metrics => one(Get, "/v1/metrics"),
        Method::Ping => one(Get, "/v1/ping"),
        Method::Backup => one(Post, "/v1/backup"),
        Method::KeyAdd => one(Post, "/v1/keys"),
        Method::KeyList => one(Get, "/v1/keys"),
        Method::KeyRevoke => one(Delete, "/v1/keys/{name}"),
        Method::Audit => one(Get, "/v1/audit"),
        Method::Source => one(Post, "/v1/sources"),
        Method::Runs => one(Get, "/v1/runs"),
        Method::Run => one(Get, "/v1/runs/{task_id}"),
        Method::RunItems => one(Get, "/v1/runs/{task_id}/items"),
        Method::RunFile => vec![
            route(Get, "/v1/runs/{task_id}/file"),
            route(Post, "/v1/runs/{task_id}/file"),
        ],
        Method::RunPause => one(Post, "/v1/runs/{task_id}/pause"),
        Method::RunResume => one(Post, "/v1/runs/{task_id}/resume"),
        Method::RunRetry => one(Post, "/v1/runs/{task_id}/retry"),
        Method::ScheduleAdd => one(Post, "/v1/schedules"),
        Method::ScheduleList => one(Get, "/v1/schedules"),
        Method::ScheduleSet => one(Patch, "/v1/schedules/{name}"),
        Method::ScheduleRun => one(Post, "/v1/schedules/{name}/run"),
        Method::ScheduleRemove => one(Delete, "/v1/schedules/{name}"),
        Method::NotifyList => one(Get, "/v1/notify"),
        Method::NotifyTest => one(Post, "/v1/notify/{name}/test"),
        Method::NotifyTake => one(Post, "/v1/notify/{name}/take"),
        Method::PoolDown => one(Post, "/v1/pools/down"),
        // A browser logs in and out with POST and DELETE /session, where the gateway itself says who the browser's user is; only a
        // process on a terminal gives the rights of a person on with a ticket.
        Method::WebTicket | Method::WebLogin | Method::WebLogout => Vec::new(),
        Method::Reload => one(Post, "/v1/hub/reload"),
        Method::Drain => one(Post, "/v1/hub/drain"),
        Method::Shutdown => one(Post, "/v1/hub/shutdown"),
    }
}

/// Every route, by path, those without parameters first: a path such as `/v1/tasks/batch` is not that of a task.
pub(crate) fn all() -> Vec<V1Route> {
    let mut routes: Vec<V1Route> = Method::ALL.into_iter().flat_map(of).collect();
    routes.sort_by_key(|route| (route.path_parameters().count(), route.path, route.method));
    routes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verbs of a browser's session, which have no route here.
    const OF_BROWSERS: [Method; 3] = [Method::WebTicket, Method::WebLogin, Method::WebLogout];

    #[test]
    fn no_two_routes_are_the_same_and_each_verb_has_one_for_itself() {
        let routes = all();
        let mut seen = std::collections::HashSet::new();
        for route in &routes {
            assert!(seen.insert((route.method, route.path)), "{route:?}");
        }
        for verb in Method::ALL {
            if OF_BROWSERS.contains(&verb) {
                continue;
            }
            assert!(routes.iter().any(|route| route.verb == verb), "{verb:?}");
        }
    }
}
