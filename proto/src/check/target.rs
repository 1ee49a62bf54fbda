//! Target, by itself and inside its group (specification: application load balancer, 9.1).

use std::net::IpAddr;

use super::findings::Findings;
use super::{field, limits};
use crate::kind::Kind;
use crate::{defaults, v1};

/// A target by itself.
pub(super) fn check(findings: &mut Findings, target: &v1::Target) {
    field::reference(
        findings,
        "targetGroup",
        Kind::TargetGroup,
        &target.target_group,
    );
    body(findings, target);
}

/// The targets of a group.
pub(super) fn all(findings: &mut Findings, group: &v1::TargetGroup) {
    findings.each("targets", &group.targets, |findings, target| {
        if !target.target_group.is_empty() && target.target_group != group.name {
            findings.refuse(
                "targetGroup",
                format!(
                    "'{}' is another group than this, '{}': leave it out",
                    target.target_group, group.name
                ),
            );
        }
        body(findings, target);
    });
    let key = |target: &v1::Target| {
        let address = target
            .address
            .parse::<IpAddr>()
            .map_err(|_| target.address.clone());
        (address, defaults::target_port(target, group))
    };
    let shown = |target: &v1::Target| {
        crate::name::target_name(&target.address, defaults::target_port(target, group))
    };
    field::distinct(findings, "targets", &group.targets, key, shown);
}

fn body(findings: &mut Findings, target: &v1::Target) {
    match target.address.parse::<IpAddr>() {
        Ok(address)
            if address.is_unspecified() || address.is_multicast() || is_broadcast(address) =>
        {
            findings.refuse(
                "address",
                format!("{address} is not the address of one host"),
            );
        }
        Ok(_) => {}
        Err(_) if target.address.is_empty() => {
            findings.refuse("address", "an IP address is required")
        }
        Err(_) => findings.refuse(
            "address",
            format!(
                "'{}' is not an IP address such as 127.0.0.1 or ::1",
                target.address
            ),
        ),
    }
    field::optional_range(findings, "port", target.port, &limits::PORT);
    if let Some(weight) = target.weight {
        field::range(findings, "weight", weight, &limits::WEIGHT);
    }
}

fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tests::{Case, run};

    fn good() -> v1::Target {
        v1::Target {
            target_group: "catalog".to_owned(),
            address: "127.0.0.1".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn targets() {
        let cases: &[Case<v1::Target>] = &[
            (|_| {}, &[]),
            (|t| t.weight = Some(0), &[]),
            (|t| t.address = "2001:db8::1".to_owned(), &[]),
            (
                |t| t.target_group.clear(),
                &["targetGroup: a TargetGroup is required: one name"],
            ),
            (
                |t| t.address.clear(),
                &["address: an IP address is required"],
            ),
            (
                |t| t.address = "example.com".to_owned(),
                &["address: 'example.com' is not an IP address such as 127.0.0.1 or ::1"],
            ),
            (
                |t| t.address = "0.0.0.0".to_owned(),
                &["address: 0.0.0.0 is not the address of one host"],
            ),
            (
                |t| t.address = "ff02::1".to_owned(),
                &["address: ff02::1 is not the address of one host"],
            ),
            (
                |t| t.address = "255.255.255.255".to_owned(),
                &["address: 255.255.255.255 is not the address of one host"],
            ),
            (
                |t| t.port = 65536,
                &["port: 65536 is out of range, 1 to 65535 are allowed"],
            ),
            (
                |t| t.weight = Some(1000),
                &["weight: 1000 is out of range, 0 to 999 are allowed"],
            ),
        ];
        run(good, cases);
    }
}
