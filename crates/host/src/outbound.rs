//! `allowed_outbound_hosts`: the addresses that a component may connect to.

use std::ops::RangeInclusive;

use anyhow::{Context, bail, ensure};

/// The parsed entries of `allowed_outbound_hosts`.
#[derive(Debug)]
pub(crate) struct AllowedHosts(Vec<AllowedHost>);

#[derive(Debug)]
struct AllowedHost {
    /// `None` for any scheme.
    scheme: Option<String>,
    host: Host,
    /// `None` for any port.
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Debug)]
enum Host {
    Any,
    /// `*.example.com`, stored as `.example.com`.
    Subdomains(String),
    Exact(String),
}

impl AllowedHosts {
    /// Parses `scheme://host[:port]` entries (`outbound-networking-config`, 3.6).
    pub(crate) fn parse(entries: &[String]) -> anyhow::Result<AllowedHosts> {
        let parsed = entries.iter().map(|entry| {
            AllowedHost::parse(entry).with_context(|| format!("allowed_outbound_hosts: {entry:?}"))
        });
        Ok(AllowedHosts(parsed.collect::<anyhow::Result<_>>()?))
    }

    /// Returns whether a connection is allowed.
    pub(crate) fn allow(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.0.iter().any(|allowed| {
            allowed.scheme.as_deref().is_none_or(|allowed| allowed == scheme)
                && allowed.ports.as_ref().is_none_or(|ports| ports.contains(&port))
                && match &allowed.host {
                    Host::Any => true,
                    Host::Subdomains(domain) => host.to_lowercase().ends_with(domain),
                    Host::Exact(name) => host.eq_ignore_ascii_case(name),
                }
        })
    }
}

impl AllowedHost {
    fn parse(entry: &str) -> anyhow::Result<AllowedHost> {
        let (scheme, rest) = entry.split_once("://").context("missing scheme://")?;
        // The port follows the last colon, unless that is part of an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.trim_end_matches('/')),
            _ => (rest.trim_end_matches('/'), ""),
        };
        ensure!(!host.contains('/') && !port.contains('/'), "paths and networks are not supported");
        let host = match host {
            "*" => Host::Any,
            "self" | "self.alt" | "" => bail!("host {host:?} is not supported"),
            _ => match host.strip_prefix("*.") {
                Some(domain) => Host::Subdomains(format!(".{}", domain.to_lowercase())),
                None => Host::Exact(host.trim_matches(['[', ']']).to_owned()),
            },
        };
        let wildcards = match &host {
            Host::Any => 0,
            Host::Subdomains(name) | Host::Exact(name) => name.matches('*').count(),
        };
        ensure!(wildcards == 0, "unsupported wildcard; use * or *.example.com");
        Ok(AllowedHost {
            scheme: (scheme != "*").then(|| scheme.to_owned()),
            host,
            ports: ports(scheme, port)?,
        })
    }
}

fn ports(scheme: &str, text: &str) -> anyhow::Result<Option<RangeInclusive<u16>>> {
    let number = |text: &str| text.parse::<u16>().with_context(|| format!("invalid port {text:?}"));
    Ok(match (text, text.split_once("..")) {
        ("*", _) => None,
        ("", _) => {
            let port = well_known_port(scheme)
                .with_context(|| format!("missing port; the scheme {scheme:?} has no default"))?;
            Some(port..=port)
        }
        // As in Spin, the range excludes its second number.
        (_, Some((from, to))) => Some(number(from)?..=number(to)?.saturating_sub(1)),
        (port, None) => Some(number(port)?..=number(port)?),
    })
}

/// Returns the default port of a scheme (`well_known_port` in `outbound-networking-config`, 3.6).
fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        "mqtt" => Some(1883),
        "mysql" => Some(3306),
        "postgres" => Some(5432),
        "redis" => Some(6379),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(entry: &str, host: &str, port: u16) -> bool {
        AllowedHosts::parse(&[entry.to_owned()]).unwrap().allow("postgres", host, port)
    }

    #[test]
    fn matching_address_is_allowed() {
        assert!(allow("postgres://db:5432", "db", 5432));
        assert!(allow("postgres://db", "DB", 5432));
        assert!(allow("*://*:*", "anything", 1));
        assert!(allow("postgres://*.example.com:5000..5002", "a.example.com", 5001));
        assert!(allow("postgres://[::1]:5432", "::1", 5432));
    }

    #[test]
    fn other_address_is_not_allowed() {
        assert!(!allow("postgres://db:5432", "db", 5433));
        assert!(!allow("postgres://db:5432", "db2", 5432));
        assert!(!allow("redis://db:5432", "db", 5432));
        assert!(!allow("postgres://*.example.com:5000..5002", "a.example.com", 5002));
        assert!(!allow("postgres://*.example.com", "example.com", 5432));
        assert!(!AllowedHosts::parse(&[]).unwrap().allow("postgres", "db", 5432));
    }

    #[test]
    fn entry_without_port_allows_the_default_port_of_its_scheme() {
        for (entry, port) in [("postgres://db", 5432), ("https://db", 443), ("mysql://db", 3306)] {
            let hosts = AllowedHosts::parse(&[entry.to_owned()]).unwrap();
            let scheme = entry.split(':').next().unwrap();
            assert!(hosts.allow(scheme, "db", port) && !hosts.allow(scheme, "db", port + 1));
        }
    }

    #[test]
    fn unsupported_entry_is_rejected() {
        for entry in [
            "db:5432",
            "postgres://db/path",
            "postgres://10.0.0.0/8:5432",
            "ftp://db",
            "postgres://d*b:1",
            "postgres://db:x",
            "http://self",
            "postgres://u:p@db:x/y",
        ] {
            assert!(AllowedHosts::parse(&[entry.to_owned()]).is_err(), "{entry}");
        }
    }
}
