//! How much there may be: AWS's defaults times ten (specification: application load balancer, 15; network load
//! balancer, 14), and more where one installation is meant to be larger than an AWS account.

/// Upper bounds over several resources. A change is refused if it raises a count above its bound, not if the count
/// was above it before.
///
/// Not here on purpose: AWS lets a target group serve one load balancer only (`TargetGroupAssociationLimit`) and
/// bounds the targets of a load balancer. Groups are shared here, so targets are bounded per group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quotas {
    /// Load balancers of one type; AWS 50.
    pub(crate) load_balancers_per_type: usize,
    /// Listeners of a load balancer; AWS 50.
    pub(crate) listeners_per_load_balancer: usize,
    /// Certificates of a load balancer besides its listeners' default ones; AWS 25.
    pub(crate) certificates_per_load_balancer: usize,
    /// Rules of a load balancer; AWS 100.
    pub(crate) rules_per_load_balancer: usize,
    /// Different target groups that a load balancer forwards to; AWS 100.
    pub(crate) target_groups_per_load_balancer: usize,
    /// Target groups in all; AWS 3000.
    pub(crate) target_groups: usize,
    /// Targets of a group; AWS 1000.
    pub(crate) targets_per_target_group: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            load_balancers_per_type: 500,
            listeners_per_load_balancer: 500,
            certificates_per_load_balancer: 250,
            rules_per_load_balancer: 20_000,
            target_groups_per_load_balancer: 1000,
            target_groups: 30_000,
            targets_per_target_group: 20_000,
        }
    }
}
