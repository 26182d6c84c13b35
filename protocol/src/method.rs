//! Every method's name.

/// A method of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `hello`
    Hello,
    /// `enqueue`
    Enqueue,
    /// `enqueue_batch`
    EnqueueBatch,
    /// `lease`
    Lease,
    /// `ack`
    Ack,
    /// `heartbeat`
    Heartbeat,
    /// `progress`
    Progress,
    /// `output`
    Output,
    /// `reserve`
    Reserve,
    /// `release`
    Release,
    /// `list`
    List,
    /// `get`
    Get,
    /// `wait`
    Wait,
    /// `cancel`
    Cancel,
    /// `retry`
    Retry,
    /// `retry_failed`
    RetryFailed,
    /// `approve`
    Approve,
    /// `answer`
    Answer,
    /// `reject`
    Reject,
    /// `ask`
    Ask,
    /// `approvals`
    Approvals,
    /// `pause`
    Pause,
    /// `resume`
    Resume,
    /// `watch`
    Watch,
    /// `stats`
    Stats,
    /// `usage`
    Usage,
    /// `agents`
    Agents,
    /// `pools`
    Pools,
    /// `tree`
    Tree,
    /// `metrics`
    Metrics,
    /// `backup`
    Backup,
    /// `reload`
    Reload,
    /// `drain`
    Drain,
    /// `shutdown`
    Shutdown,
}

impl Method {
    /// Every method, in the order of the reference.
    pub const ALL: [Method; 34] = [
        Method::Hello,
        Method::Enqueue,
        Method::EnqueueBatch,
        Method::Lease,
        Method::Ack,
        Method::Heartbeat,
        Method::Progress,
        Method::Output,
        Method::Reserve,
        Method::Release,
        Method::List,
        Method::Get,
        Method::Wait,
        Method::Cancel,
        Method::Retry,
        Method::RetryFailed,
        Method::Approve,
        Method::Answer,
        Method::Reject,
        Method::Ask,
        Method::Approvals,
        Method::Pause,
        Method::Resume,
        Method::Watch,
        Method::Stats,
        Method::Usage,
        Method::Agents,
        Method::Pools,
        Method::Tree,
        Method::Metrics,
        Method::Backup,
        Method::Reload,
        Method::Drain,
        Method::Shutdown,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Hello => "hello",
            Method::Enqueue => "enqueue",
            Method::EnqueueBatch => "enqueue_batch",
            Method::Lease => "lease",
            Method::Ack => "ack",
            Method::Heartbeat => "heartbeat",
            Method::Progress => "progress",
            Method::Output => "output",
            Method::Reserve => "reserve",
            Method::Release => "release",
            Method::List => "list",
            Method::Get => "get",
            Method::Wait => "wait",
            Method::Cancel => "cancel",
            Method::Retry => "retry",
            Method::RetryFailed => "retry_failed",
            Method::Approve => "approve",
            Method::Answer => "answer",
            Method::Reject => "reject",
            Method::Ask => "ask",
            Method::Approvals => "approvals",
            Method::Pause => "pause",
            Method::Resume => "resume",
            Method::Watch => "watch",
            Method::Stats => "stats",
            Method::Usage => "usage",
            Method::Agents => "agents",
            Method::Pools => "pools",
            Method::Tree => "tree",
            Method::Metrics => "metrics",
            Method::Backup => "backup",
            Method::Reload => "reload",
            Method::Drain => "drain",
            Method::Shutdown => "shutdown",
        }
    }

    /// The method of that name.
    pub fn from_name(name: &str) -> Option<Method> {
        match name {
            "hello" => Some(Method::Hello),
            "enqueue" => Some(Method::Enqueue),
            "enqueue_batch" => Some(Method::EnqueueBatch),
            "lease" => Some(Method::Lease),
            "ack" => Some(Method::Ack),
            "heartbeat" => Some(Method::Heartbeat),
            "progress" => Some(Method::Progress),
            "output" => Some(Method::Output),
            "reserve" => Some(Method::Reserve),
            "release" => Some(Method::Release),
            "list" => Some(Method::List),
            "get" => Some(Method::Get),
            "wait" => Some(Method::Wait),
            "cancel" => Some(Method::Cancel),
            "retry" => Some(Method::Retry),
            "retry_failed" => Some(Method::RetryFailed),
            "approve" => Some(Method::Approve),
            "answer" => Some(Method::Answer),
            "reject" => Some(Method::Reject),
            "ask" => Some(Method::Ask),
            "approvals" => Some(Method::Approvals),
            "pause" => Some(Method::Pause),
            "resume" => Some(Method::Resume),
            "watch" => Some(Method::Watch),
            "stats" => Some(Method::Stats),
            "usage" => Some(Method::Usage),
            "agents" => Some(Method::Agents),
            "pools" => Some(Method::Pools),
            "tree" => Some(Method::Tree),
            "metrics" => Some(Method::Metrics),
            "backup" => Some(Method::Backup),
            "reload" => Some(Method::Reload),
            "drain" => Some(Method::Drain),
            "shutdown" => Some(Method::Shutdown),
            _ => None,
        }
    }
}
