//! Turns a task into a job: provider, folder, instructions and limits.

use std::sync::Arc;
use std::time::Duration;

use kirosu_protocol::Accept;
use kirosu_protocol::task::{FailureClass, TYPE_HUMAN, TYPE_PYTHON, Task};
use kirosu_providers::{Job, Permissions, Provider, ProviderGate, RunHub, TrustLevel};

use super::accept;
use super::budget::BudgetRefused;
use super::{children, continued};
use crate::options::{AgentHub, PoolOptions};
use crate::pool::Pool;
use crate::workspace::{self, NoFolder, RunFolder};

/// The provider of a task.
pub(crate) struct TaskRunner {
    pub(super) provider: Arc<dyn Provider>,
    /// The model for tasks that name none.
    pub(super) model: Option<String>,
    /// Whether it is the pool's own provider.
    pub(super) own: bool,
}

impl TaskRunner {
    pub(super) fn provider(&self) -> &dyn Provider {
        &*self.provider
    }
}

/// A job that can start.
pub(crate) struct Ready {
    pub(crate) provider: Arc<dyn Provider>,
    /// Whether it is the pool's own provider.
    pub(crate) own: bool,
    pub(crate) job: Job,
    pub(crate) folder: RunFolder,
    /// Warnings for the beginning of the run's output, one per line.
    pub(crate) warnings: Vec<String>,
    /// The clauses that its answer has to meet.
    pub(crate) accept: Option<Box<Accept>>,
}

/// Why a task is not run.
#[derive(Debug)]
pub(crate) enum NotRun {
    /// The task is at fault: it fails.
    Task(FailureClass, String),
    /// The pool is at fault: the lease goes back.
    Pool(String),
    /// The workspace is busy: the lease goes back.
    Later(String),
    /// The machine lacks a resource: the lease goes back.
    Short(String),
    /// It was cancelled before it began.
    Cancelled(String),
    /// A budget does not allow it.
    BudgetRefused(Box<BudgetRefused>),
}

fn refused(why: String) -> NotRun {
    NotRun::Task(FailureClass::RefusedByPolicy, why)
}

/// Returns the provider of a task of this pool.
///
/// # Errors
/// A refusal that names the setting or the missing pool.
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

/// Returns the providers that may run a task of this pool, if they are the pool's own; `None` means that the run
/// itself waits for the provider that the task names.
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
        let found = pool.swarm.pools_with(name);
        // The provider of another pool is bound as that pool's runs are.
        let alike = found.iter().find(|it| it.bounds.is_like(&options.bounds));
        let Some(other) = alike else {
            let why = match found.is_empty() {
                true => format!(
                    "which neither pool '{}' nor another pool here has",
                    options.name
                ),
                false => format!(
                    "whose pool '{}' has another user, sandbox or limits than pool '{}'",
                    found[0].name, options.name
                ),
            };
            return Err(refused(format!(
                "the task asks for provider '{name}', {why}; enqueue it to the queue of a pool that runs it"
            )));
        };
        return Ok(TaskRunner {
            provider: other.provider.clone(),
            model: other.model.clone(),
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

/// Finds or makes the folder.
///
/// # Errors
/// There is no usable folder; the variant is whose fault it is.
pub(crate) async fn run_folder(
    options: &Arc<PoolOptions>,
    session: u32,
    task: &Task,
) -> Result<RunFolder, NotRun> {
    let found = workspace::prepare(options, session, task, continued::folder_of(task)).await;
    found.map_err(not_run)
}

/// Why a task without a usable folder is not run.
pub(super) fn not_run(none: NoFolder) -> NotRun {
    match none {
        NoFolder::Refused(why) => refused(why),
        NoFolder::NotThere(why) => NotRun::Task(FailureClass::BadInput, why),
        NoFolder::Task(why) => NotRun::Task(FailureClass::ProviderError, why),
        NoFolder::Busy(why) => NotRun::Later(why),
        NoFolder::Pool(why) => NotRun::Pool(why),
        NoFolder::Short(why) => NotRun::Short(why),
    }
}

/// Makes the job. Blocks on the file system.
///
/// # Errors
/// The pool may not check the task's `accept` clause.
pub(crate) fn prepare(
    options: &PoolOptions,
    runner: TaskRunner,
    task: Task,
    folder: RunFolder,
    hub: Option<AgentHub>,
) -> Result<Ready, NotRun> {
    if let Some(accept) = &task.accept {
        accept::allowed(options, accept).map_err(refused)?;
    }
    let must_continue = task.continues.is_some() && !task.continues_itself();
    let continues = task.continues.as_deref();
    let not_accepted = task.not_accepted.as_deref().or(folder.not_accepted());
    let mut prompt = task.prompt.clone();
    // Python tasks are code, which a note would break.
    if task.task_type != TYPE_PYTHON && !runner.provider.dangerous() {
        if !task.children.is_empty() {
            prompt = children::with_results(&prompt, &task.children);
        }
        if let Some(before) = not_accepted {
            prompt = accept::note::with_note(&prompt, before);
        }
    }
    let mut warnings = folder.notes().to_vec();
    let context = workspace::context(&folder.dir, &folder.root, &mut warnings);
    let hub = hub
        .filter(|_| options.run_token)
        .zip(task.run_token.clone());
    let hub = hub.map(|(AgentHub { at, program }, token)| RunHub {
        address: at.address,
        tls: at.tls,
        token,
        program,
    });
    let mcp = workspace::mcp_servers(
        options,
        (task.task_id, task.fence),
        hub.as_ref(),
        &folder.dir,
        &folder.root,
    );
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
        hub,
        conversation: continues.map(continued::conversation_of),
        must_continue,
        workdir: folder.dir.clone(),
        env: options.env.clone(),
        timeouts,
        max_output_bytes: options.max_output_bytes,
    };
    warnings.extend(mcp.warnings);
    Ok(Ready {
        provider: runner.provider,
        own: runner.own,
        job,
        folder,
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
