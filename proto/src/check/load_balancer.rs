//! LoadBalancer (specification: application load balancer, 2; network load balancer, 2 and 3).

use std::net::IpAddr;

use super::findings::Findings;
use super::{field, limits};
use crate::v1;
use crate::v1::application_attributes::DesyncMitigation;
use crate::v1::load_balancer::Type;

pub(super) fn check(findings: &mut Findings, balancer: &v1::LoadBalancer) {
    field::name(findings, &balancer.name);
    field::labels(findings, "tags", &balancer.tags);
    let known = Type::try_from(balancer.r#type).is_ok();
    let kind: Type = field::enumeration(findings, "type", balancer.r#type);
    if known && kind == Type::Unspecified {
        findings.refuse("type", "a type is required: APPLICATION or NETWORK");
    }
    field::labels(findings, "placement", &balancer.placement);
    addresses(findings, &balancer.addresses);
    if let Some(attributes) = &balancer.application {
        if kind == Type::Network {
            findings.refuse(
                "application",
                "these attributes belong to load balancers of the type APPLICATION, this one is NETWORK",
            );
        }
        findings.inside("application", |findings| application(findings, attributes));
    }
}

fn addresses(findings: &mut Findings, addresses: &[String]) {
    if addresses.len() > limits::ADDRESSES {
        findings.refuse(
            "addresses",
            format!(
                "{} are given, at most {} are allowed",
                addresses.len(),
                limits::ADDRESSES
            ),
        );
    }
    findings.each("addresses", addresses, |findings, text| {
        match text.parse::<IpAddr>() {
            Ok(address) if address.is_multicast() => {
                findings.refuse(
                    "",
                    format!(
                        "{address} is a multicast address: nobody can listen for connections on it"
                    ),
                );
            }
            Ok(_) => {}
            Err(_) => findings.refuse(
                "",
                format!("'{text}' is not an IP address such as 127.0.0.1 or ::1"),
            ),
        }
    });
    let identity = |text: &String| text.parse::<IpAddr>().map_err(|_| text.clone());
    field::distinct(findings, "addresses", addresses, identity, String::clone);
}

fn application(findings: &mut Findings, attributes: &v1::ApplicationAttributes) {
    field::seconds(
        findings,
        "idleTimeout",
        attributes.idle_timeout.as_ref(),
        &limits::IDLE_TIMEOUT,
    );
    field::seconds(
        findings,
        "clientKeepAlive",
        attributes.client_keep_alive.as_ref(),
        &limits::CLIENT_KEEP_ALIVE,
    );
    let mode: DesyncMitigation =
        field::enumeration(findings, "desyncMitigation", attributes.desync_mitigation);
    if matches!(
        mode,
        DesyncMitigation::Monitor | DesyncMitigation::Strictest
    ) {
        findings.unsupported(
            "desyncMitigation",
            &format!("the mode {}", mode.as_str_name()),
        );
    }
    if let Some(forwarded) = &attributes.x_forwarded_for {
        findings.inside("xForwardedFor", |findings| {
            let _: v1::x_forwarded_for::Mode = field::enumeration(findings, "mode", forwarded.mode);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, run};

    fn good() -> v1::LoadBalancer {
        v1::LoadBalancer {
            name: "shop".to_owned(),
            r#type: Type::Application.into(),
            ..Default::default()
        }
    }

    fn attributes(balancer: &mut v1::LoadBalancer) -> &mut v1::ApplicationAttributes {
        balancer.application.get_or_insert_default()
    }

    fn seconds(seconds: i64) -> Option<prost_types::Duration> {
        Some(prost_types::Duration { seconds, nanos: 0 })
    }

    #[test]
    fn load_balancers() {
        let cases: &[Case<v1::LoadBalancer>] = &[
            (|_| {}, &[]),
            (
                |b| b.addresses = ["127.0.0.1", "::1", "0.0.0.0"].map(str::to_owned).into(),
                &[],
            ),
            (|b| b.r#type = Type::Network.into(), &[]),
            (|b| b.name.clear(), &["name: a name is required"]),
            (
                |b| b.name = "Shop".to_owned(),
                &[
                    "name: 'Shop' is not a name: 1 to 63 of a-z, 0-9, '-' and '.', with a letter or digit at both ends",
                ],
            ),
            (
                |b| b.r#type = 0,
                &["type: a type is required: APPLICATION or NETWORK"],
            ),
            (|b| b.r#type = 9, &["type: the value 9 is unknown"]),
            (
                |b| b.addresses = vec!["localhost".to_owned(), "239.1.1.1".to_owned()],
                &[
                    "addresses[0]: 'localhost' is not an IP address such as 127.0.0.1 or ::1",
                    "addresses[1]: 239.1.1.1 is a multicast address: nobody can listen for connections on it",
                ],
            ),
            (
                |b| b.addresses = vec!["::1".to_owned(), "0::1".to_owned()],
                &["addresses[1]: '0::1' is given already at addresses[0]"],
            ),
            (
                |b| b.addresses = (0..33).map(|n| format!("10.0.0.{n}")).collect(),
                &["addresses: 33 are given, at most 32 are allowed"],
            ),
            (
                |b| {
                    b.r#type = Type::Network.into();
                    b.application = Some(v1::ApplicationAttributes::default());
                },
                &[
                    "application: these attributes belong to load balancers of the type APPLICATION, this one is NETWORK",
                ],
            ),
            (
                |b| drop(b.placement.insert(String::new(), "a".to_owned())),
                &["placement.: the key has 0 characters, 1 to 128 are allowed"],
            ),
        ];
        run(good, cases);
    }

    #[test]
    fn application_attributes() {
        let cases: &[Case<v1::LoadBalancer>] = &[
            (
                |b| attributes(b).desync_mitigation = DesyncMitigation::Defensive.into(),
                &[],
            ),
            (
                |b| {
                    attributes(b).drop_invalid_header_fields = true;
                    attributes(b).preserve_host_header = true;
                    attributes(b).x_forwarded_for = Some(v1::XForwardedFor {
                        mode: 3,
                        client_port: true,
                    });
                },
                &[],
            ),
            (
                |b| attributes(b).idle_timeout = seconds(4001),
                &["application.idleTimeout: 4001s is out of range, 1s to 4000s are allowed"],
            ),
            (
                |b| attributes(b).client_keep_alive = seconds(59),
                &["application.clientKeepAlive: 59s is out of range, 60s to 604800s are allowed"],
            ),
            (
                |b| attributes(b).desync_mitigation = DesyncMitigation::Strictest.into(),
                &["application.desyncMitigation: the mode STRICTEST is not supported yet"],
            ),
            (
                |b| attributes(b).desync_mitigation = DesyncMitigation::Monitor.into(),
                &["application.desyncMitigation: the mode MONITOR is not supported yet"],
            ),
            (
                |b| {
                    attributes(b).x_forwarded_for = Some(v1::XForwardedFor {
                        mode: 9,
                        client_port: false,
                    })
                },
                &["application.xForwardedFor.mode: the value 9 is unknown"],
            ),
        ];
        run(good, cases);
    }
}
