//! The actor of one target.

use crate::DeliveryFailure;
use crate::body::{self, IncludedTexts};
use crate::desktop;
use crate::machine::{Deliveries, DeliveryStep};
use crate::options::{NotifyOptions, TargetOptions, Way};
use crate::program::{self, ProgramBounds};
use crate::webhook::Webhook;
use actix::prelude::*;
use kirosu_protocol::client::{CallError, Client, ClientOptions};
use kirosu_protocol::{ErrorCode, GetParams, HelloParams, NoticeInfo};
use kirosu_supervision::{BackoffPolicy, ChildContext, Clock, supervised};
use std::sync::Arc;
use std::time::Duration;

/// Delays between attempts to connect to the hub, and between requests that it does not answer.
const RECONNECT: BackoffPolicy =
    BackoffPolicy::between(Duration::from_millis(100), Duration::from_secs(5));
/// The time for an answer of the hub.
const ANSWER: Duration = Duration::from_secs(15);
/// The longest sleep: times are those of the wall clock, which may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(10);

/// Delivers the events of one target, from its start to its stop.
pub(crate) struct TargetActor {
    child: ChildContext,
    hub: NotifyOptions,
    options: TargetOptions,
}

supervised!(TargetActor);

impl TargetActor {
    pub fn new(child: ChildContext, hub: NotifyOptions, options: TargetOptions) -> TargetActor {
        TargetActor {
            child,
            hub,
            options,
        }
    }
}

impl Actor for TargetActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let name = format!("notify {}", self.options.name);
        let client = Client::start(
            self.hub.endpoint.clone(),
            ClientOptions {
                key: self.hub.key.clone(),
                hello: HelloParams {
                    name: Some(name),
                    ..HelloParams::default()
                },
                delays: Arc::new(|| Box::new(RECONNECT.delays())),
                request_timeout: ANSWER,
                ..ClientOptions::default()
            },
        );
        let delivery = Delivery {
            deliveries: Deliveries::new(self.options.name.clone(), self.options.retry),
            webhook: webhook(&self.options),
            child: self.child.clone(),
            hub: self.hub.clone(),
            options: self.options.clone(),
            client,
        };
        ctx.spawn(delivery.run().into_actor(self));
    }
}

fn webhook(options: &TargetOptions) -> Option<Webhook> {
    match options.way.clone() {
        Way::Webhook {
            address,
            plain,
            secret_env,
            secret_file,
        } => Some(Webhook {
            address,
            plain,
            secret_env,
            secret_file,
            timeout: options.timeout,
            client: None,
        }),
        Way::Command(_) | Way::Desktop => None,
    }
}

/// Carries out the steps of [`Deliveries`].
struct Delivery {
    deliveries: Deliveries,
    webhook: Option<Webhook>,
    child: ChildContext,
    hub: NotifyOptions,
    options: TargetOptions,
    client: Client,
}

impl Delivery {
    async fn run(mut self) {
        let mut delays = RECONNECT.delays();
        let mut is_failing = false;
        loop {
            match self.deliveries.step(self.now_ms()) {
                DeliveryStep::Take(params) => match self.client.request(&params).await {
                    Ok(answer) => {
                        delays = RECONNECT.delays();
                        self.deliveries.took(answer);
                    }
                    Err(error) => {
                        self.log_unanswered(&error);
                        let delay = delays.next().unwrap_or(ANSWER);
                        tokio::time::sleep(delay).await;
                    }
                },
                DeliveryStep::Deliver => {
                    let delivered = self.deliver().await;
                    self.child.handled();
                    self.log(&delivered, &mut is_failing);
                    self.note(delivered);
                }
                DeliveryStep::WaitUntil(at) => {
                    let wait = u64::try_from(at - self.now_ms()).unwrap_or(0);
                    let wait = Duration::from_millis(wait).min(LONGEST_SLEEP);
                    tokio::time::sleep(wait).await;
                }
                DeliveryStep::Rest => std::future::pending().await,
            }
        }
    }

    fn clock(&self) -> &Clock {
        self.child.clock()
    }

    fn now_ms(&self) -> i64 {
        i64::try_from(self.clock().now_ms()).unwrap_or(i64::MAX)
    }

    /// Delivers the first event, or several. Returns how many.
    async fn deliver(&mut self) -> Result<usize, DeliveryFailure> {
        let at = self.clock().now_ms() / 1000;
        let Some(first) = self.deliveries.queue().first().cloned() else {
            return Ok(0);
        };
        if self.options.way == Way::Desktop {
            let all = self.deliveries.queue().to_vec();
            return desktop::deliver(&all, &self.bounds())
                .await
                .map(|()| all.len());
        }
        let texts = self.texts(&first).await?;
        let body = body::json(&first, &texts);
        let body = body.map_err(|error| DeliveryFailure::new(error.to_string()))?;
        match (&self.options.way, &mut self.webhook) {
            (Way::Command(argv), _) => {
                program::deliver(argv, &first, body, &self.bounds()).await?;
            }
            (_, Some(webhook)) => webhook.deliver(&first.id, body, at).await?,
            (_, None) => {}
        }
        Ok(1)
    }

    fn bounds(&self) -> ProgramBounds<'_> {
        ProgramBounds {
            containment: &self.hub.containment,
            folder: &self.hub.folder,
            timeout: self.options.timeout,
        }
    }

    /// The texts of the task that the target wants. A task that was removed has none.
    async fn texts(&self, notice: &NoticeInfo) -> Result<IncludedTexts, DeliveryFailure> {
        let wants = |text: &str| self.options.include.iter().any(|it| it == text);
        let Some(task_id) = notice
            .data
            .task_id
            .filter(|_| !self.options.include.is_empty())
        else {
            return Ok(IncludedTexts::default());
        };
        let params = GetParams {
            task_id,
            output: false,
            attempt: None,
        };
        match self.client.request(&params).await {
            Ok(answer) => Ok(IncludedTexts::cut(
                wants("prompt").then_some(answer.task.prompt.as_str()),
                answer.task.result.as_deref().filter(|_| wants("result")),
            )),
            Err(error)
                if error
                    .refusal()
                    .is_some_and(|it| it.code == ErrorCode::UnknownTask) =>
            {
                Ok(IncludedTexts::default())
            }
            Err(error) => Err(DeliveryFailure::new(format!(
                "the texts of task {task_id} could not be read: {error}"
            ))),
        }
    }

    fn note(&mut self, delivered: Result<usize, DeliveryFailure>) {
        let now_ms = self.now_ms();
        let pace = match self.options.way {
            Way::Desktop => desktop::PACE,
            Way::Webhook { .. } | Way::Command(_) => Duration::ZERO,
        };
        match delivered {
            Ok(count) => self.deliveries.delivered(count, now_ms, pace),
            Err(failure) => self.deliveries.failed(&failure, now_ms, fastrand::f64()),
        }
    }

    /// Logs the first failure in a row, the end of such a row, and the end of all deliveries.
    fn log(&self, delivered: &Result<usize, DeliveryFailure>, is_failing: &mut bool) {
        let target_name = self.options.name.as_str();
        match delivered {
            Err(failure) if failure.is_final => {
                tracing::error!(
                    target_name,
                    why = failure.why,
                    "events for a target of notifications are not delivered any more before the settings are read again"
                );
            }
            Err(failure) if !*is_failing => {
                tracing::warn!(
                    target_name,
                    why = failure.why,
                    "an event for a target of notifications was not delivered; trying again until it is, and later ones wait"
                );
            }
            Ok(_) if *is_failing => {
                tracing::info!(
                    target_name,
                    "events for a target of notifications are delivered again"
                );
            }
            _ => {}
        }
        *is_failing = delivered.is_err();
    }

    fn log_unanswered(&self, error: &CallError) {
        let target_name = self.options.name.as_str();
        // While the hub restarts, this is usual.
        tracing::debug!(target_name, %error, "the hub has not answered a target of notifications; trying again");
    }
}
