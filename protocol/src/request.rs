//! A method and its parameters become one typed request.

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::verbs::ack::AckAsk;
use crate::verbs::agents::AgentsAsk;
use crate::verbs::answer::AnswerAsk;
use crate::verbs::approvals::ApprovalsAsk;
use crate::verbs::approve::ApproveAsk;
use crate::verbs::ask::ToolAsk;
use crate::verbs::backup::BackupAsk;
use crate::verbs::cancel::{CancelAsk, CancelGroupAsk};
use crate::verbs::enqueue::NewTask;
use crate::verbs::enqueue_batch::EnqueueBatchAsk;
use crate::verbs::get::GetAsk;
use crate::verbs::heartbeat::HeartbeatAsk;
use crate::verbs::hello::HelloAsk;
use crate::verbs::lease::LeaseAsk;
use crate::verbs::list::ListAsk;
use crate::verbs::output::OutputAsk;
use crate::verbs::pause::PauseAsk;
use crate::verbs::pools::PoolsAsk;
use crate::verbs::progress::ProgressAsk;
use crate::verbs::reject::RejectAsk;
use crate::verbs::release::ReleaseAsk;
use crate::verbs::reserve::ReserveAsk;
use crate::verbs::resume::ResumeAsk;
use crate::verbs::retry::{RetryAsk, RetryGroupAsk};
use crate::verbs::retry_failed::RetryFailedAsk;
use crate::verbs::usage::UsageAsk;
use crate::verbs::wait::{WaitAsk, WaitGroupAsk};
use crate::verbs::watch::WatchAsk;

/// Everything a client can ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// See [`crate::verbs::hello`].
    Hello(HelloAsk),
    /// See [`crate::verbs::enqueue`].
    Enqueue(Box<NewTask>),
    /// See [`crate::verbs::enqueue_batch`].
    EnqueueBatch(EnqueueBatchAsk),
    /// See [`crate::verbs::lease`].
    Lease(LeaseAsk),
    /// See [`crate::verbs::ack`].
    Ack(AckAsk),
    /// See [`crate::verbs::heartbeat`].
    Heartbeat(HeartbeatAsk),
    /// See [`crate::verbs::progress`].
    Progress(ProgressAsk),
    /// See [`crate::verbs::output`].
    Output(OutputAsk),
    /// See [`crate::verbs::reserve`].
    Reserve(ReserveAsk),
    /// See [`crate::verbs::release`].
    Release(ReleaseAsk),
    /// See [`crate::verbs::list`].
    List(ListAsk),
    /// See [`crate::verbs::get`].
    Get(GetAsk),
    /// See [`crate::verbs::wait`].
    Wait(WaitAsk),
    /// See [`crate::verbs::wait`].
    WaitGroup(WaitGroupAsk),
    /// See [`crate::verbs::cancel`].
    Cancel(CancelAsk),
    /// See [`crate::verbs::cancel`].
    CancelGroup(CancelGroupAsk),
    /// See [`crate::verbs::retry`].
    Retry(RetryAsk),
    /// See [`crate::verbs::retry`].
    RetryGroup(RetryGroupAsk),
    /// See [`crate::verbs::retry_failed`].
    RetryFailed(RetryFailedAsk),
    /// See [`crate::verbs::approve`].
    Approve(ApproveAsk),
    /// See [`crate::verbs::answer`].
    Answer(AnswerAsk),
    /// See [`crate::verbs::reject`].
    Reject(RejectAsk),
    /// See [`crate::verbs::ask`].
    Ask(Box<ToolAsk>),
    /// See [`crate::verbs::approvals`].
    Approvals(ApprovalsAsk),
    /// See [`crate::verbs::pause`].
    Pause(PauseAsk),
    /// See [`crate::verbs::resume`].
    Resume(ResumeAsk),
    /// See [`crate::verbs::watch`].
    Watch(WatchAsk),
    /// See [`crate::verbs::stats`].
    Stats,
    /// See [`crate::verbs::usage`].
    Usage(UsageAsk),
    /// See [`crate::verbs::agents`].
    Agents(AgentsAsk),
    /// See [`crate::verbs::pools`].
    Pools(PoolsAsk),
    /// See [`crate::verbs::tree`].
    Tree,
    /// See [`crate::verbs::metrics`].
    Metrics,
    /// See [`crate::verbs::backup`].
    Backup(BackupAsk),
    /// See [`crate::verbs::reload`].
    Reload,
    /// See [`crate::verbs::drain`].
    Drain,
    /// See [`crate::verbs::shutdown`].
    Shutdown,
}

impl Request {
    /// Reads a request; an unknown method is `method_not_found`, bad parameters are `invalid_params`.
    pub fn read(method: &str, params: &Params<'_>, limits: &Limits) -> Result<Request, Error> {
        let Some(method) = Method::from_name(method) else {
            return Err(Error::new(
                ErrorCode::MethodNotFound,
                format!("Unknown method: {method}"),
            ));
        };
        Ok(match method {
            Method::Hello => Request::Hello(HelloAsk::read(params, limits)?),
            Method::Enqueue => Request::Enqueue(Box::new(NewTask::read(params, limits)?)),
            Method::EnqueueBatch => Request::EnqueueBatch(EnqueueBatchAsk::read(params, limits)?),
            Method::Lease => Request::Lease(LeaseAsk::read(params, limits)?),
            Method::Ack => Request::Ack(AckAsk::read(params, limits)?),
            Method::Heartbeat => Request::Heartbeat(HeartbeatAsk::read(params, limits)?),
            Method::Progress => Request::Progress(ProgressAsk::read(params, limits)?),
            Method::Output => Request::Output(OutputAsk::read(params, limits)?),
            Method::Reserve => Request::Reserve(ReserveAsk::read(params, limits)?),
            Method::Release => Request::Release(ReleaseAsk::read(params, limits)?),
            Method::List => Request::List(ListAsk::read(params, limits)?),
            Method::Get => Request::Get(GetAsk::read(params, limits)?),
            Method::Wait => match WaitGroupAsk::read(params, limits)? {
                Some(ask) => Request::WaitGroup(ask),
                None => Request::Wait(WaitAsk::read(params, limits)?),
            },
            Method::Cancel => match CancelGroupAsk::read(params, limits)? {
                Some(ask) => Request::CancelGroup(ask),
                None => Request::Cancel(CancelAsk::read(params, limits)?),
            },
            Method::Retry => match RetryGroupAsk::read(params, limits)? {
                Some(ask) => Request::RetryGroup(ask),
                None => Request::Retry(RetryAsk::read(params, limits)?),
            },
            Method::RetryFailed => Request::RetryFailed(RetryFailedAsk::read(params, limits)?),
            Method::Approve => Request::Approve(ApproveAsk::read(params, limits)?),
            Method::Answer => Request::Answer(AnswerAsk::read(params, limits)?),
            Method::Reject => Request::Reject(RejectAsk::read(params, limits)?),
            Method::Ask => Request::Ask(Box::new(ToolAsk::read(params, limits)?)),
            Method::Approvals => Request::Approvals(ApprovalsAsk::read(params, limits)?),
            Method::Pause => Request::Pause(PauseAsk::read(params, limits)?),
            Method::Resume => Request::Resume(ResumeAsk::read(params, limits)?),
            Method::Watch => Request::Watch(WatchAsk::read(params, limits)?),
            Method::Stats => Request::Stats,
            Method::Usage => Request::Usage(UsageAsk::read(params, limits)?),
            Method::Agents => Request::Agents(AgentsAsk::read(params, limits)?),
            Method::Pools => Request::Pools(PoolsAsk::read(params, limits)?),
            Method::Tree => Request::Tree,
            Method::Metrics => Request::Metrics,
            Method::Backup => Request::Backup(BackupAsk::read(params, limits)?),
            Method::Reload => Request::Reload,
            Method::Drain => Request::Drain,
            Method::Shutdown => Request::Shutdown,
        })
    }

    /// Its method.
    pub fn method(&self) -> Method {
        match self {
            Request::Hello(_) => Method::Hello,
            Request::Enqueue(_) => Method::Enqueue,
            Request::EnqueueBatch(_) => Method::EnqueueBatch,
            Request::Lease(_) => Method::Lease,
            Request::Ack(_) => Method::Ack,
            Request::Heartbeat(_) => Method::Heartbeat,
            Request::Progress(_) => Method::Progress,
            Request::Output(_) => Method::Output,
            Request::Reserve(_) => Method::Reserve,
            Request::Release(_) => Method::Release,
            Request::List(_) => Method::List,
            Request::Get(_) => Method::Get,
            Request::Wait(_) | Request::WaitGroup(_) => Method::Wait,
            Request::Cancel(_) | Request::CancelGroup(_) => Method::Cancel,
            Request::Retry(_) | Request::RetryGroup(_) => Method::Retry,
            Request::RetryFailed(_) => Method::RetryFailed,
            Request::Approve(_) => Method::Approve,
            Request::Answer(_) => Method::Answer,
            Request::Reject(_) => Method::Reject,
            Request::Ask(_) => Method::Ask,
            Request::Approvals(_) => Method::Approvals,
            Request::Pause(_) => Method::Pause,
            Request::Resume(_) => Method::Resume,
            Request::Watch(_) => Method::Watch,
            Request::Stats => Method::Stats,
            Request::Usage(_) => Method::Usage,
            Request::Agents(_) => Method::Agents,
            Request::Pools(_) => Method::Pools,
            Request::Tree => Method::Tree,
            Request::Metrics => Method::Metrics,
            Request::Backup(_) => Method::Backup,
            Request::Reload => Method::Reload,
            Request::Drain => Method::Drain,
            Request::Shutdown => Method::Shutdown,
        }
    }
}
