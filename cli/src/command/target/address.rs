//! ADDRESS[:PORT] of a target.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// An address, and a port if it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) ip: IpAddr,
    pub(super) port: Option<u16>,
}

impl FromStr for Address {
    type Err = String;

    /// Reads `127.0.0.1`, `127.0.0.1:80`, `::1`, `[::1]` or `[::1]:80`. Errors: anything else, with what would be right.
    fn from_str(text: &str) -> Result<Self, String> {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        if let Ok(ip) = bare.unwrap_or(text).parse::<IpAddr>()
            && (bare.is_none() || ip.is_ipv6())
        {
            return Ok(Self { ip, port: None });
        }
        if let Ok(address) = text.parse::<SocketAddr>()
            && address.port() != 0
        {
            return Ok(Self {
                ip: address.ip(),
                port: Some(address.port()),
            });
        }
        Err(
            match text
                .rsplit_once(':')
                .map(|(ip, _)| ip.trim_matches(['[', ']']).parse::<IpAddr>())
            {
                Some(Ok(ip)) if ip.is_ipv4() || text.starts_with('[') => {
                    "a port is 1 to 65535".to_owned()
                }
                _ => "an IP address, as 127.0.0.1, 127.0.0.1:80, ::1 or [::1]:80, is required"
                    .to_owned(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_may_have_a_port() {
        for (text, ip, port) in [
            ("127.0.0.1", "127.0.0.1", None),
            ("127.0.0.1:80", "127.0.0.1", Some(80)),
            ("::1", "::1", None),
            ("[::1]", "::1", None),
            ("[::1]:80", "::1", Some(80)),
            ("2001:db8::80", "2001:db8::80", None),
            ("127.0.0.1:65535", "127.0.0.1", Some(65535)),
        ] {
            assert_eq!(
                text.parse(),
                Ok(Address {
                    ip: ip.parse().unwrap(),
                    port
                }),
                "{text}"
            );
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for (text, said) in [
            ("example.com", "an IP address"),
            ("example.com:80", "an IP address"),
            ("", "an IP address"),
            ("[127.0.0.1]", "an IP address"),
            ("127.0.0.1:0", "1 to 65535"),
            ("127.0.0.1:65536", "1 to 65535"),
            ("127.0.0.1:http", "1 to 65535"),
            ("[::1]:", "1 to 65535"),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
