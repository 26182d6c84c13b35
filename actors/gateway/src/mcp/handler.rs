//! The server of MCP: passes each request to the part that answers it.

use super::as_tasks;
use super::resources;
use super::rights::Introduced;
use super::subscriptions;
use super::tools::McpTools;
use rmcp::handler::server::tool::ToolCallContext;
use rmcp::model::*;
use rmcp::service::{RequestContext, SubscriptionContext};
use rmcp::{ErrorData, RoleServer, ServerHandler};

const INSTRUCTIONS: &str = "Kirosu runs tasks by a swarm of AI agents, from a durable queue. Enqueue a piece of work \
with enqueue_task, or several with enqueue_tasks; wait_for_task and wait_for_tasks wait for their end and return the results. A \
task does not see this conversation, so its prompt must be complete. Several tasks run at the same time: enqueue all, then wait. \
For one prompt over many items use map_items; for steps that depend on each other start one run with run_plan.";

impl ServerHandler for McpTools {
    fn get_info(&self) -> ServerConfig {
        let us = Implementation::new("kirosu", env!("CARGO_PKG_VERSION")).with_title("Kirosu");
        let builder = ServerCapabilities::builder()
            .enable_tools()
            .enable_resources()
            .enable_resources_subscribe()
            .enable_tasks();
        let mut capabilities = builder.build();
        capabilities.prompts = self.plans.as_ref().map(|_| PromptsCapability::default());
        ServerConfig::new(capabilities)
            .with_server_info(us)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let client = Introduced::of(&self.hub).await;
        let mut tools = self.router.list_all();
        tools.retain(|tool| client.is_offered(&tool.name));
        Ok(ListToolsResult::with_all_items(tools))
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.router.get(name).cloned()
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if as_tasks::is_one(&request, &context) {
            return self.call_as_task(request, context).await;
        }
        let call = ToolCallContext::new(self, request, context);
        self.router.call(call).await
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let task = self.detailed(&request.task_id).await?;
        Ok(GetTaskResult::new(task))
    }

    /// No task asks for input, so all that a client sends is ignored, as the extension says.
    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.detailed(&request.task_id).await.map(drop)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.cancel(&request.task_id, &context).await
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.resources(request).await
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        Ok(resources::templates())
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        Ok(self.read(&request.uri).await?.into())
    }

    /// For the revisions with sessions; the newest one has `listen`.
    async fn subscribe(
        &self,
        request: SubscribeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.follow(request.uri, context.peer).await
    }

    /// For the revisions with sessions; the newest one has `listen`.
    async fn unsubscribe(
        &self,
        request: UnsubscribeRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        self.unfollow(&request.uri);
        Ok(())
    }

    fn accepted_subscription_filter(
        &self,
        requested: &SubscriptionFilter,
    ) -> Option<SubscriptionFilter> {
        Some(subscriptions::accepted(requested))
    }

    async fn listen(&self, context: SubscriptionContext) -> Result<(), ErrorData> {
        self.listen_to(context).await
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        Ok(self.prompts().await)
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        Ok(self.prompt(request).await?.into())
    }
}
