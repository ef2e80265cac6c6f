//! `allowed_outbound_hosts`: what a component may connect to.

use std::ops::RangeInclusive;

use anyhow::{Context, bail, ensure};

/// What one component may connect to.
#[derive(Debug)]
pub(crate) struct AllowedHosts(Vec<Allowed>);

#[derive(Debug)]
struct Allowed {
    /// `None` for any.
    scheme: Option<String>,
    host: Host,
    /// `None` for any.
    ports: Option<RangeInclusive<u16>>,
}

#[derive(Debug)]
enum Host {
    Any,
    /// `*.example.com`, kept as `.example.com`.
    Under(String),
    Exactly(String),
}

impl AllowedHosts {
    /// Parses `scheme://host[:port]` entries (`outbound-networking-config`, 3.6).
    pub(crate) fn parse(entries: &[String]) -> anyhow::Result<AllowedHosts> {
        let parsed = entries.iter().map(|entry| {
            Allowed::parse(entry).with_context(|| format!("allowed_outbound_hosts: {entry:?}"))
        });
        Ok(AllowedHosts(parsed.collect::<anyhow::Result<_>>()?))
    }

    /// Whether a connection is permitted.
    pub(crate) fn allow(&self, scheme: &str, host: &str, port: u16) -> bool {
        self.0.iter().any(|allowed| {
            allowed.scheme.as_deref().is_none_or(|it| it == scheme)
                && allowed.ports.as_ref().is_none_or(|ports| ports.contains(&port))
                && match &allowed.host {
                    Host::Any => true,
                    Host::Under(domain) => host.to_lowercase().ends_with(domain),
                    Host::Exactly(name) => host.eq_ignore_ascii_case(name),
                }
        })
    }
}

impl Allowed {
    fn parse(entry: &str) -> anyhow::Result<Allowed> {
        let (scheme, rest) = entry.split_once("://").context("there is no scheme://")?;
        // The port follows the last colon, unless that is inside of an IPv6 address.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.contains(']') => (host, port.trim_end_matches('/')),
            _ => (rest.trim_end_matches('/'), ""),
        };
        ensure!(
            !host.contains('/') && !port.contains('/'),
            "a path or a network is not understood"
        );
        let host = match host {
            "*" => Host::Any,
            "self" | "self.alt" | "" => bail!("the host {host:?} is not understood"),
            _ => match host.strip_prefix("*.") {
                Some(domain) => Host::Under(format!(".{}", domain.to_lowercase())),
                None => Host::Exactly(host.trim_matches(['[', ']']).to_owned()),
            },
        };
        let wildcards = match &host {
            Host::Any => 0,
            Host::Under(name) | Host::Exactly(name) => name.matches('*').count(),
        };
        ensure!(wildcards == 0, "* stands for a whole host or for all subdomains");
        Ok(Allowed {
            scheme: (scheme != "*").then(|| scheme.to_owned()),
            host,
            ports: ports(scheme, port)?,
        })
    }
}

fn ports(scheme: &str, text: &str) -> anyhow::Result<Option<RangeInclusive<u16>>> {
    let number = |text: &str| {
        text.parse::<u16>().with_context(|| format!("the port {text:?} is not a number"))
    };
    Ok(match (text, text.split_once("..")) {
        ("*", _) => None,
        ("", _) if scheme == "postgres" => Some(5432..=5432),
        ("", _) => bail!("there is no port"),
        // As in Spin, the range ends before its second number.
        (_, Some((from, to))) => Some(number(from)?..=number(to)?.saturating_sub(1)),
        (one, None) => Some(number(one)?..=number(one)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allow(entry: &str, host: &str, port: u16) -> bool {
        AllowedHosts::parse(&[entry.to_owned()]).unwrap().allow("postgres", host, port)
    }

    #[test]
    fn an_entry_allows_what_it_says() {
        assert!(allow("postgres://db:5432", "db", 5432));
        assert!(allow("postgres://db", "DB", 5432));
        assert!(allow("*://*:*", "anything", 1));
        assert!(allow("postgres://*.example.com:5000..5002", "a.example.com", 5001));
        assert!(allow("postgres://[::1]:5432", "::1", 5432));
    }

    #[test]
    fn an_entry_allows_nothing_else() {
        assert!(!allow("postgres://db:5432", "db", 5433));
        assert!(!allow("postgres://db:5432", "db2", 5432));
        assert!(!allow("redis://db:5432", "db", 5432));
        assert!(!allow("postgres://*.example.com:5000..5002", "a.example.com", 5002));
        assert!(!allow("postgres://*.example.com", "example.com", 5432));
        assert!(!AllowedHosts::parse(&[]).unwrap().allow("postgres", "db", 5432));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in [
            "db:5432",
            "postgres://db/path",
            "postgres://10.0.0.0/8:5432",
            "redis://db",
            "postgres://d*b:1",
            "postgres://db:x",
            "http://self",
            "postgres://u:p@db:x/y",
        ] {
            assert!(AllowedHosts::parse(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
