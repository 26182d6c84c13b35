//! Budgets: how they stand, what attempts hold of them, and how an attempt's end settles it. `used` counts what was used.

use crate::core::Core;
use crate::rules::budget::{Account, Amount};
use crate::sql;
use crate::sql::usage::{
    DeleteAccount, DeleteMember, DeletePruned, DeleteReservation, DeleteUsage, PruneMember,
    PutAccount, PutReservation, Reservation, SelectAccount, SelectDay, SelectLives, SelectOfTasks,
    SelectReservations, SelectShared, SelectTrees, SelectUsed, number,
};
use diesel::{QueryResult, SqliteConnection};
use kirosu_protocol::verbs::ack::Ack;
use kirosu_protocol::{Budget, Fence, Scope, TaskId, Usage};
use std::collections::{HashMap, HashSet};

pub(crate) const DAY_MS: i64 = 86_400_000;

/// What of it is kept in memory: what says that there is nothing to look for in the file.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// By task: what its live attempt holds, or what was counted of one that ended without an ack.
    pub reservations: HashMap<TaskId, Reservation>,
    /// The budgets of hub, pools and providers that were ever told.
    pub shared: HashSet<Scope>,
    /// Whether any task or tree has a budget.
    pub of_tasks: bool,
    /// Whether the ledger holds anything of a task.
    pub used: bool,
}

impl Ledger {
    /// Reads what is kept in memory.
    pub fn load(conn: &mut SqliteConnection) -> QueryResult<Ledger> {
        let shared: Vec<String> = sql::all(conn, SelectShared {})?;
        Ok(Ledger {
            reservations: sql::all(conn, SelectReservations {})?.into_iter().collect(),
            shared: shared
                .iter()
                .filter_map(|name| Scope::parse(name))
                .collect(),
            of_tasks: sql::first::<i64, _>(conn, SelectOfTasks {})? == Some(1),
            used: sql::first::<i64, _>(conn, SelectUsed {})? == Some(1),
        })
    }
}

impl Core {
    /// An attempt ended: what it held is given back, and what it used counts against its budgets. Without an ack, what
    /// it told while it ran counts. `counted` is what of it was counted before, where a later attempt has taken the place
    /// of the row that knew.
    pub(crate) fn settle(
        &mut self,
        task: TaskId,
        fence: Fence,
        told: Option<(&Ack, &Usage)>,
        counted: Budget,
    ) -> QueryResult<()> {
        let held = self.ledger.reservations.get(&task);
        let held = held.filter(|held| held.fence == fence).cloned();
        if held.is_none() && told.is_none() {
            return Ok(());
        }
        let is_own = held.is_some();
        let held = held.unwrap_or_else(|| Reservation {
            counted: Amount::of(counted),
            ..Reservation::default()
        });
        let spent = match told {
            Some((_, usage)) => Amount::of(Budget::of(usage)),
            None => held.told.max(held.counted),
        };
        let more = spent.minus(held.counted);
        for scope in &held.scopes {
            self.alter(scope, |account| account.settled(held.amount, more))?;
        }
        if let Some((ack, _)) = told {
            for scope in self.scopes_of(ack)? {
                if !held.scopes.contains(&scope) {
                    self.alter(&scope, |account| account.settled(Amount::default(), more))?;
                }
            }
        }
        if !is_own {
            // What is held now is a later attempt's.
            return Ok(());
        }
        if told.is_some() || spent == Amount::default() {
            return self.forget_reservation(task);
        }
        let rest = Reservation {
            amount: Amount::default(),
            told: Amount::default(),
            counted: spent,
            ..held
        };
        self.keep_reservation(task, rest)
    }

    /// The budgets that an acked run counts against beside those it has reserved of.
    fn scopes_of(&mut self, ack: &Ack) -> QueryResult<Vec<Scope>> {
        let mut scopes = Vec::new();
        if !self.ledger.shared.is_empty() {
            scopes.push(Scope::Hub);
            scopes.extend(ack.pool.clone().map(Scope::Pool));
            scopes.extend(ack.provider.clone().map(Scope::Provider));
            scopes.retain(|scope| self.ledger.shared.contains(scope));
        }
        scopes.extend(self.scopes_of_task(ack.task_id)?);
        Ok(scopes)
    }

    /// The budgets of a task and of the trees it is in.
    pub(crate) fn scopes_of_task(&mut self, task: TaskId) -> QueryResult<Vec<Scope>> {
        if !self.ledger.of_tasks {
            return Ok(Vec::new());
        }
        let options = self.task_options(task)?;
        let own = options.budget.filter(|budget| !budget.own.is_empty());
        let trees = options.budget_trees.into_iter().map(Scope::Tree);
        Ok(own
            .map(|_| Scope::Task(task))
            .into_iter()
            .chain(trees)
            .collect())
    }

    /// A budget as it stands now; none: nobody has told it.
    pub(crate) fn account(&mut self, scope: &Scope) -> QueryResult<Option<Account>> {
        let scope = scope.to_string();
        let found: Option<(String, Account)> =
            sql::first(&mut self.conn, SelectAccount { scope: &scope })?;
        Ok(found.map(|(_, account)| account.at(self.now)))
    }

    /// Changes a budget that is known.
    pub(crate) fn alter(
        &mut self,
        scope: &Scope,
        change: impl FnOnce(Account) -> Account,
    ) -> QueryResult<()> {
        match self.account(scope)? {
            Some(account) => self.put_account(scope, &change(account)),
            None => Ok(()),
        }
    }

    /// Writes a budget.
    pub(crate) fn put_account(&mut self, scope: &Scope, account: &Account) -> QueryResult<()> {
        self.write(PutAccount {
            scope: &scope.to_string(),
            tokens: account.limit.tokens.map(number),
            micros: account.limit.micros.map(number),
            raise_tokens: account.raise.tokens.map(number),
            raise_micros: account.raise.micros.map(number),
            per: account.per,
            since: account.since,
            used_tokens: number(account.used.tokens),
            used_micros: number(account.used.micros),
            reserved_tokens: number(account.reserved.tokens),
            reserved_micros: number(account.reserved.micros),
        })?;
        if scope.is_of_tasks() {
            self.ledger.of_tasks = true;
        } else {
            self.ledger.shared.insert(scope.clone());
        }
        Ok(())
    }

    /// What a scope has used in the day that is under way, by the ledger: a budget of a day that is told for the first
    /// time counts it.
    pub(crate) fn used_today(&mut self, scope: &Scope) -> QueryResult<Amount> {
        let (pool, provider) = match scope {
            Scope::Pool(name) => (name.as_str(), "*"),
            Scope::Provider(name) => ("*", name.as_str()),
            _ => ("*", "*"),
        };
        let day = self.now.div_euclid(DAY_MS);
        let asked = SelectDay {
            day,
            pool,
            same: pool,
            provider,
            too: provider,
        };
        Ok(sql::first(&mut self.conn, asked)?.unwrap_or_default())
    }

    /// Writes what an attempt holds.
    pub(crate) fn keep_reservation(&mut self, task: TaskId, held: Reservation) -> QueryResult<()> {
        let scopes = serde_json::to_string(&held.scopes)
            .map_err(|e| diesel::result::Error::SerializationError(Box::new(e)))?;
        self.write(PutReservation {
            task_id: task,
            fence: held.fence,
            tokens: number(held.amount.tokens),
            micros: number(held.amount.micros),
            told_tokens: number(held.told.tokens),
            told_micros: number(held.told.micros),
            counted_tokens: number(held.counted.tokens),
            counted_micros: number(held.counted.micros),
            scopes: &scopes,
        })?;
        self.ledger.reservations.insert(task, held);
        Ok(())
    }

    fn forget_reservation(&mut self, task: TaskId) -> QueryResult<()> {
        if self.ledger.reservations.remove(&task).is_some() {
            self.write(DeleteReservation { task_id: task })?;
        }
        Ok(())
    }

    /// A person lets a task run again: of its budgets, those that are used up are raised by what they were at first.
    pub(crate) fn raise_budgets(&mut self, task: TaskId) -> QueryResult<()> {
        for scope in self.scopes_of_task(task)? {
            self.alter(&scope, |account| match account.is_exhausted() {
                true => account.raised(),
                false => account,
            })?;
        }
        Ok(())
    }

    /// A task is pruned: only the days remember what it used.
    pub(crate) fn forget_usage(&mut self, id: TaskId) -> QueryResult<()> {
        if self.ledger.used {
            self.write(DeleteUsage { id })?;
        }
        self.forget_reservation(id)?;
        if self.ledger.of_tasks {
            let scope = Scope::Task(id).to_string();
            self.write(DeleteAccount { scope: &scope })?;
        }
        Ok(())
    }

    /// The trees with a budget that a task is in, also one that is pruned.
    pub(crate) fn trees_with(&mut self, task_id: TaskId) -> QueryResult<Vec<TaskId>> {
        sql::all(&mut self.conn, SelectTrees { task_id })
    }

    /// A task of a tree is about to be pruned. The last one takes the tree's budget along, and what is known of the
    /// others, at most so many in one step: answers false where more are left.
    pub(crate) fn leave_tree(
        &mut self,
        task_id: TaskId,
        tree_id: TaskId,
        limit: i64,
    ) -> QueryResult<bool> {
        let lives: Option<i64> = sql::first(&mut self.conn, SelectLives { tree_id, task_id })?;
        if lives == Some(1) {
            self.write(PruneMember { task_id, tree_id })?;
            return Ok(true);
        }
        let same = tree_id;
        let gone = self.write(DeletePruned {
            tree_id,
            same,
            limit,
        })?;
        if gone as i64 >= limit {
            return Ok(false);
        }
        self.write(DeleteMember { task_id, tree_id })?;
        let scope = Scope::Tree(tree_id).to_string();
        self.write(DeleteAccount { scope: &scope })?;
        Ok(true)
    }
}
