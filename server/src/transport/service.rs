//! MCP requests, handed to the tools.

use crate::resources;
use crate::session::Session;
use crate::telemetry::{self, TraceContext};
use crate::tools::{self, Answered, Caller, Progress, Tool};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CancelTaskParams, CreateTaskResult,
    CustomRequest, CustomResult, ErrorCode, GetTaskParams, GetTaskResult, Implementation,
    ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, MetaObject,
    PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams, ReadResourceResponse,
    ServerCapabilities, ServerConfig, Tool as Definition, UpdateTaskParams,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde::de::DeserializeOwned;
use std::sync::Arc;
use tracing::Instrument;

/// How long clients may keep the list of tools: it does not change while a server lives.
const LIST_TTL_MS: u64 = 300_000;

/// The handler of one connection; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Service {
    session: Arc<Session>,
}

impl Service {
    /// A handler for `session`.
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session }
    }

    /// Who sent this request.
    fn caller(&self, context: &RequestContext<RoleServer>) -> Caller {
        let client = context.client_info();
        let progress = context.meta.get_progress_token();
        // A task is an answer of the stateless protocol only.
        let declared = context.client_capabilities().is_some_and(|all| all.supports_tasks());
        Caller {
            principal: self.session.principal.clone(),
            client: client.as_ref().map(|client| client.name.clone()),
            version: client.map(|client| client.version),
            progress: progress.map(|token| Progress::new(context.peer.clone(), token)),
            tasks: declared && is_modern(context),
        }
    }
}

/// Who this server is.
fn implementation() -> Implementation {
    Implementation::new("nono-mcp", env!("CARGO_PKG_VERSION"))
        .with_title("nono-mcp: sandboxed shell and exec")
}

/// Whether the request follows the 2026-07-28 protocol or a newer one. Versions are dates.
fn is_modern(context: &RequestContext<RoleServer>) -> bool {
    let first = ProtocolVersion::V_2026_07_28;
    context.protocol_version().is_some_and(|v| v.as_str() >= first.as_str())
}

/// The client's trace, if the request is part of one.
fn trace_context(context: &RequestContext<RoleServer>) -> TraceContext {
    let parts = context.extensions.get::<axum::http::request::Parts>();
    TraceContext::of(
        |key| context.meta.0.get(key)?.as_str(),
        |key| parts?.headers.get(key)?.to_str().ok(),
    )
}

/// What results of the stateless protocol carry: without a handshake, each result says who sent it.
fn server_meta() -> MetaObject {
    let mut meta = MetaObject::new();
    let server = serde_json::json!({
        "name": implementation().name,
        "version": implementation().version,
    });
    meta.0.insert("io.modelcontextprotocol/serverInfo".to_owned(), server);
    meta
}

/// Why rmcp took a request for one of no method it knows: so it does with parameters that do not
/// fit their method. `initialize` is left out: the stateless protocol has no such method.
fn misread(request: &CustomRequest) -> ErrorData {
    fn read_as<T: DeserializeOwned>(request: &CustomRequest) -> Option<String> {
        match request.params_as::<T>() {
            Ok(Some(_)) => None,
            Ok(None) => Some("they are missing".to_owned()),
            Err(error) => Some(error.to_string()),
        }
    }
    let method = request.method.as_str();
    let wrong = match method {
        "tools/call" => read_as::<CallToolRequestParams>(request),
        "resources/read" => read_as::<ReadResourceRequestParams>(request),
        "tools/list" | "resources/list" | "resources/templates/list" => {
            read_as::<PaginatedRequestParams>(request)
        }
        "tasks/get" => read_as::<GetTaskParams>(request),
        "tasks/update" => read_as::<UpdateTaskParams>(request),
        "tasks/cancel" => read_as::<CancelTaskParams>(request),
        _ => None,
    };
    match wrong {
        Some(wrong) => {
            ErrorData::invalid_params(format!("parameters of `{method}`: {wrong}"), None)
        }
        None => {
            let message = format!("this server has no method `{method}`");
            ErrorData::new(ErrorCode::METHOD_NOT_FOUND, message, None)
        }
    }
}

impl ServerHandler for Service {
    fn get_info(&self) -> ServerConfig {
        let capabilities =
            ServerCapabilities::builder().enable_tools().enable_resources().enable_tasks().build();
        ServerConfig::new(capabilities)
            .with_server_info(implementation())
            .with_instructions(tools::instructions(&self.session.ground))
    }

    fn get_tool(&self, name: &str) -> Option<Definition> {
        Tool::named(name).map(|tool| tools::definition(&self.session.ground, tool))
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let all = ListToolsResult::with_all_items(tools::definitions(&self.session.ground));
        if !is_modern(&context) {
            return Ok(all);
        }
        // Descriptions name folders of this machine.
        let mut all = all.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Private);
        all.meta = Some(server_meta());
        Ok(all)
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        // Runs are found by `run_list`, and their addresses made from the template.
        let none = ListResourcesResult::with_all_items(Vec::new());
        if !is_modern(&context) {
            return Ok(none);
        }
        let mut none = none.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public);
        none.meta = Some(server_meta());
        Ok(none)
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let all = ListResourceTemplatesResult::with_all_items(vec![resources::template()]);
        if !is_modern(&context) {
            return Ok(all);
        }
        let mut all = all.with_ttl_ms(LIST_TTL_MS).with_cache_scope(CacheScope::Public);
        all.meta = Some(server_meta());
        Ok(all)
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let read = resources::read(&self.session, &request.uri)?;
        if !is_modern(&context) {
            return Ok(read.into());
        }
        // A run that goes on writes more.
        let mut read = read.with_ttl_ms(0).with_cache_scope(CacheScope::Private);
        read.meta = Some(server_meta());
        Ok(read.into())
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Some(tool) = Tool::named(&request.name) else {
            let known = Tool::ALL.map(Tool::name).join(", ");
            let message = format!("unknown tool `{}`; this server has {known}", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let arguments = request.arguments.unwrap_or_default();
        let meta = is_modern(&context).then(server_meta);
        let session = Arc::clone(&self.session);
        let caller = self.caller(&context);
        let span = telemetry::call_span(
            tool.name(),
            &session.ground.sandbox.policy.name,
            &trace_context(&context),
        );
        let cancelled = context.ct.cancelled_owned();
        // In a task of its own, so that a defect in it becomes an answer: rmcp forgets handlers
        // that panic, and their callers would wait forever.
        let call = async move { tools::call(&session, tool, arguments, caller, cancelled).await };
        let task = tokio::spawn(call.instrument(span.clone()));
        match task.await {
            Ok(Answered::Result(mut result)) => {
                telemetry::ended(&span, &result);
                result.meta = meta;
                Ok(result.into())
            }
            Ok(Answered::Task(task)) => {
                telemetry::goes_on(&span, &task.task_id);
                let mut created = CreateTaskResult::new(task);
                created.meta = meta;
                Ok(CallToolResponse::Task(created))
            }
            Err(error) => {
                tracing::error!(%error, tool = tool.name(), "a call failed");
                let message = "internal error while running the command; see the server's log";
                Err(ErrorData::internal_error(message, None))
            }
        }
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(misread(&request))
    }

    async fn get_task(
        &self,
        request: GetTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let mut result = GetTaskResult::new(self.session.tasks.get(&request.task_id)?);
        result.meta = Some(server_meta());
        Ok(result)
    }

    async fn update_task(
        &self,
        request: UpdateTaskParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        // Tasks ask nothing, so every response is one to ignore.
        self.session.tasks.get(&request.task_id).map(drop)
    }

    async fn cancel_task(
        &self,
        request: CancelTaskParams,
        context: RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        tools::cancel_task(&self.session, &self.caller(&context), &request.task_id).await
    }
}
