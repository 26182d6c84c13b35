//! The work of a step before the run: its items, its tasks and the size of their prompts, as far as they are known.

use super::history::StepUsage;
use crate::cli::{Failure, text};
use kirosu_plan::advance::StepScope;
use kirosu_plan::{Batch, MapWork, PlanUse, RenderLimits, Step, Work, names, render, result_file};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Prompts per step that are shown.
const SHOWN: usize = 3;
/// Prompts per step that are rendered; the mean of these counts for the others.
const RENDERED: u64 = 1000;
/// Characters per token: a rule of thumb for English and for code.
const TOKEN_CHARS: f64 = 4.0;

/// A rendered prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShownPrompt {
    /// The key of the item or of the first item, if the map has a template for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The prompt.
    pub prompt: String,
}

/// The work of a step.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StepEstimate {
    /// The id; of a step of a run below with the steps that lead to it, as `sub/read`.
    pub step: String,
    /// The kind.
    pub kind: &'static str,
    /// Items of a map, results of a reduce.
    pub items: Option<u64>,
    /// Tasks. `None` means that the number depends on other steps.
    pub tasks: Option<u64>,
    /// Tokens of all prompts, about. `None` means that the prompts depend on other steps.
    pub prompt_tokens: Option<u64>,
    /// The usage of one task in earlier runs of the plan.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<StepUsage>,
    /// The first prompts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prompts: Vec<ShownPrompt>,
    /// The most passes of the loops around it; its figures are those of one pass.
    pub passes: Option<u64>,
    /// Whether it is a step of a run below.
    #[serde(skip)]
    pub is_below: bool,
}

/// Collects the items of a step.
pub struct Collecting<'a> {
    step: &'a Step,
    place: &'a PlanUse,
    /// `inputs`, `run` and the files of `steps` for templates.
    context: &'a Value,
    estimate: StepEstimate,
    keys: HashSet<String>,
    batch: Vec<Value>,
    /// The position of the first item of the batch.
    batch_first: u64,
    batch_key: Option<String>,
    batch_bytes: u64,
    rendered: u64,
    chars: u64,
    /// Whether the prompt names something that exists only later.
    is_later: bool,
}

impl<'a> Collecting<'a> {
    /// A step without items.
    pub fn new(step: &'a Step, place: &'a PlanUse, context: &'a Value) -> Collecting<'a> {
        Collecting {
            step,
            place,
            context,
            estimate: StepEstimate {
                step: place.key(&step.id),
                kind: step.work.name(),
                is_below: place.is_below(),
                ..StepEstimate::default()
            },
            keys: HashSet::new(),
            batch: Vec::new(),
            batch_first: 0,
            batch_key: None,
            batch_bytes: 0,
            rendered: 0,
            chars: 0,
            is_later: false,
        }
    }

    /// The number of items so far.
    pub fn items(&self) -> u64 {
        self.estimate.items.unwrap_or(0)
    }

    /// Adds an item of the map.
    ///
    /// # Errors
    /// Its key or prompt cannot be rendered, or an item before it has the same key.
    pub fn item(&mut self, map: &MapWork, item: Value) -> Result<(), Failure> {
        let index = self.items();
        self.estimate.items = Some(index + 1);
        let key = match &map.key {
            Some(template) => self.key(template, &item, index)?,
            None => None,
        };
        let is_full = match map.batch {
            Batch::Items(most) => self.batch.len() as u64 >= most,
            Batch::Size { bytes } => {
                let size = item.to_string().len() as u64;
                let is_full = !self.batch.is_empty() && self.batch_bytes + size > bytes;
                self.batch_bytes = if is_full {
                    size
                } else {
                    self.batch_bytes + size
                };
                is_full
            }
        };
        if is_full {
            self.task(Some(map))?;
        }
        if self.batch.is_empty() {
            (self.batch_first, self.batch_key) = (index, key);
        }
        self.batch.push(item);
        Ok(())
    }

    /// Ends the step: the rest of its items, or the one task of a step without items.
    ///
    /// # Errors
    /// A prompt cannot be rendered.
    pub fn end(mut self) -> Result<StepEstimate, Failure> {
        match &self.step.work {
            Work::Map(map) if !self.batch.is_empty() => self.task(Some(map))?,
            Work::Task => self.task(None)?,
            Work::Vote(vote) => {
                self.task(None)?;
                let prompts = vote.n;
                self.estimate.tasks = Some(prompts);
                self.chars *= prompts;
                self.rendered = self.rendered.max(1);
                return Ok(self.totals(1));
            }
            _ => {}
        }
        let tasks = self.estimate.tasks.unwrap_or(0);
        Ok(self.totals(tasks))
    }

    /// Fills in the tokens of `tasks` prompts.
    fn totals(mut self, tasks: u64) -> StepEstimate {
        if !self.is_later && self.rendered > 0 {
            let mean = self.chars as f64 / self.rendered as f64;
            self.estimate.prompt_tokens = Some((mean * tasks as f64 / TOKEN_CHARS).ceil() as u64);
        }
        self.estimate
    }

    fn key(&mut self, template: &str, item: &Value, index: u64) -> Result<Option<String>, Failure> {
        let mut context = self.context.clone();
        context["item"] = item.clone();
        let Some(key) = self.rendered(template, &context, index, "key")? else {
            return Ok(None);
        };
        match self.keys.insert(key.clone()) {
            true => Ok(Some(key)),
            false => Err(Failure::Local(format!(
                "two items of the step {} have the key {}; a key is unique",
                self.estimate.step,
                text::one_line(&key)
            ))),
        }
    }

    /// Makes a task of the batch, or of a step without items.
    fn task(&mut self, map: Option<&MapWork>) -> Result<(), Failure> {
        let first = self.batch_first;
        let mut batch = std::mem::take(&mut self.batch);
        self.estimate.tasks = Some(self.estimate.tasks.unwrap_or(0) + 1);
        if self.is_later || self.rendered >= RENDERED {
            return Ok(());
        }
        let mut context = self.context.clone();
        match map {
            Some(map) if map.batch.is_list() => context["items"] = Value::Array(batch),
            Some(_) => context["item"] = batch.pop().unwrap_or_default(),
            None => {}
        }
        let mut chars = 0;
        for (template, what) in [(&self.step.prompt, "prompt"), (&self.step.system, "system")] {
            let Some(template) = template else {
                continue;
            };
            let Some(text) = self.rendered(template, &context, first, what)? else {
                return Ok(());
            };
            chars += text.chars().count() as u64;
            if what == "prompt" && self.estimate.prompts.len() < SHOWN {
                self.estimate.prompts.push(ShownPrompt {
                    key: self.batch_key.take(),
                    prompt: text,
                });
            }
        }
        self.chars += chars;
        self.rendered += 1;
        Ok(())
    }

    /// A rendered template; `None` if it names something that exists only later.
    fn rendered(
        &mut self,
        template: &str,
        context: &Value,
        index: u64,
        what: &str,
    ) -> Result<Option<String>, Failure> {
        let mut context = context.clone();
        if !names_files_only(template) {
            // Nothing else of a step is known.
            context.as_object_mut().map(|it| it.remove("steps"));
        }
        match render(template, &context, &RenderLimits::default()) {
            Ok(text) => Ok(Some(text)),
            Err(_) if self.place.is_later(template, false) => {
                self.is_later = true;
                self.estimate.prompts.clear();
                Ok(None)
            }
            Err(why) => {
                let item = match self.estimate.items {
                    Some(_) => format!(", item {}", index + 1),
                    None => String::new(),
                };
                let has = match context.get("item").and_then(Value::as_object) {
                    Some(fields) => {
                        let names: Vec<&str> = fields.keys().map(String::as_str).collect();
                        format!("; the item has {}", names.join(", "))
                    }
                    None => String::new(),
                };
                Err(Failure::Local(format!(
                    "cannot render the {what} of the step {}{item}: {why}{has}",
                    self.estimate.step
                )))
            }
        }
    }
}

/// Whether a template names no more of other steps than the paths of files with their results.
fn names_files_only(template: &str) -> bool {
    let mut names = names(template, false).into_iter();
    names.all(|(root, path)| root != "steps" || path.get(1).is_some_and(|name| name == "file"))
}

/// The tasks of a reduce of `results` results.
pub fn reduce_tasks(results: u64, arity: u64) -> u64 {
    let (mut left, mut tasks) = (results, 0);
    while left > 1 || (tasks == 0 && left == 1) {
        left = left.div_ceil(arity.max(2));
        tasks += left;
    }
    tasks
}

/// The context of templates before the run.
pub fn context(place: &PlanUse) -> Value {
    let (name, hash) = (&place.plan.name, place.plan.hash());
    let run = json!({"id": 0, "name": name, "plan": hash, "state": "open"});
    let mut files = serde_json::Map::new();
    collect_files(&StepScope::of_plan(&place.plan), &mut files);
    json!({"inputs": place.inputs, "run": run, "steps": files})
}

/// The files of results, in the first pass of loops.
fn collect_files(scope: &StepScope<'_>, files: &mut serde_json::Map<String, Value>) {
    for step in scope.steps {
        let path = result_file(0, 0, &scope.path(&step.id), step);
        files.insert(step.id.clone(), json!({ "file": path }));
        let pass = matches!(step.work, Work::Loop(_)).then_some(1);
        collect_files(&scope.inner(step, pass), files);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kirosu_plan::{Over, PlanFormat, compile};

    fn estimate(step: &str) -> Result<StepEstimate, String> {
        let plan = compile(&format!("pipeline:\n- {step}\n"), PlanFormat::Yaml).unwrap();
        let place = PlanUse::top(plan.into(), serde_json::Map::new());
        let context = context(&place);
        let step = place.plan.pipeline.last().unwrap();
        let mut collecting = Collecting::new(step, &place, &context);
        if let Work::Map(map) = &step.work
            && let Over::List(items) = &map.over
        {
            for item in items {
                let added = collecting.item(map, item.clone());
                added.map_err(|why| why.to_string())?;
            }
        }
        collecting.end().map_err(|why| why.to_string())
    }

    #[test]
    fn a_map_has_a_task_per_item_or_per_batch() {
        let one = estimate("{ id: a, map: { over: [1, 22, 3, 4, 5] }, prompt: \"{{ item }}!!!\" }");
        let one = one.unwrap();
        assert_eq!(
            (one.items, one.tasks, one.prompt_tokens),
            (Some(5), Some(5), Some(6))
        );
        assert_eq!(one.prompts.len(), 3);
        assert_eq!(one.prompts[1].prompt, "22!!!");
        let two = "{ id: a, map: { over: [1, 2, 3], batch: 2, key: \"k{{ item }}\" }, prompt: \"{{ items | join }}\" }";
        let two = estimate(two).unwrap();
        assert_eq!((two.items, two.tasks), (Some(3), Some(2)));
        let shown = |key: &str, prompt: &str| ShownPrompt {
            key: Some(key.into()),
            prompt: prompt.into(),
        };
        assert_eq!(two.prompts, [shown("k1", "12"), shown("k3", "3")]);
        let size = "{ id: a, map: { over: [aaaa, b, c], batch: { bytes: 7 } }, prompt: \"{{ items | join }}\" }";
        assert_eq!(estimate(size).unwrap().tasks, Some(2));
    }

    #[test]
    fn a_missing_field_is_an_error_and_a_later_value_is_not() {
        let step =
            "{ id: a, map: { over: [{x: 1}, {y: 1}, {x: 1}] }, prompt: \"steps: {{ item.x }}\" }";
        let why = estimate(step).unwrap_err();
        assert!(
            why.starts_with("cannot render the prompt of the step a, item 2: "),
            "{why}"
        );
        assert!(why.ends_with("; the item has y"), "{why}");
        let later = estimate("{ id: a, prompt: \"{{ run.counts.x }}\" }").unwrap();
        assert_eq!((later.tasks, later.prompt_tokens), (Some(1), None));
        let of_step = |prompt: &str| {
            let steps =
                "{ id: a, map: { over: [1] }, prompt: x }\n- { id: b, depends_on: [a], prompt:";
            estimate(&format!("{steps} \"{prompt}\" }}")).unwrap()
        };
        let file = of_step("count {{ steps.a.file }}");
        assert_eq!(
            file.prompts[0].prompt,
            "count .kirosu/results/run-0-0/a.jsonl"
        );
        let both = of_step("{{ steps.a.file }} {{ steps.a.result | default('x') }}");
        assert_eq!((both.prompts.len(), both.prompt_tokens), (0, None));
        let prose = estimate("{ id: a, prompt: follow the steps }").unwrap();
        assert_eq!(prose.prompt_tokens, Some(4));
        let twice = estimate("{ id: a, map: { over: [1, 1], key: \"{{ item }}\" }, prompt: x }");
        assert!(twice.unwrap_err().contains("have the key 1"));
    }

    #[test]
    fn a_vote_has_n_prompts_and_a_reduce_levels() {
        let vote = estimate("{ id: a, vote: { n: 3 }, prompt: abcdefgh }").unwrap();
        assert_eq!((vote.tasks, vote.prompt_tokens), (Some(3), Some(6)));
        for (results, arity, tasks) in
            [(0, 50, 0), (1, 50, 1), (50, 50, 1), (60, 50, 3), (9, 2, 11)]
        {
            assert_eq!(reduce_tasks(results, arity), tasks, "{results} {arity}");
        }
    }
}
