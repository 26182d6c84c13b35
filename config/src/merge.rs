//! Layers over each other, and out comes one tree of types: the `config` crate's part.
//!
//! It merges tables deeply and deserialises. Two things it cannot do stand beside it, which is why the layers come to it
//! checked: it stops at the first fault, and it forgets which of two origins a value overrode (see `derive::Effective`).

use std::collections::BTreeMap;
use std::path::PathBuf;

use config::Config;
use serde::Deserialize;

use crate::approval::Approval;
use crate::budget::Budget;
use crate::fault::Fault;
use crate::layer::Layer;
use crate::pool::{Pool, Provider};
use crate::settings::{
    Agent, Backoff, Gateway, Hub, Lease, Limits, Log, Metrics, Settings, Shutdown, Store,
    Supervision, Threads,
};

/// The tree as written: pools are a table by name here, so that every layer can mean one of them.
#[derive(Debug, Deserialize)]
struct Written {
    data_dir: PathBuf,
    #[serde(default, deserialize_with = "crate::pool::tree")]
    prices: Option<serde_json::Value>,
    hub: Hub,
    store: Store,
    lease: Lease,
    limits: Limits,
    threads: Threads,
    retry: Backoff,
    supervision: Supervision,
    budget: Budget,
    agent: Agent,
    approval: Approval,
    #[serde(default)]
    pool: BTreeMap<String, Pool>,
    providers: BTreeMap<String, Provider>,
    gateway: Gateway,
    metrics: Metrics,
    log: Log,
    shutdown: Shutdown,
}

/// Merges, weakest layer first; `order` is the order of the pools.
pub(crate) fn settings(layers: &[Layer], order: &[String]) -> Result<Settings, Fault> {
    let builder = layers.iter().fold(Config::builder(), |builder, layer| {
        builder.add_source(layer.clone())
    });
    let written: Written = builder
        .build()
        .and_then(Config::try_deserialize)
        .map_err(|error| Fault::new("settings", None, format!("cannot be merged: {error}")))?;
    Ok(ordered(written, order))
}

fn ordered(mut written: Written, order: &[String]) -> Settings {
    let pools = order
        .iter()
        .filter_map(|name| written.pool.remove(name))
        .collect();
    Settings {
        data_dir: written.data_dir,
        prices: written.prices,
        hub: written.hub,
        store: written.store,
        lease: written.lease,
        limits: written.limits,
        threads: written.threads,
        retry: written.retry,
        supervision: written.supervision,
        budget: written.budget,
        agent: written.agent,
        approval: written.approval,
        pools,
        providers: written.providers,
        gateway: written.gateway,
        metrics: written.metrics,
        log: written.log,
        shutdown: written.shutdown,
    }
}
