//! Style, script and icon: in the binary, and cached by what is in them.

use std::sync::LazyLock;

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use coachbot_common::secret::sha256;
use http::{HeaderValue, StatusCode, header};

struct Asset {
    bytes: &'static [u8],
    content_type: &'static str,
}

const STYLE: Asset =
    Asset { bytes: include_bytes!("../../assets/app.css"), content_type: "text/css; charset=utf-8" };
const SCRIPT: Asset =
    Asset { bytes: include_bytes!("../../assets/app.js"), content_type: "text/javascript; charset=utf-8" };
const ICON: Asset = Asset { bytes: include_bytes!("../../assets/icon.svg"), content_type: "image/svg+xml" };

/// The version of all assets: 8 hex digits of their hash.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let all: Vec<u8> = [STYLE, SCRIPT, ICON].iter().flat_map(|asset| asset.bytes).copied().collect();
        sha256(&all).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
    });
    &VERSION
}

pub(crate) async fn style(request: Request) -> Response {
    serve(&STYLE, &request)
}

pub(crate) async fn script(request: Request) -> Response {
    serve(&SCRIPT, &request)
}

pub(crate) async fn icon(request: Request) -> Response {
    serve(&ICON, &request)
}

/// With the version in its address an asset never changes; without, the browser
/// asks whether it did.
fn serve(asset: &Asset, request: &Request) -> Response {
    let tag = format!("\"{}\"", version());
    let versioned = request.uri().query().and_then(|query| query.strip_prefix("v=")) == Some(version());
    let cache = if versioned { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let same =
        known.is_some_and(|tags| tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag));
    let mut response = if same {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, asset.content_type)], asset.bytes).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}
