//! The validated settings: plain data with every default filled in, and the keys from which it is read.

mod agents;
mod hub;
mod notify;
mod port;
mod provider;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use kirosu_protocol::settings::AccountLimits;
use serde::{Deserialize, Deserializer, Serialize};

use crate::schema::{Allowed, KeyDefault, Section, SettingKey, Shape};
use crate::secret::Secret;

pub use agents::{
    AgentSection, ApprovalSection, BudgetSection, PoolSection, SILENCE_TIMEOUT, START_TIMEOUT,
    SandboxMode, SessionRestart, SupervisionSection,
};
pub use hub::{
    ChildrenSection, GatewaySection, HubSection, LeaseSection, LimitsSection, LogFormat,
    LogSection, MetricsSection, RetrySection, ShutdownSection, StoreSection, StoreThread,
    ThreadsSection,
};
pub use notify::{NOTIFY_INCLUDE, NotifySection};
pub use port::HubPort;
pub(crate) use port::OFF;
pub(crate) use provider::DEFINITION;
pub use provider::{ProviderKind, ProviderSection};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// Ten years: longer than a hub's file is kept, and far from an overflow in milliseconds.
const DECADE: Duration = Duration::from_secs(10 * 31_557_600);

/// Every section, in the order in which `config show` prints them.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        shape: Shape::Top,
        keys: &[
            SettingKey::new("data_dir", Allowed::Path, KeyDefault::Derived).restart(),
            SettingKey::new("prices", Allowed::Tree, KeyDefault::Unset),
        ],
    },
    HubSection::SECTION,
    StoreSection::SECTION,
    LeaseSection::SECTION,
    LimitsSection::SECTION,
    ThreadsSection::SECTION,
    RetrySection::SECTION,
    ChildrenSection::SECTION,
    SupervisionSection::SECTION,
    AgentSection::SECTION,
    ApprovalSection::SECTION,
    BudgetSection::SECTION,
    PoolSection::SECTION,
    ProviderSection::SECTION,
    NotifySection::SECTION,
    GatewaySection::SECTION,
    MetricsSection::SECTION,
    LogSection::SECTION,
    ShutdownSection::SECTION,
];

/// All settings. [`Settings::load`] returns them; every value has passed every check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// Folder of the database and the workspaces.
    pub data_dir: PathBuf,
    /// Prices of models as written; the swarm reads them.
    pub prices: Option<serde_json::Value>,
    /// The key that a hub of this user has made for itself, if its clients need it: `hub.key` is not set.
    #[serde(skip)]
    pub own_key: Option<Secret>,
    /// The Unix socket on which a hub listens if `hub.socket` is not set: where systemd or XDG gives a folder for it.
    #[serde(skip)]
    pub default_socket: Option<PathBuf>,
    /// `[hub]`
    pub hub: HubSection,
    /// `[store]`
    pub store: StoreSection,
    /// `[lease]`
    pub lease: LeaseSection,
    /// `[limits]`
    pub limits: LimitsSection,
    /// `[threads]`
    pub threads: ThreadsSection,
    /// `[retry]`
    pub retry: RetrySection,
    /// `[children]`
    pub children: ChildrenSection,
    /// `[supervision]`
    pub supervision: SupervisionSection,
    /// `[budget]`
    pub budget: BudgetSection,
    /// `[agent]`
    pub agent: AgentSection,
    /// `[approval]`
    pub approval: ApprovalSection,
    /// The pools in the order in which they were written; names are unique.
    #[serde(rename = "pool", default, deserialize_with = "values")]
    pub pools: Vec<PoolSection>,
    /// The providers by name, built-in ones included (`echo`, `python`, `kiro`, `codex`, `openai`, ...).
    pub providers: BTreeMap<String, ProviderSection>,
    /// The targets of notifications in the order in which they were written; names are unique.
    #[serde(rename = "notify", default, deserialize_with = "values")]
    pub targets: Vec<NotifySection>,
    /// `[gateway]`
    pub gateway: GatewaySection,
    /// `[metrics]`
    pub metrics: MetricsSection,
    /// `[log]`
    pub log: LogSection,
    /// `[shutdown]`
    pub shutdown: ShutdownSection,
}

impl Settings {
    /// The definition of the pool's provider. `None` only for a pool of other settings.
    pub fn provider_of(&self, pool: &PoolSection) -> Option<&ProviderSection> {
        self.providers.get(&pool.provider)
    }

    /// The key that a client sends to the hub.
    pub fn client_key(&self) -> Option<String> {
        let key = self.hub.key.as_ref().or(self.own_key.as_ref());
        key.map(|key| key.expose().to_owned())
    }

    /// Parent folder of private workspaces of pools without a `workdir`.
    pub fn workspaces_dir(&self) -> PathBuf {
        self.data_dir.join("workspaces")
    }

    /// The account of a provider: `account` if it is set, otherwise the provider's own name.
    pub fn account_of<'a>(&'a self, provider: &'a str) -> &'a str {
        let account = self.providers.get(provider);
        account
            .and_then(|it| it.account.as_deref())
            .unwrap_or(provider)
    }

    /// The limits of a provider's account, each from the first provider of the account that sets it.
    #[must_use]
    pub fn account_limits(&self, provider: &str) -> AccountLimits {
        let account = self.account_of(provider);
        let same = |(name, _): &(&String, &ProviderSection)| self.account_of(name) == account;
        let mut limits = AccountLimits::default();
        for (_, it) in self.providers.iter().filter(same) {
            limits.concurrency = limits.concurrency.or(it.concurrency);
            limits.requests_per_minute = limits.requests_per_minute.or(it.requests_per_minute);
            limits.tokens_per_minute = limits.tokens_per_minute.or(it.tokens_per_minute);
        }
        limits
    }
}

/// Reads the values of a table. The layers hold pools and targets by name, so that each layer can change keys of any.
fn values<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(BTreeMap::<String, T>::deserialize(from)?
        .into_values()
        .collect())
}
