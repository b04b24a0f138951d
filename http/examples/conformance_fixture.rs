//! A server for the conformance suite of MCP, on the same plumbing as `nono-mcp --http`: the suite
//! asks for tools and resources with fixed names and answers, which a server that runs commands
//! does not have. Runs nothing, and is part of no release.
//!
//! The token comes from `NONO_MCP_TOKEN`; the address is printed on standard error.

use nono_http::{Config, Counts, Ends, Principal, Principals, Sessions, Share, Token, serve};
use rmcp::model::{
    CacheScope, CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorCode,
    JsonObject, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::json;
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// One red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No samples.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEARKwAAIhYAQACABAAZGF0YQAAAAA=";
const TOOLS: [&str; 11] = [
    "test_audio_content",
    "test_custom_header",
    "test_embedded_resource",
    "test_error_handling",
    "test_image_content",
    "test_logging_tool",
    "test_missing_capability",
    "test_multiple_content_types",
    "test_simple_text",
    "test_streaming_elicitation",
    "test_tool_with_progress",
];
const TTL_MS: u64 = 1000;

#[derive(Debug, Clone)]
struct Fixture;

fn tool(name: &'static str) -> Tool {
    let properties = match name {
        "test_custom_header" => json!({"region": {"type": "string", "x-mcp-header": "Region"}}),
        _ => json!({}),
    };
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), properties);
    Tool::new(name, "A tool of the conformance suite.", schema)
}

fn embedded(text: &str, mime_type: &str) -> ContentBlock {
    let contents = ResourceContents::text(text, "test://embedded-resource");
    ContentBlock::resource(contents.with_mime_type(mime_type))
}

/// Three steps, told to who asked to hear of them.
async fn in_steps(context: &RequestContext<RoleServer>) {
    for progress in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let said = ProgressNotificationParam::new(token, progress).with_total(100.0);
            // A client that has left hears nothing, and the call goes on.
            let _gone = context.peer.notify_progress(said).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().enable_resources().build())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.into_iter().find(|known| *known == name).map(tool)
    }

    async fn list_tools(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let all = ListToolsResult::with_all_items(TOOLS.map(tool).into());
        Ok(all.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = ContentBlock::text("This is a simple text response for testing.");
        let content = match &*request.name {
            "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
            "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
            "test_embedded_resource" => {
                vec![embedded("This is an embedded resource content.", "text/plain")]
            }
            "test_multiple_content_types" => vec![
                text,
                ContentBlock::image(PNG, "image/png"),
                embedded("{\"test\":\"data\",\"value\":123}", "application/json"),
            ],
            "test_error_handling" => {
                let text = "This tool intentionally returns an error for testing";
                return Ok(CallToolResult::error(vec![ContentBlock::text(text)]).into());
            }
            "test_missing_capability"
                if context.client_capabilities().is_none_or(|c| c.sampling.is_none()) =>
            {
                let code = ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY;
                let data = json!({"requiredCapabilities": {"sampling": {}}});
                return Err(ErrorData::new(code, "sampling is required", Some(data)));
            }
            "test_tool_with_progress" | "test_streaming_elicitation" => {
                in_steps(&context).await;
                vec![text]
            }
            name if TOOLS.contains(&name) => vec![text],
            name => return Err(ErrorData::invalid_params(format!("no tool {name}"), None)),
        };
        Ok(CallToolResult::success(content).into())
    }

    async fn list_resources(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        let of = |uri: &str, mime: &str| Resource::new(uri, uri).with_mime_type(mime);
        let all =
            vec![of("test://static-text", "text/plain"), of("test://static-binary", "image/png")];
        let all = ListResourcesResult::with_all_items(all);
        Ok(all.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn list_resource_templates(
        &self,
        _request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("test://template/{id}/data", "template");
        let all = ListResourceTemplatesResult::with_all_items(vec![template]);
        Ok(all.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, id) {
            ("test://static-text", _) => {
                ResourceContents::text("This is the content of the static text resource.", uri)
            }
            ("test://static-binary", _) => {
                ResourceContents::blob(PNG, uri).with_mime_type("image/png")
            }
            (_, Some(id)) => {
                let text =
                    json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                ResourceContents::text(text.to_string(), uri).with_mime_type("application/json")
            }
            _ => {
                let data = Some(json!({"uri": uri}));
                return Err(ErrorData::invalid_params("Resource not found", data));
            }
        };
        let read = ReadResourceResult::new(vec![contents]);
        Ok(read.with_ttl_ms(TTL_MS).with_cache_scope(CacheScope::Public).into())
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let token = Token::parse(&std::env::var("NONO_MCP_TOKEN")?)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stderr(), "http://{}/mcp", listener.local_addr()?)?;
    let mut principals = Principals::new(None);
    let (share, token) = (Share::default(), Some(token.digest()));
    principals.add(Principal { handler: Fixture, share, token, rules: Vec::new() });
    let config = Config::loopback(Sessions::Kept { idle: Duration::from_secs(60) });
    let ends = Ends::default();
    let ending = ends.clone();
    tokio::spawn(async move {
        let _no_signals = tokio::signal::ctrl_c().await;
        ending.stop.cancel();
        ending.cut.cancel();
    });
    serve(listener, principals, &config, Arc::<Counts>::default(), ends).await;
    Ok(())
}
