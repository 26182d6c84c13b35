//! From a task to a job: who runs it, where, with which instructions and limits.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::Accept;
use kirosu_protocol::task::{FailureClass, TYPE_HUMAN, TYPE_PYTHON, Task};
use kirosu_providers::{Job, Permissions, Provider, ProviderGate, TrustLevel};

use super::accept;
use super::budget::BudgetRefused;
use crate::options::PoolOptions;
use crate::pool::Pool;
use crate::workspace::{self, NoFolder, RunFolder};

/// Who runs a task.
pub(crate) struct TaskRunner {
    pub(super) provider: Arc<dyn Provider>,
    /// The model, where the task names none.
    pub(super) model: Option<String>,
    /// It is the pool's own provider.
    pub(super) own: bool,
}

/// A job that can start.
pub(crate) struct Ready {
    pub(crate) provider: Arc<dyn Provider>,
    /// It is the pool's own provider.
    pub(crate) own: bool,
    pub(crate) job: Job,
    pub(crate) place: RunFolder,
    /// What a person should know before it begins, a line each.
    pub(crate) warnings: Vec<String>,
    /// What must hold before its answer counts.
    pub(crate) accept: Option<Box<Accept>>,
}

/// Why a task is not run.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// The task's own fault: it fails.
    Task(FailureClass, String),
    /// The pool's fault: the lease goes back.
    Pool(String),
    /// Something is in the way for the moment: the lease goes back.
    Later(String),
    /// The machine is short of something for now: the lease goes back.
    Short(String),
    /// There is no budget for it.
    BudgetRefused(Box<BudgetRefused>),
}

fn refused(why: String) -> NotRun {
    NotRun::Task(FailureClass::RefusedByPolicy, why)
}

/// Who runs a task of this pool.
///
/// # Errors
/// A refusal that names the switch or the missing pool.
pub(crate) fn runner_for(pool: &Pool, task: &Task) -> Result<TaskRunner, NotRun> {
    let options = pool.options();
    match task.task_type.as_str() {
        TYPE_PYTHON => python_for(&options),
        TYPE_HUMAN => Err(refused(
            "tasks of type 'human' are answered by people and never run".to_owned(),
        )),
        _ => chat_for(pool, &options, task.provider.as_deref()),
    }
}

/// The providers that a task of this pool may end up with, where they are the pool's own; else the run itself waits for
/// the one that the task names.
pub(crate) fn routes_of(pool: &Pool, task: &Task) -> Option<Vec<String>> {
    let options = pool.options();
    if task.task_type == TYPE_PYTHON {
        let python = options.python.as_ref().filter(|_| options.trust_all_tools);
        return python.map(|provider| provider.routes());
    }
    let own = options.provider.name();
    let wanted = task.provider.as_deref().filter(|name| !name.is_empty());
    let is_own = wanted.is_none_or(|name| name == own);
    is_own.then(|| options.provider.routes())
}

fn python_for(options: &PoolOptions) -> Result<TaskRunner, NotRun> {
    let pool = &options.name;
    if !options.trust_all_tools {
        return Err(refused(format!(
            "pool '{pool}' does not run python tasks; set trust_all_tools = true on it (or start the agent with --trust-all-tools) to allow code of tasks to run there"
        )));
    }
    let Some(provider) = options.python.clone() else {
        return Err(refused(format!(
            "pool '{pool}' has no python provider; define one"
        )));
    };
    Ok(TaskRunner {
        own: Arc::ptr_eq(&provider, &options.provider),
        provider,
        model: None,
    })
}

fn chat_for(
    pool: &Pool,
    options: &PoolOptions,
    wanted: Option<&str>,
) -> Result<TaskRunner, NotRun> {
    let other = wanted.filter(|name| !name.is_empty() && *name != options.provider.name());
    if let Some(name) = other {
        let Some((provider, model)) = pool.swarm.provider(name) else {
            return Err(refused(format!(
                "the task asks for provider '{name}', which neither pool '{}' nor another pool here has; enqueue it to the queue of a pool that runs it",
                options.name
            )));
        };
        return Ok(TaskRunner {
            provider,
            model,
            own: false,
        });
    }
    if options.provider.dangerous() && !options.trust_all_tools {
        return Err(refused(format!(
            "provider '{}' runs code of tasks, which pool '{}' does not allow; set trust_all_tools = true on it",
            options.provider.name(),
            options.name
        )));
    }
    Ok(TaskRunner {
        provider: options.provider.clone(),
        model: options.model.clone(),
        own: true,
    })
}

/// Finds the folder.
pub(crate) async fn place_for(
    options: &Arc<PoolOptions>,
    session: u32,
    task: &Task,
) -> Result<RunFolder, NotRun> {
    let found = workspace::prepare(options, session, task).await;
    found.map_err(|none| match none {
        NoFolder::Refused(why) => refused(why),
        NoFolder::NotThere(why) => NotRun::Task(FailureClass::BadInput, why),
        NoFolder::Task(why) => NotRun::Task(FailureClass::ProviderError, why),
        NoFolder::Busy(why) => NotRun::Later(why),
        NoFolder::Pool(why) => NotRun::Pool(why),
        NoFolder::Short(why) => NotRun::Short(why),
    })
}

/// Makes the job. Blocks on the file system.
pub(crate) fn prepare(
    options: &PoolOptions,
    runner: TaskRunner,
    task: Task,
    place: RunFolder,
) -> Result<Ready, NotRun> {
    if let Some(accept) = &task.accept {
        accept::allowed(options, accept).map_err(refused)?;
    }
    let not_accepted = task.not_accepted.as_deref().or(place.not_accepted());
    let prompt = match not_accepted {
        // Code is code: a note would break it.
        Some(before) if task.task_type != TYPE_PYTHON && !runner.provider.dangerous() => {
            accept::note::with_note(&task.prompt, before)
        }
        _ => task.prompt.clone(),
    };
    let context = workspace::context(&place.dir, &place.root);
    let mcp = workspace::mcp_servers(options, (task.task_id, task.fence), &place.dir, &place.root);
    let mut timeouts = options.timeouts;
    let own = task.timeout_ms.map(Duration::from_millis);
    timeouts.total = [own, timeouts.total].into_iter().flatten().min();
    let job = Job {
        task_id: task.task_id,
        fence: task.fence,
        task_type: task.task_type,
        prompt,
        system_prompt: joined(context, task.system_prompt),
        model_is_tasks: task.model.is_some(),
        model: task.model.or(runner.model),
        trust: match (options.trust_all_tools, options.may_edit) {
            (true, _) => TrustLevel::All,
            (false, true) => TrustLevel::Edit,
            (false, false) => TrustLevel::Safe,
        },
        permissions: match options.trust_all_tools {
            true => Permissions::allow_all(),
            false => Permissions::deny_all(),
        },
        gate: ProviderGate::open(),
        mcp: mcp.servers,
        conversation: None,
        workdir: place.dir.clone(),
        env: options.env.clone(),
        timeouts,
        max_output_bytes: options.max_output_bytes,
    };
    let mut warnings = place.notes().to_vec();
    warnings.extend(mcp.warnings);
    Ok(Ready {
        provider: runner.provider,
        own: runner.own,
        job,
        place,
        warnings,
        accept: task.accept,
    })
}

/// The context of the folder before the task's own instructions.
fn joined(context: Option<String>, own: Option<String>) -> Option<String> {
    match (context, own.filter(|own| !own.is_empty())) {
        (Some(context), Some(own)) => Some(format!("{context}\n\n{own}")),
        (context, own) => context.or(own),
    }
}
