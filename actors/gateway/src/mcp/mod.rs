//! MCP: the hub's queue as tools for models, at `/mcp` of the gateway and on standard input and output.

use crate::link::HubLink;
use actix_web::web::ServiceConfig;

/// Adds the routes below `/mcp`. Called once in each life of the actor `http`, on its thread.
pub fn configure(_routes: &mut ServiceConfig, _hub: &HubLink) {}
