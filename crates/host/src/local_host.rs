//! Protection from DNS rebinding: a web page whose host name resolves to the loopback address can
//! send requests to a local server, but the `Host` header of these requests contains that name.

use std::net::IpAddr;

use http::uri::Authority;
use http::{Request, header};

/// Returns whether a request is for `localhost` or an IP address, by its `Host` header and its
/// target. A request that names no host is not from a browser and passes.
pub(crate) fn is_requested<B>(request: &Request<B>) -> bool {
    let target = request.uri().authority().is_none_or(is_local);
    let mut headers = request.headers().get_all(header::HOST).iter();
    target
        && headers.all(|host| {
            Authority::try_from(host.as_bytes()).is_ok_and(|authority| is_local(&authority))
        })
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(target: &str, hosts: &[&str]) -> Request<()> {
        let mut request = Request::builder().uri(target);
        for host in hosts {
            request = request.header(header::HOST, *host);
        }
        request.body(()).unwrap()
    }

    #[test]
    fn only_localhost_and_ip_addresses_are_local() {
        for host in ["localhost", "LocalHost:3000", "127.0.0.1:3000", "[::1]:3000", "192.0.2.1"] {
            assert!(is_requested(&request("/", &[host])), "{host}");
        }
        for host in [
            "rebound.example",
            "rebound.example:3000",
            "localhost.example",
            "a.localhost",
            "",
            "a b",
        ] {
            assert!(!is_requested(&request("/", &[host])), "{host}");
        }
    }

    #[test]
    fn target_and_every_host_header_are_checked() {
        assert!(is_requested(&request("/", &[])));
        assert!(is_requested(&request("http://127.0.0.1/", &[])));
        assert!(!is_requested(&request("http://rebound.example/", &["localhost"])));
        assert!(!is_requested(&request("/", &["localhost", "rebound.example"])));
    }
}
