//! A provider on loopback that accepts every key.

use anyhow::Result;
use axum::Json;
use serde_json::json;
use tokio::net::TcpListener;

/// Starts it; gives its base URL back. It ends with the process.
pub(crate) async fn start() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let models = || async {
        let model = json!({"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "system"});
        Json(json!({"object": "list", "data": [model]}))
    };
    let router = axum::Router::new().fallback(models);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(format!("http://{address}/v1"))
}
