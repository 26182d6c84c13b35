//! The names that templates and expressions of a step know, with their values. Only what a text names is read.

use super::live_run::{LiveRun, RunSnapshot};
use super::results::{Results, as_json, place_of_file};
use kirosu_plan::advance::{ResultRef, StepScope, find, outlook};
use kirosu_plan::{
    LoopWork, RenderLimits, Step, Work, evaluate, names, no_earlier_pass, result_file,
};
use kirosu_protocol::StepState;
use kirosu_protocol::run::ResultFile;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The attributes of one step that a text names; empty: all.
type Attributes = BTreeMap<String, Vec<String>>;

/// The parts of a run from which values are read.
pub(super) struct StepValues<'a> {
    pub live: &'a LiveRun,
    pub snapshot: &'a RunSnapshot,
    pub results: Results<'a>,
    /// The files of results that the texts of the present task have named.
    pub files: BTreeSet<ResultFile>,
}

impl StepValues<'_> {
    /// The values for some texts of a step, each an expression or a template. `extra` has the names of its kind: `item`, `results`.
    pub fn context(
        &mut self,
        scope: &StepScope<'_>,
        texts: &[(&str, bool)],
        extra: Map<String, Value>,
    ) -> Result<Value, String> {
        let mut context = extra;
        let mut wanted: BTreeMap<String, Attributes> = BTreeMap::new();
        for (text, is_expression) in texts {
            for (root, path) in names(text, *is_expression) {
                let of_root = wanted.entry(root).or_default();
                let mut path = path.into_iter();
                let Some(first) = path.next() else {
                    continue;
                };
                of_root.entry(first).or_default().extend(path.next());
            }
        }
        for (root, attributes) in wanted {
            let value = match root.as_str() {
                "inputs" => Value::Object(self.live.inputs.clone()),
                "run" => self.run(),
                "steps" => self.steps(scope, &attributes)?,
                "prev" => self.earlier_pass(scope, &attributes, false)?,
                "best" => self.earlier_pass(scope, &attributes, true)?,
                _ => continue,
            };
            context.insert(root, value);
        }
        Ok(Value::Object(context))
    }

    fn run(&self) -> Value {
        let rows = self.snapshot.rows.values();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for row in rows {
            *counts.entry(row.state.as_str()).or_default() += 1;
        }
        // Steps with `always` want to know how the work ended, before the run has ended itself.
        let plan = self.live.plan.as_ref().ok();
        let state = plan.map(|plan| outlook(plan, &self.snapshot.rows));
        let state = state.unwrap_or(self.snapshot.run.state).as_str();
        json!({
            "id": self.live.id,
            "plan": self.live.hash,
            "name": self.live.name(),
            "state": state,
            "reason": self.snapshot.run.reason,
            "counts": counts,
        })
    }

    fn steps(&mut self, scope: &StepScope<'_>, wanted: &Attributes) -> Result<Value, String> {
        let mut steps = Map::new();
        for (id, attributes) in wanted {
            if let Some(path) = scope.resolve(id) {
                steps.insert(id.clone(), self.step(&path, attributes)?);
            }
        }
        Ok(Value::Object(steps))
    }

    /// The steps of the pass before that of a scope, or of the best of the passes before.
    fn earlier_pass(
        &mut self,
        scope: &StepScope<'_>,
        wanted: &Attributes,
        best: bool,
    ) -> Result<Value, String> {
        let mut at = Some(scope);
        while let Some(scope) = at {
            if let (Some(owner), Some(pass), Some(outer)) = (scope.owner, scope.pass, &scope.outer)
            {
                if pass <= 1 {
                    return Ok(no_earlier_pass(scope.steps));
                }
                let earlier = match (&owner.work, best) {
                    (Work::Loop(work), true) => self.best_pass(outer, (owner, work), pass - 1)?,
                    _ => pass - 1,
                };
                let earlier = outer.inner(owner, Some(earlier));
                return self.steps(&earlier, wanted);
            }
            at = scope.outer.as_deref();
        }
        Ok(Value::Null)
    }

    /// The pass of a loop with the greatest score among the first ones.
    fn best_pass(
        &mut self,
        outer: &StepScope<'_>,
        (owner, work): (&Step, &LoopWork),
        passes: u64,
    ) -> Result<u64, String> {
        let Some(score) = &work.score else {
            return Ok(passes);
        };
        let mut best = (f64::NEG_INFINITY, passes);
        for pass in 1..=passes {
            let value = self.number(&outer.inner(owner, Some(pass)), score)?;
            if value >= best.0 {
                best = (value, pass);
            }
        }
        Ok(best.1)
    }

    /// The value of an expression in a scope.
    pub fn evaluated(&mut self, scope: &StepScope<'_>, expression: &str) -> Result<Value, String> {
        let context = self.context(scope, &[(expression, true)], Map::new())?;
        evaluate(expression, &context, &RenderLimits::default()).map_err(|why| why.to_string())
    }

    /// The value of an expression that is a number.
    pub fn number(&mut self, scope: &StepScope<'_>, expression: &str) -> Result<f64, String> {
        let value = self.evaluated(scope, expression)?;
        let number = value.as_f64();
        number.ok_or_else(|| format!("it is not a number but {}", kind_of(&value)))
    }

    fn step(&mut self, path: &str, attributes: &[String]) -> Result<Value, String> {
        let wants = |name: &str| attributes.is_empty() || attributes.iter().any(|it| it == name);
        let Some(row) = self.snapshot.rows.get(path) else {
            return Ok(json!({"state": "pending"}));
        };
        let mut value = Map::new();
        value.insert("state".into(), row.state.as_str().into());
        value.insert("reason".into(), json!(row.reason));
        value.insert(
            "error".into(),
            json!(
                row.reason
                    .as_ref()
                    .filter(|_| row.state == StepState::Failed)
            ),
        );
        // Only steps with items can be empty, and a join if what it joins is.
        let is_empty = match &row.result {
            Some(ResultRef::Step(_)) => false,
            Some(ResultRef::Joined { of, .. }) => {
                let of = self.snapshot.rows.get(of);
                of.is_none_or(|of| of.done == 0)
            }
            _ => row.done == 0,
        };
        value.insert("empty".into(), json!(is_empty));
        value.insert(
            "counts".into(),
            json!({"total": row.total, "done": row.done, "failed": row.failed, "cancelled": row.cancelled}),
        );
        if wants("result") || wants("json") {
            let text = self.results.text(self.snapshot, path)?;
            if wants("json") {
                let json = match &row.result {
                    Some(ResultRef::Items) => lines(text.as_deref()),
                    _ => as_json(text.as_deref().unwrap_or("")),
                };
                value.insert("json".into(), json);
            }
            value.insert("result".into(), json!(text));
        }
        // Only a text that names it has the file written.
        if attributes.iter().any(|it| it == "file") {
            value.insert("file".into(), json!(self.file(path)?));
        }
        if (wants("approved") || wants("by"))
            && let Some(step) = self.snapshot.steps.get(path)
            && step.kind == "approve"
        {
            let (approved, by, _) = self.results.decided(step)?;
            value.insert("approved".into(), approved.into());
            value.insert("by".into(), json!(by));
        }
        Ok(Value::Object(value))
    }
}

impl StepValues<'_> {
    /// The path of the file with the result of a step, which the session of the task will write; `None` if it has no result.
    fn file(&mut self, path: &str) -> Result<Option<String>, String> {
        let Ok(plan) = &self.live.plan else {
            return Ok(None);
        };
        let steps = &self.snapshot.steps;
        let (Some(place), Some(found)) = (place_of_file(steps, path)?, find(plan, path)) else {
            return Ok(None);
        };
        let file = ResultFile {
            step: path.to_owned(),
            path: result_file(self.live.id, self.snapshot.run.started_ms, path, found.step),
            version: place.version(steps.get(path)),
        };
        self.files.insert(file.clone());
        Ok(Some(file.path))
    }
}

/// The kind of a value, for messages.
pub(super) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// JSON lines as a list.
fn lines(text: Option<&str>) -> Value {
    let lines = text.unwrap_or("").lines();
    Value::Array(lines.map(as_json).collect())
}
