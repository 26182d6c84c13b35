//! Sections of agents: pools, restarts of their sessions, budgets, and permission rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kirosu_protocol::budget::micros_of;
use kirosu_protocol::limits::{TOKENS_MAX, USD_MAX};
use kirosu_protocol::settings::{HookOptions, RuleAction, RuleText, TrustLevel, WorkspaceMode};
use kirosu_protocol::{Budget, Scope, ScopeLimit};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use strum::VariantNames;

use super::{DAY, DECADE, GIB, HOUR, KIB, MIB, MILLISECOND, SECOND, WEEK};
use crate::schema::Allowed::{
    Bool, Choice, Command, Float, Int, List, Map, Name, Path, Patterns, Period, Size, Table,
    Tables, Text, Time, Wait,
};
use crate::schema::KeyDefault::{Derived, Is, MayDerive, Required, Unset};
use crate::schema::{SettingKey, define_section};

/// Time without output after which a run of an agent program is ended, unless the pool sets another. Long, because a
/// tool may run for minutes without output.
pub const SILENCE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Time to the first output after which a run of an agent program is ended, unless the pool sets another.
pub const START_TIMEOUT: Duration = Duration::from_secs(10 * 60);

define_section! {
    /// `[supervision]`: restarts of crashed agent sessions. Delays grow as in `[retry]`; `jitter` makes a delay shorter or
    /// longer.
    pub struct SupervisionSection: One("supervision") {
        /// Restarts within `period` after which the sessions of a pool are stopped for a while.
        restarts: u32 = Int(0, 100_000), Is("10"), restart;
        /// The period in which restarts are counted.
        #[serde(with = "humantime_serde")]
        period: Duration = Time(SECOND, DAY), Is("\"1m\""), restart;
        /// First delay.
        #[serde(with = "humantime_serde")]
        initial: Duration = Time(MILLISECOND, HOUR), Is("\"500ms\""), restart;
        /// Longest delay.
        #[serde(with = "humantime_serde")]
        max: Duration = Time(MILLISECOND, DAY), Is("\"30s\""), restart;
        /// Growth from one delay to the next.
        factor: f64 = Float(1.0, 100.0), Is("2.0"), restart;
        /// Largest share by which a delay varies at random.
        jitter: f64 = Float(0.0, 1.0), Is("0.2"), restart;
        /// Time without a crash after which a session restarts with the first delay again.
        #[serde(with = "humantime_serde")]
        healthy_after: Duration = Time(MILLISECOND, DAY), Is("\"1m\""), restart;
    }
}

define_section! {
    /// `[agent]`: defaults of pools.
    pub struct AgentSection: One("agent") {
        /// Provider of a pool that names none.
        provider: String = Name, Is("\"kiro\"");
    }
}

define_section! {
    /// `[approval]`: decisions on tool calls of agents whose pool does not trust all tools.
    pub struct ApprovalSection: One("approval") {
        /// Time after which an unanswered permission request is denied. `None` means that it waits without limit.
        #[serde(with = "wait")]
        wait: Option<Duration> = Wait(SECOND, DECADE), Is("\"forever\"");
        /// `[[approval.rule]]`, the rules in the order in which they are tried.
        rule: Vec<RuleText> = Tables(RULE), Is("[]");
    }
}

/// Keys of `[[approval.rule]]`. The swarm reads the patterns.
const RULE: &[SettingKey] = &[
    SettingKey::new("name", Name, Required),
    SettingKey::new("action", Choice(RuleAction::VARIANTS), Required),
    SettingKey::new("tool", Text, Unset),
    SettingKey::new("kind", Text, Unset),
    SettingKey::new("pool", Text, Unset),
    SettingKey::new("args", Patterns, Unset),
];

define_section! {
    /// `[budget]`, and `budget = { ... }` of a pool or a provider: usage allowed within each period.
    pub struct BudgetSection: One("budget") {
        /// Tokens that no cache served. `None` means no limit.
        tokens: Option<u64> = Int(0, TOKENS_MAX), Unset;
        /// US dollars. `None` means no limit.
        usd: Option<f64> = Float(0.0, USD_MAX), Unset;
        /// Length of the period, which divides a day. Periods begin at midnight UTC and at its multiples.
        #[serde(default = "day", with = "humantime_serde")]
        per: Duration = Period, Is("\"1day\"");
    }
}

const fn day() -> Duration {
    DAY
}

impl BudgetSection {
    /// Whether the budget has no limit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tokens.is_none() && self.usd.is_none()
    }

    /// The budget as a worker sends it to the hub.
    #[must_use]
    pub fn limit(&self, scope: Scope) -> ScopeLimit {
        ScopeLimit {
            scope,
            limit: Budget {
                tokens: self.tokens,
                micros: self.usd.map(micros_of),
            },
            per_seconds: self.per.as_secs(),
        }
    }

    /// Reads the table of a pool or a provider, which the layers have checked.
    pub(super) fn of_table(table: Option<&Value>) -> Option<Self> {
        table.and_then(|table| Self::deserialize(table).ok())
    }
}

define_section! {
    /// One `[[pool]]` of agent sessions.
    pub struct PoolSection: Array("pool") {
        /// Unique name.
        name: String = Name, Required;
        /// Name of the provider.
        provider: String = Name, Derived;
        /// Number of sessions. A pool of 0 sessions can be resized later.
        size: u32 = Int(0, 10_000), Is("2");
        /// Queues that tasks are leased from; never empty. That with the name of the pool belongs to them in any case.
        queues: Vec<String> = List, Is("[\"default\"]");
        /// Task types that are leased. Empty means all types that the provider may run.
        types: Vec<String> = List, Is("[]");
        /// Length of leases, within `lease.min` to `lease.max`.
        #[serde(with = "humantime_serde")]
        lease: Duration = Time(SECOND, DAY), Derived;
        /// Longest run. `None` means no limit.
        #[serde(default, with = "humantime_serde")]
        timeout: Option<Duration> = Time(SECOND, WEEK), Unset;
        /// Longest time without output. Zero means no limit; `None` means [`SILENCE_TIMEOUT`] for agent programs.
        #[serde(default, with = "humantime_serde")]
        silence_timeout: Option<Duration> = Time(Duration::ZERO, WEEK), Unset;
        /// Longest time to the first output. Zero means no limit; `None` means [`START_TIMEOUT`] for agent programs, or
        /// `silence_timeout` if the pool sets that.
        #[serde(default, with = "humantime_serde")]
        start_timeout: Option<Duration> = Time(Duration::ZERO, WEEK), Unset;
        /// When an ended session is restarted.
        restart: SessionRestart = Choice(SessionRestart::VARIANTS), Is("\"permanent\"");
        /// The folder in which a task runs.
        workspace: WorkspaceMode = Choice(WorkspaceMode::VARIANTS), Is("\"shared\"");
        /// `shared` and `worktree`: the folder itself; `None` means the working directory of the process. Otherwise the
        /// parent of the private folders; `None` means [`crate::Settings::workspaces_dir`].
        workdir: Option<PathBuf> = Path, Unset;
        /// `worktree`: the commit that tasks start from. `None` means the commit that is checked out at that time.
        base: Option<String> = Text, Unset;
        /// Programs around each run, as written; [`PoolSection::hooks`] reads them.
        hooks: Option<Value> = Table(HOOKS), Unset;
        /// Actions that agent programs may take without asking. `None` means as `trust_all_tools` says.
        trust: Option<TrustLevel> = Choice(TrustLevel::VARIANTS), Unset;
        /// Whether the pool may run code of tasks on this machine, together with `hub.trust_all_tools`.
        trust_all_tools: bool = Bool, Is("false");
        /// Whether agents get a token of their run, with which they can add tasks below their own.
        run_token: bool = Bool, Is("true");
        /// Whether agents get the MCP servers of the folder's own `.kiro/settings/mcp.json`. `None` means as
        /// `trust_all_tools` says.
        workspace_mcp: Option<bool> = Bool, Unset;
        /// Whether commands of tasks' `accept` clauses run here although the pool does not trust all tools.
        accept_commands: bool = Bool, Is("false");
        /// Model. `None` leaves the choice to the provider's program.
        model: Option<String> = Text, MayDerive;
        /// Environment variables of its runs, which override the provider's.
        #[serde(default)]
        env: BTreeMap<String, String> = Map, Unset;
        /// Bytes of output that are kept per run; the rest is cut with a mark.
        max_output: u64 = Size(KIB, GIB), Is("\"1 MiB\"");
        /// Budget of its runs, as written; [`PoolSection::budget`] reads it.
        budget: Option<Value> = Table(BudgetSection::SECTION.keys), Unset;
        /// Tokens that a run reserves from its budgets at a time.
        reserve_tokens: u64 = Int(1, TOKENS_MAX), Is("100000");
        /// US dollars that a run reserves from its budgets at a time.
        reserve_usd: f64 = Float(1e-6, USD_MAX), Is("0.5");
        /// Whether the output of runs includes the model's reasoning.
        show_thoughts: bool = Bool, Is("false");
        /// Number of consecutive runs that failed at once after which the pool tries one task at a time. 0 means never;
        /// `None` means a default that depends on the provider.
        breaker: Option<u32> = Int(0, 1000), Unset;
        /// Bytes of memory of a run's processes together. `None` means no limit.
        memory: Option<u64> = Size(16 * MIB, 1024 * GIB), Unset;
        /// Cores of a run: 1.5 means that its processes get 1.5 s of CPU time per second. `None` means no limit.
        cpu: Option<f64> = Float(0.01, 1024.0), Unset;
        /// Processes and threads of a run at the same time. `None` means no limit.
        processes: Option<u64> = Int(1, 1_000_000), Unset;
        /// User of the runs. `None` means that of the process.
        user: Option<String> = Text, Unset;
        /// Rules of the kernel for the runs.
        sandbox: SandboxMode = Choice(SandboxMode::VARIANTS), Is("\"off\"");
        /// Paths that runs in a sandbox may write in addition to their folder.
        sandbox_write: Vec<PathBuf> = List, Is("[]");
        /// Whether runs in a sandbox may use the network.
        sandbox_network: bool = Bool, Is("true");
    }
}

/// Keys of `hooks = { ... }`.
const HOOKS: &[SettingKey] = &[
    SettingKey::new("before", Command, Unset),
    SettingKey::new("after", Command, Unset),
    SettingKey::new("timeout", Time(SECOND, DAY), Unset),
    SettingKey::new("after_must_succeed", Bool, Unset),
];

impl PoolSection {
    /// The budget of its runs. `None` means no budget.
    #[must_use]
    pub fn budget(&self) -> Option<BudgetSection> {
        BudgetSection::of_table(self.budget.as_ref())
    }

    /// The programs around each run. The layers have checked the table, so every value in it is usable.
    #[must_use]
    pub fn hooks(&self) -> HookOptions {
        let default = HookOptions::default();
        let written = |key: &str| self.hooks.as_ref().and_then(|table| table.get(key));
        let program = |key| written(key).and_then(|argv| Vec::deserialize(argv).ok());
        let timeout = written("timeout").and_then(Value::as_str);
        let must_succeed = written("after_must_succeed").and_then(Value::as_bool);
        HookOptions {
            before: program("before").unwrap_or_default(),
            after: program("after").unwrap_or_default(),
            timeout: timeout
                .and_then(|time| humantime::parse_duration(time).ok())
                .unwrap_or(default.timeout),
            after_must_succeed: must_succeed.unwrap_or(default.after_must_succeed),
        }
    }
}

/// The rules of the kernel for the runs of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SandboxMode {
    /// None besides those of their user.
    Off,
    /// Runs write their folder only, and do not read Kirosu's own files.
    Workspace,
}

/// When an ended session is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, VariantNames)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub enum SessionRestart {
    /// Always.
    Permanent,
    /// Only after a crash.
    Transient,
    /// Never.
    Temporary,
}

/// `"forever"`, or a duration.
mod wait {
    use crate::check::FOREVER;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::time::Duration;

    pub fn serialize<S: Serializer>(wait: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match wait {
            None => to.serialize_str(FOREVER),
            Some(wait) => to.collect_str(&humantime::format_duration(*wait)),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        match String::deserialize(from)?.as_str() {
            FOREVER => Ok(None),
            text => humantime::parse_duration(text)
                .map(Some)
                .map_err(serde::de::Error::custom),
        }
    }
}
