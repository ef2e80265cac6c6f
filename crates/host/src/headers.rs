//! The request headers that a guest receives: the client's, followed by Spin's.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};

use crate::router::RouteMatch;

/// Returns whether all values are UTF-8, which Spin requires.
pub(crate) fn are_utf8(headers: &HeaderMap) -> bool {
    headers.values().all(|value| std::str::from_utf8(value.as_bytes()).is_ok())
}

/// Appends Spin's headers about the request (`trigger-http/src/headers.rs`, 3.6). A `spin-…` header
/// sent by the client comes first, so guests cannot trust these headers.
///
/// `uri` must be absolute.
pub(crate) fn append_spin_headers(
    headers: &mut HeaderMap,
    uri: &Uri,
    route: &RouteMatch,
    client: SocketAddr,
) -> anyhow::Result<()> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = host.unwrap_or("localhost");
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let scheme = uri.scheme_str().unwrap_or("http");
    let component_route = route.raw_route.strip_suffix("/...").unwrap_or(route.raw_route);
    let headers_and_values = [
        ("spin-path-info", route.path_info.clone()),
        ("spin-full-url", format!("{scheme}://{host}{target}")),
        ("spin-matched-route", route.based_route.to_owned()),
        ("spin-base-path", "/".to_owned()),
        ("spin-raw-component-route", route.raw_route.to_owned()),
        ("spin-component-route", component_route.to_owned()),
        ("spin-client-addr", client.to_string()),
    ];
    for (name, value) in headers_and_values {
        headers.append(name, HeaderValue::try_from(value)?);
    }
    for (name, value) in &route.named {
        let name = format!("spin-path-match-{}", name.replace('_', "-").to_lowercase());
        headers.append(HeaderName::try_from(name)?, HeaderValue::try_from(value.as_str())?);
    }
    Ok(())
}
