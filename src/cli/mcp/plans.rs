//! The plans in `.kirosu/plans` as prompts of MCP. They are read anew for each request.

use crate::cli::launch::PreparedRun;
use crate::cli::plan::file::{FOLDER, PlanFile, names};
use kirosu_gateway::mcp::{PlansFuture, SavedInput, SavedPlan, SavedPlans};
use kirosu_plan::Plan;
use kirosu_protocol::text::{one_line, shorten};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// The project: the current folder.
const HERE: &str = ".";
/// Characters of a description.
const TEXT: usize = 300;

/// The plans of the current folder.
pub struct PlansHere;

impl SavedPlans for PlansHere {
    fn list(&self) -> PlansFuture<'_, Vec<SavedPlan>> {
        Box::pin(async {
            let mut plans = Vec::new();
            for name in names(Path::new(HERE)) {
                let plan = match PlanFile::open(Path::new(&name), None).await {
                    Ok(file) => file.compiled(),
                    Err(why) => Err(why),
                };
                plans.push(match plan {
                    Ok(plan) => saved(name, &plan),
                    // Listed with its fault, so that its author finds it.
                    Err(why) => SavedPlan {
                        name,
                        description: shorten(&one_line(&format!("cannot be used: {why}")), TEXT),
                        inputs: Vec::new(),
                    },
                });
            }
            plans
        })
    }

    fn arguments<'a>(
        &'a self,
        name: &'a str,
        inputs: BTreeMap<String, String>,
    ) -> PlansFuture<'a, Result<Map<String, Value>, String>> {
        Box::pin(async move {
            // Only names of plans: a client reads no other files.
            if !names(Path::new(HERE)).iter().any(|it| it == name) {
                return Err(format!("there is no plan {name:?} in {FOLDER}"));
            }
            let given: Vec<(String, String)> = inputs.into_iter().collect();
            let run = PreparedRun::read(Path::new(name), &given).await;
            run.and_then(|run| run.arguments())
                .map_err(|why| why.to_string())
        })
    }
}

fn saved(name: String, plan: &Plan) -> SavedPlan {
    let about = plan.description.as_deref().or(plan.name.as_deref());
    let about = about.map_or_else(|| format!("runs the plan {name}"), one_line);
    let inputs = plan.inputs.iter().map(|(name, input)| SavedInput {
        name: name.clone(),
        description: input.description.as_deref().map(one_line),
        required: input.required,
    });
    SavedPlan {
        description: shorten(&about, TEXT),
        inputs: inputs.collect(),
        name,
    }
}
