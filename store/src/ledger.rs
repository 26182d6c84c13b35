//! Budgets and the amounts that running attempts have reserved of them.
//!
//! Budgets are in the database; memory holds the reservations and the facts that save a query: which scopes have a
//! budget at all.

use crate::backend::{Backend, LoadedState, Result, StoreFault};
use crate::rules::budget::{Amount, BudgetAccount};
use crate::sql::usage::{
    DeleteAccount, DeleteMember, DeletePruned, DeleteReservation, DeleteUsage, InsertMember,
    PruneMember, PutAccount, PutReservation, Reservation, SelectDay, SelectLives, SelectTrees,
    stored_limit,
};
use kirosu_protocol::{Fence, Scope, TaskId};
use std::collections::{HashMap, HashSet};

/// Milliseconds of a day, the unit in which usage is recorded.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// See the module. Every function that takes a database fails only if the database does.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By task: the reservation of its live attempt, or the usage that was counted for one that ended without an ack.
    reservations: HashMap<TaskId, Reservation>,
    /// The budgets of hub, pools and providers that a worker ever named.
    shared: HashSet<Scope>,
    /// Whether any task or tree has a budget.
    has_task_budgets: bool,
    /// Whether the usage of any task is recorded.
    has_usage: bool,
}

impl Ledger {
    /// Takes its part of the small tables.
    pub fn load(loaded: &mut LoadedState) -> Ledger {
        let shared = loaded.shared_scopes.iter();
        Ledger {
            reservations: std::mem::take(&mut loaded.reservations)
                .into_iter()
                .collect(),
            shared: shared.filter_map(|name| Scope::parse(name)).collect(),
            has_task_budgets: loaded.has_task_budgets,
            has_usage: loaded.has_usage,
        }
    }

    /// Whether any task or tree has a budget.
    pub fn has_task_budgets(&self) -> bool {
        self.has_task_budgets
    }

    /// Those of the scopes of hub, pools and providers that have a budget.
    pub fn with_budget(&self, scopes: impl IntoIterator<Item = Scope>) -> Vec<Scope> {
        let scopes = scopes.into_iter();
        scopes.filter(|scope| self.shared.contains(scope)).collect()
    }

    /// Usage of a task was recorded.
    pub fn note_usage(&mut self) {
        self.has_usage = true;
    }

    /// The reservation of an attempt, or its counted usage.
    pub fn reservation(&self, task: TaskId, fence: Fence) -> Option<&Reservation> {
        let held = self.reservations.get(&task);
        held.filter(|held| held.fence == fence)
    }

    /// Notes the usage that an attempt with a reservation has reported. Returns the highest report; zero without a
    /// reservation.
    pub fn note_reported(&mut self, task: TaskId, fence: Fence, reported: Amount) -> Amount {
        match self.reservations.get_mut(&task) {
            Some(held) if held.fence == fence => {
                held.reported = held.reported.max(reported);
                held.reported
            }
            _ => Amount::default(),
        }
    }

    /// A budget at the time `now` (Unix milliseconds), in its present window; `None` means that the scope has none.
    pub fn account(
        &self,
        db: &mut dyn Backend,
        scope: &Scope,
        now: i64,
    ) -> Result<Option<BudgetAccount>> {
        Ok(db
            .account(&scope.to_string())?
            .map(|account| account.at(now)))
    }

    /// Changes a budget, if the scope has one.
    pub fn alter(
        &mut self,
        db: &mut dyn Backend,
        scope: &Scope,
        now: i64,
        change: impl FnOnce(BudgetAccount) -> BudgetAccount,
    ) -> Result<()> {
        match self.account(db, scope, now)? {
            Some(account) => self.put_account(db, scope, &change(account)),
            None => Ok(()),
        }
    }

    /// Writes a budget.
    pub fn put_account(
        &mut self,
        db: &mut dyn Backend,
        scope: &Scope,
        account: &BudgetAccount,
    ) -> Result<()> {
        let record = PutAccount {
            scope: &scope.to_string(),
            limit: stored_limit(account.limit),
            raise: stored_limit(account.raise),
            per: account.per,
            since: account.since,
            used: account.used.stored(),
            reserved: account.reserved.stored(),
        };
        db.write(record.into())?;
        if scope.is_of_tasks() {
            self.has_task_budgets = true;
        } else {
            self.shared.insert(scope.clone());
        }
        Ok(())
    }

    /// The recorded usage of a scope in the day of `now`. A daily budget that is named for the first time counts it.
    pub fn used_today(&self, db: &mut dyn Backend, scope: &Scope, now: i64) -> Result<Amount> {
        let (pool, provider) = match scope {
            Scope::Pool(name) => (name.as_str(), "*"),
            Scope::Provider(name) => ("*", name.as_str()),
            _ => ("*", "*"),
        };
        db.usage_of_day(SelectDay {
            day: now.div_euclid(DAY_MS),
            pool,
            same: pool,
            provider,
            too: provider,
        })
    }

    /// Writes a reservation.
    pub fn put_reservation(
        &mut self,
        db: &mut dyn Backend,
        task: TaskId,
        held: Reservation,
    ) -> Result<()> {
        let scopes = serde_json::to_string(&held.scopes).map_err(StoreFault::value)?;
        let record = PutReservation {
            task_id: task,
            fence: held.fence,
            amount: held.amount.stored(),
            reported: held.reported.stored(),
            counted: held.counted.stored(),
            scopes: &scopes,
        };
        db.write(record.into())?;
        self.reservations.insert(task, held);
        Ok(())
    }

    /// Deletes the reservation of a task.
    pub fn delete_reservation(&mut self, db: &mut dyn Backend, task: TaskId) -> Result<()> {
        if self.reservations.remove(&task).is_some() {
            db.write(DeleteReservation { task_id: task }.into())?;
        }
        Ok(())
    }

    /// A task is pruned: its usage remains in the sums of the days only.
    pub fn delete_task(&mut self, db: &mut dyn Backend, id: TaskId) -> Result<()> {
        if self.has_usage {
            db.write(DeleteUsage { id }.into())?;
        }
        self.delete_reservation(db, id)?;
        if self.has_task_budgets {
            let scope = Scope::Task(id).to_string();
            db.write(DeleteAccount { scope: &scope }.into())?;
        }
        Ok(())
    }

    /// The trees with a budget to which a task belongs, also a pruned one.
    pub fn trees_of(&self, db: &mut dyn Backend, task_id: TaskId) -> Result<Vec<TaskId>> {
        match self.has_task_budgets {
            true => db.ids(SelectTrees { task_id }.into()),
            false => Ok(Vec::new()),
        }
    }

    /// A new task belongs to a tree with a budget.
    pub fn join_tree(
        &mut self,
        db: &mut dyn Backend,
        task_id: TaskId,
        tree_id: TaskId,
    ) -> Result<()> {
        db.write(InsertMember { task_id, tree_id }.into()).map(drop)
    }

    /// A task of a tree is about to be pruned. With the last task the tree's budget and its list of pruned members are
    /// deleted, at most `limit` members per call. Returns false while the caller must call again first.
    pub fn leave_tree(
        &mut self,
        db: &mut dyn Backend,
        task_id: TaskId,
        tree_id: TaskId,
        limit: i64,
    ) -> Result<bool> {
        if db.number(SelectLives { tree_id, task_id }.into())? == Some(1) {
            db.write(PruneMember { task_id, tree_id }.into())?;
            return Ok(true);
        }
        let pruned = DeletePruned {
            tree_id,
            same: tree_id,
            limit,
        };
        if db.write(pruned.into())? as i64 >= limit {
            return Ok(false);
        }
        db.write(DeleteMember { task_id, tree_id }.into())?;
        let scope = Scope::Tree(tree_id).to_string();
        db.write(DeleteAccount { scope: &scope }.into())?;
        Ok(true)
    }
}
