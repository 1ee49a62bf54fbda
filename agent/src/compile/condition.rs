//! Conditions -> [`Condition`].

use std::net::IpAddr;

use inlet_proto::v1;
use inlet_proto::v1::condition::Kind as Body;
use ipnet::{IpNet, Ipv4Net};

use crate::table::router::{Case, Condition, Pattern};

/// Prefix length of the IPv6 addresses that stand for IPv4 ones (RFC 4291, 2.5.5.2).
const MAPPED: u8 = 96;

/// A well-formed condition; None = it is not.
pub(super) fn compile(given: &v1::Condition) -> Option<Condition> {
    Some(match given.kind.as_ref()? {
        Body::HostHeader(given) => {
            // Hosts are put into lower case once per request.
            let lower = given.values.iter().map(|text| text.to_ascii_lowercase());
            Condition::Host(
                lower
                    .map(|text| Pattern::new(&text, Case::Matters))
                    .collect(),
            )
        }
        Body::PathPattern(given) => Condition::Path(patterns(&given.values, Case::Matters)),
        Body::HttpHeader(given) => Condition::Header {
            name: given.name.to_ascii_lowercase().into_bytes().into(),
            values: patterns(&given.values, Case::Ignored),
        },
        Body::HttpRequestMethod(given) => Condition::Method(
            given
                .values
                .iter()
                .map(|text| text.as_bytes().into())
                .collect(),
        ),
        Body::QueryString(given) => Condition::Query(given.values.iter().map(pair).collect()),
        Body::SourceIp(given) => {
            let nets = given
                .values
                .iter()
                .map(|text| text.parse().ok().map(canonical));
            Condition::Source(nets.collect::<Option<_>>()?)
        }
    })
}

fn patterns(texts: &[String], case: Case) -> Box<[Pattern]> {
    texts.iter().map(|text| Pattern::new(text, case)).collect()
}

fn pair(given: &v1::query_string_condition::KeyValue) -> (Option<Pattern>, Pattern) {
    let pattern = |text: &str| Pattern::escaped(text, Case::Ignored);
    let key = (!given.key.is_empty()).then(|| pattern(&given.key));
    (key, pattern(&given.value))
}

/// IPv4 written as IPv6 is IPv4, as it is in requests.
fn canonical(net: IpNet) -> IpNet {
    let address = net.network().to_canonical();
    match (net, address) {
        (IpNet::V6(_), IpAddr::V4(address)) if net.prefix_len() >= MAPPED => {
            Ipv4Net::new(address, net.prefix_len() - MAPPED).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_networks_are_those_of_ipv4() {
        for (given, expected) in [
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:10.1.2.3/128", "10.1.2.3/32"),
            ("::/0", "::/0"),
            ("::1/128", "::1/128"),
        ] {
            let net = canonical(given.parse().unwrap());
            assert_eq!(net.to_string(), expected, "{given}");
        }
    }
}
