//! Saved plans as prompts: a person picks one, and the model starts a run of it.

use super::tools::McpTools;
use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResult, JsonObject, ListPromptsResult, Prompt, PromptArgument,
    PromptMessage, Role,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

/// A future of a [`SavedPlans`].
pub type PlansFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A plan that a client gets as a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPlan {
    /// Its name.
    pub name: String,
    /// Its purpose, or the reason why it cannot be used.
    pub description: String,
    /// Its inputs.
    pub inputs: Vec<SavedInput>,
}

/// An input of a saved plan.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedInput {
    /// Its name.
    pub name: String,
    /// Its meaning.
    pub description: Option<String>,
    /// Whether it has no default.
    pub required: bool,
}

/// The saved plans of the program that serves MCP.
pub trait SavedPlans: Send + Sync {
    /// The plans now, by name.
    fn list(&self) -> PlansFuture<'_, Vec<SavedPlan>>;

    /// The arguments of `run_plan` for a plan with these inputs, as texts.
    ///
    /// # Errors
    /// There is no such plan, it cannot run here, or the inputs do not fit it: a sentence.
    fn arguments<'a>(
        &'a self,
        name: &'a str,
        inputs: BTreeMap<String, String>,
    ) -> PlansFuture<'a, Result<JsonObject, String>>;
}

impl McpTools {
    /// `prompts/list`.
    pub(super) async fn prompts(&self) -> ListPromptsResult {
        let plans = match &self.plans {
            Some(plans) => plans.list().await,
            None => Vec::new(),
        };
        ListPromptsResult::with_all_items(plans.into_iter().map(prompt).collect())
    }

    /// `prompts/get`.
    ///
    /// # Errors
    /// As [`SavedPlans::arguments`].
    pub(super) async fn prompt(
        &self,
        request: GetPromptRequestParams,
    ) -> Result<GetPromptResult, ErrorData> {
        let invalid = |text: String| ErrorData::invalid_params(text, None);
        let Some(plans) = &self.plans else {
            return Err(invalid("there are no saved plans here".to_owned()));
        };
        let given = request.arguments.unwrap_or_default().into_iter();
        // MCP has texts only; some clients send other values.
        let inputs = given.map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        });
        let name = request.name;
        let arguments = plans.arguments(&name, inputs.collect()).await;
        let arguments = Value::Object(arguments.map_err(invalid)?);
        let text = format!(
            "Start a run of the saved plan {name}: call the tool run_plan with exactly these arguments.\n\n{arguments:#}\n\n\
             Then wait for its end with wait_for_task, and report its result. If items failed, list_run_items shows why."
        );
        let message = PromptMessage::new_text(Role::User, text);
        Ok(GetPromptResult::new(vec![message]).with_description(format!("Runs the plan {name}")))
    }
}

fn prompt(plan: SavedPlan) -> Prompt {
    let arguments = plan.inputs.into_iter().map(|input| {
        let argument = PromptArgument::new(input.name).with_required(input.required);
        match input.description {
            Some(about) => argument.with_description(about),
            None => argument,
        }
    });
    Prompt::new(plan.name, Some(plan.description), Some(arguments.collect()))
}
