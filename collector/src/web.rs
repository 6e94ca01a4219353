//! The pages, embedded in the binary by `build.rs` from `collector/web/dist`.
//!
//! Files under `assets/` carry a hash in their names and may be kept for ever; everything else is asked for again
//! each time and answered "unchanged" by its ETag. Nothing is loaded from elsewhere.

use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};

use crate::api::error::ApiError;

#[cfg(feature = "web")]
#[derive(rust_embed::Embed)]
#[folder = "web/dist/"]
struct Pages;

/// A file of the pages, by its path.
#[cfg(feature = "web")]
fn file(path: &str) -> Option<(std::borrow::Cow<'static, [u8]>, String, String)> {
    let file = <Pages as rust_embed::Embed>::get(path)?;
    let tag: String = file.metadata.sha256_hash().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let kind = file.metadata.mimetype();
    let kind = if kind.starts_with("text/") { format!("{kind}; charset=utf-8") } else { kind.to_owned() };
    Some((file.data, kind, format!("\"{tag}\"")))
}

#[cfg(not(feature = "web"))]
fn file(_: &str) -> Option<(std::borrow::Cow<'static, [u8]>, String, String)> {
    None
}

const NOT_BUILT: &str = "<!doctype html><html lang=\"zh-CN\"><meta charset=\"utf-8\"><title>Davy</title>\
    <p>本程序未包含网页(编译时关闭了 web 功能)。API 文档见 <a href=\"/docs\">/docs</a>。\
    <p lang=\"en\">This program was built without its web pages (feature “web” is off). The API is described at <a href=\"/docs\">/docs</a>.";

/// Answers whatever is no route: a file of the pages, the start page, or a plain refusal.
pub async fn page(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    if path.starts_with("api/") || !matches!(method, Method::GET | Method::HEAD) {
        return ApiError::not_found().into_response();
    }
    let found = if path.is_empty() { None } else { file(path) };
    match found {
        Some(found) => answer(found, path.starts_with("assets/"), &headers),
        // A missing file is missing; a path of the pages is theirs to understand.
        None if path.rsplit('/').next().is_some_and(|last| last.contains('.')) && path != "index.html" => {
            StatusCode::NOT_FOUND.into_response()
        }
        None => match file("index.html") {
            Some(index) => answer(index, false, &headers),
            None => Html(NOT_BUILT).into_response(),
        },
    }
}

fn answer((data, kind, tag): (std::borrow::Cow<'static, [u8]>, String, String), for_ever: bool, asked: &HeaderMap) -> Response {
    let keep = if for_ever { "public, max-age=31536000, immutable" } else { "no-cache" };
    let known = asked.get(header::IF_NONE_MATCH).and_then(|tags| tags.to_str().ok()).is_some_and(|tags| tags.contains(tag.as_str()));
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { data.into_owned().into_response() };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    for (name, value) in [(header::CONTENT_TYPE, kind), (header::ETAG, tag)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    response
}
