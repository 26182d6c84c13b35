//! `reserve`: reserves a share of all budgets of a run, or reports which budget refuses it.

use crate::backend::Result;
use crate::core::{CommandResult, Core};
use crate::ledger::DAY_MS;
use crate::rules::budget::{self, Amount, BudgetAccount, GrantRefused};
use crate::sql::usage::Reservation;
use kirosu_protocol::{
    Budget, BudgetRefusal, ReserveAnswer, ReserveParams, Scope, ScopeLimit, TaskBudget, TaskId,
};

impl Core {
    /// Reserves for the live lease, of all budgets or of none.
    pub(crate) fn reserve(&mut self, request: &ReserveParams) -> CommandResult<ReserveAnswer> {
        self.held("reserve for", request.task_id, request.fence)?;
        let now = self.now();
        let mut accounts = Vec::with_capacity(request.scopes.len() + 1);
        for named in &request.scopes {
            // A scope that is listed twice would be settled twice.
            if accounts.iter().all(|(scope, _)| *scope != named.scope) {
                accounts.push((named.scope.clone(), self.named_account(named)?));
            }
        }
        for scope in self.scopes_of_task(request.task_id)? {
            if let Some(account) = self.ledger.account(&mut *self.db, &scope, now)? {
                accounts.push((scope, account));
            }
        }
        let before = self
            .ledger
            .reservation(request.task_id, request.fence)
            .cloned();
        let own = before
            .as_ref()
            .map_or(Amount::default(), |held| held.amount);
        let granted = budget::grant(&accounts, own, Amount::of(request.used), request.want, now);
        let after = *granted.as_ref().unwrap_or(&own);
        let held = Reservation {
            fence: request.fence,
            amount: after,
            reported: Amount::of(request.used),
            counted: Amount::default(),
            scopes: accounts.iter().map(|(scope, _)| scope.clone()).collect(),
        };
        // A refused run ends or is returned; until then it keeps its reservation.
        if granted.is_ok() || before.is_some() {
            self.hold(request.task_id, before, held, &accounts)?;
        }
        Ok(answer(&accounts, granted, after, Amount::of(request.used)))
    }

    /// Writes a changed reservation. Its scopes may differ from those of the request before.
    fn hold(
        &mut self,
        task: TaskId,
        before: Option<Reservation>,
        after: Reservation,
        accounts: &[(Scope, BudgetAccount)],
    ) -> Result<()> {
        if before.as_ref() == Some(&after) {
            return Ok(());
        }
        let (old, now) = (before.unwrap_or_default(), self.now());
        for scope in old
            .scopes
            .iter()
            .filter(|scope| !after.scopes.contains(scope))
        {
            let returned = |account: BudgetAccount| account.held(old.amount, Amount::default());
            self.ledger.alter(&mut *self.db, scope, now, returned)?;
        }
        for (scope, account) in accounts {
            let had = match old.scopes.contains(scope) {
                true => old.amount,
                false => Amount::default(),
            };
            let account = account.held(had, after.amount);
            self.ledger.put_account(&mut *self.db, scope, &account)?;
        }
        self.ledger.put_reservation(&mut *self.db, task, after)
    }

    /// The account of a budget that the worker names, whose limit or window may be new.
    fn named_account(&mut self, named: &ScopeLimit) -> Result<BudgetAccount> {
        let per = i64::try_from(named.per_seconds)
            .unwrap_or(DAY_MS)
            .saturating_mul(1000);
        let now = self.now();
        let known = self.ledger.account(&mut *self.db, &named.scope, now)?;
        if let Some(account) = known.filter(|account| account.per == per) {
            return Ok(BudgetAccount {
                limit: named.limit,
                ..account
            });
        }
        let mut account = BudgetAccount::new(named.limit, per, now);
        account.reserved = known.map_or(Amount::default(), |known| known.reserved);
        if per == DAY_MS {
            account.used = self.ledger.used_today(&mut *self.db, &named.scope, now)?;
        }
        Ok(account)
    }

    /// Writes the budgets of a new task.
    pub(crate) fn open_budgets(&mut self, task: TaskId, new: &TaskBudget) -> Result<()> {
        let tree = new.tree.filter(|tree| !tree.is_empty());
        let own = Some(new.own).filter(|own| !own.is_empty());
        let scopes = [(Scope::Task(task), own), (Scope::Tree(task), tree)];
        for (scope, limit) in scopes {
            if let Some(limit) = limit {
                let account = BudgetAccount {
                    raise: limit,
                    ..BudgetAccount::new(limit, 0, self.now())
                };
                self.ledger.put_account(&mut *self.db, &scope, &account)?;
            }
        }
        Ok(())
    }

    /// Adds a new task to the trees with a budget that contain its parent, which may be pruned, and to its own. Returns
    /// them.
    pub(crate) fn trees_of(
        &mut self,
        task: TaskId,
        parent: Option<TaskId>,
        budget: Option<&TaskBudget>,
    ) -> Result<Vec<TaskId>> {
        let mut trees = match parent {
            Some(parent) => self.ledger.trees_of(&mut *self.db, parent)?,
            None => Vec::new(),
        };
        let tree = budget.and_then(|budget| budget.tree);
        if tree.is_some_and(|tree| !tree.is_empty()) {
            trees.push(task);
        }
        for tree in trees.iter().copied() {
            self.ledger.join_tree(&mut *self.db, task, tree)?;
        }
        Ok(trees)
    }
}

/// The answer to the worker.
fn answer(
    accounts: &[(Scope, BudgetAccount)],
    granted: Result<Amount, GrantRefused>,
    held: Amount,
    spent: Amount,
) -> ReserveAnswer {
    let limits = |limit: fn(&Budget) -> Option<u64>| {
        accounts
            .iter()
            .any(|(_, account)| limit(&account.limit).is_some())
    };
    ReserveAnswer {
        granted: granted.is_ok(),
        grant: Budget {
            tokens: limits(|limit| limit.tokens).then_some(held.tokens),
            micros: limits(|limit| limit.micros).then_some(held.micros),
        },
        refused: granted.err().map(|refused| {
            let (scope, account) = &accounts[refused.index];
            BudgetRefusal {
                message: sentence(scope, &account.with_spent(spent), &refused),
                scope: scope.clone(),
                exhausted: refused.exhausted,
                retry_at: refused.retry_at.map(|ms| ms as f64 / 1000.0),
            }
        }),
    }
}

fn sentence(scope: &Scope, account: &BudgetAccount, refused: &GrantRefused) -> String {
    let whose = match scope {
        Scope::Hub => "the budget of the hub".to_owned(),
        Scope::Pool(name) => format!("the budget of pool '{name}'"),
        Scope::Provider(name) => format!("the budget of provider '{name}'"),
        Scope::Task(id) => format!("the budget of task {id}"),
        Scope::Tree(id) => format!("the budget of task {id} and its descendants"),
    };
    let tokens = account
        .limit
        .tokens
        .map(|limit| format!("{} of {limit} tokens", account.used.tokens));
    let money = account.limit.micros.map(|limit| {
        format!(
            "{:.2} of {:.2} dollars",
            account.used.micros as f64 / 1e6,
            limit as f64 / 1e6
        )
    });
    let figures: Vec<String> = tokens.into_iter().chain(money).collect();
    let figures = figures.join(", ");
    match (refused.exhausted, account.until()) {
        (false, _) => {
            format!("the rest of {whose} is reserved by running attempts ({figures} used)")
        }
        (true, Some(_)) => {
            format!("{whose} is used up ({figures}); it is filled again when its window ends")
        }
        (true, None) => {
            format!("{whose} is used up ({figures}); approve the task to allow as much again")
        }
    }
}
