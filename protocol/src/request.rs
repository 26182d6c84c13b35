//! A method and its parameters become one typed request.

use crate::error::{Error, ErrorCode};
use crate::limits::Limits;
use crate::method::Method;
use crate::params::Params;
use crate::verbs::ack::AckParams;
use crate::verbs::agents::AgentsParams;
use crate::verbs::answer::AnswerParams;
use crate::verbs::approvals::ApprovalsParams;
use crate::verbs::approve::ApproveParams;
use crate::verbs::ask::AskParams;
use crate::verbs::backup::BackupParams;
use crate::verbs::cancel::{CancelGroupParams, CancelParams};
use crate::verbs::enqueue::NewTask;
use crate::verbs::enqueue_batch::EnqueueBatchParams;
use crate::verbs::get::GetParams;
use crate::verbs::heartbeat::HeartbeatParams;
use crate::verbs::hello::HelloParams;
use crate::verbs::lease::LeaseParams;
use crate::verbs::list::ListParams;
use crate::verbs::output::OutputParams;
use crate::verbs::pause::PauseParams;
use crate::verbs::pools::PoolsParams;
use crate::verbs::progress::ProgressParams;
use crate::verbs::reject::RejectParams;
use crate::verbs::release::ReleaseParams;
use crate::verbs::reserve::ReserveParams;
use crate::verbs::resume::ResumeParams;
use crate::verbs::retry::{RetryGroupParams, RetryParams};
use crate::verbs::retry_failed::RetryFailedParams;
use crate::verbs::usage::UsageParams;
use crate::verbs::wait::{WaitGroupParams, WaitParams};
use crate::verbs::watch::WatchParams;

/// Everything a client can ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// See [`crate::verbs::hello`].
    Hello(HelloParams),
    /// See [`crate::verbs::enqueue`].
    Enqueue(Box<NewTask>),
    /// See [`crate::verbs::enqueue_batch`].
    EnqueueBatch(EnqueueBatchParams),
    /// See [`crate::verbs::lease`].
    Lease(LeaseParams),
    /// See [`crate::verbs::ack`].
    Ack(AckParams),
    /// See [`crate::verbs::heartbeat`].
    Heartbeat(HeartbeatParams),
    /// See [`crate::verbs::progress`].
    Progress(ProgressParams),
    /// See [`crate::verbs::output`].
    Output(OutputParams),
    /// See [`crate::verbs::reserve`].
    Reserve(ReserveParams),
    /// See [`crate::verbs::release`].
    Release(ReleaseParams),
    /// See [`crate::verbs::list`].
    List(ListParams),
    /// See [`crate::verbs::get`].
    Get(GetParams),
    /// See [`crate::verbs::wait`].
    Wait(WaitParams),
    /// See [`crate::verbs::wait`].
    WaitGroup(WaitGroupParams),
    /// See [`crate::verbs::cancel`].
    Cancel(CancelParams),
    /// See [`crate::verbs::cancel`].
    CancelGroup(CancelGroupParams),
    /// See [`crate::verbs::retry`].
    Retry(RetryParams),
    /// See [`crate::verbs::retry`].
    RetryGroup(RetryGroupParams),
    /// See [`crate::verbs::retry_failed`].
    RetryFailed(RetryFailedParams),
    /// See [`crate::verbs::approve`].
    Approve(ApproveParams),
    /// See [`crate::verbs::answer`].
    Answer(AnswerParams),
    /// See [`crate::verbs::reject`].
    Reject(RejectParams),
    /// See [`crate::verbs::ask`].
    Ask(Box<AskParams>),
    /// See [`crate::verbs::approvals`].
    Approvals(ApprovalsParams),
    /// See [`crate::verbs::pause`].
    Pause(PauseParams),
    /// See [`crate::verbs::resume`].
    Resume(ResumeParams),
    /// See [`crate::verbs::watch`].
    Watch(WatchParams),
    /// See [`crate::verbs::stats`].
    Stats,
    /// See [`crate::verbs::usage`].
    Usage(UsageParams),
    /// See [`crate::verbs::agents`].
    Agents(AgentsParams),
    /// See [`crate::verbs::pools`].
    Pools(PoolsParams),
    /// See [`crate::verbs::tree`].
    Tree,
    /// See [`crate::verbs::metrics`].
    Metrics,
    /// See [`crate::verbs::backup`].
    Backup(BackupParams),
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
            Method::Hello => Request::Hello(HelloParams::read(params, limits)?),
            Method::Enqueue => Request::Enqueue(Box::new(NewTask::read(params, limits)?)),
            Method::EnqueueBatch => {
                Request::EnqueueBatch(EnqueueBatchParams::read(params, limits)?)
            }
            Method::Lease => Request::Lease(LeaseParams::read(params, limits)?),
            Method::Ack => Request::Ack(AckParams::read(params, limits)?),
            Method::Heartbeat => Request::Heartbeat(HeartbeatParams::read(params, limits)?),
            Method::Progress => Request::Progress(ProgressParams::read(params, limits)?),
            Method::Output => Request::Output(OutputParams::read(params, limits)?),
            Method::Reserve => Request::Reserve(ReserveParams::read(params, limits)?),
            Method::Release => Request::Release(ReleaseParams::read(params, limits)?),
            Method::List => Request::List(ListParams::read(params, limits)?),
            Method::Get => Request::Get(GetParams::read(params, limits)?),
            Method::Wait => match WaitGroupParams::read(params, limits)? {
                Some(ask) => Request::WaitGroup(ask),
                None => Request::Wait(WaitParams::read(params, limits)?),
            },
            Method::Cancel => match CancelGroupParams::read(params, limits)? {
                Some(ask) => Request::CancelGroup(ask),
                None => Request::Cancel(CancelParams::read(params, limits)?),
            },
            Method::Retry => match RetryGroupParams::read(params, limits)? {
                Some(ask) => Request::RetryGroup(ask),
                None => Request::Retry(RetryParams::read(params, limits)?),
            },
            Method::RetryFailed => Request::RetryFailed(RetryFailedParams::read(params, limits)?),
            Method::Approve => Request::Approve(ApproveParams::read(params, limits)?),
            Method::Answer => Request::Answer(AnswerParams::read(params, limits)?),
            Method::Reject => Request::Reject(RejectParams::read(params, limits)?),
            Method::Ask => Request::Ask(Box::new(AskParams::read(params, limits)?)),
            Method::Approvals => Request::Approvals(ApprovalsParams::read(params, limits)?),
            Method::Pause => Request::Pause(PauseParams::read(params, limits)?),
            Method::Resume => Request::Resume(ResumeParams::read(params, limits)?),
            Method::Watch => Request::Watch(WatchParams::read(params, limits)?),
            Method::Stats => Request::Stats,
            Method::Usage => Request::Usage(UsageParams::read(params, limits)?),
            Method::Agents => Request::Agents(AgentsParams::read(params, limits)?),
            Method::Pools => Request::Pools(PoolsParams::read(params, limits)?),
            Method::Tree => Request::Tree,
            Method::Metrics => Request::Metrics,
            Method::Backup => Request::Backup(BackupParams::read(params, limits)?),
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
