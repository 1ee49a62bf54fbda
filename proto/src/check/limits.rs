//! Every limit on one message, with its source. "ALB" and "NLB" stand for the specifications of the application and
//! network load balancer. Limits over several resources (quotas) are the control plane's.

use std::ops::RangeInclusive;

/// Tags of one resource (ALB 15).
pub const TAGS: usize = 50;
/// Characters of a tag's key, and of a placement label's.
pub const TAG_KEY_CHARS: RangeInclusive<usize> = 1..=128;
/// Characters of a tag's value, and of a placement label's.
pub const TAG_VALUE_CHARS: RangeInclusive<usize> = 0..=256;
/// Addresses of one load balancer; AWS has one per zone.
pub const ADDRESSES: usize = 32;
/// Ports (ALB 5.1, 9.1; NLB 4.1, 7.1).
pub const PORT: RangeInclusive<u32> = 1..=65535;
/// Seconds of `idleTimeout` (ALB 2.2).
pub const IDLE_TIMEOUT: RangeInclusive<u64> = 1..=4000;
/// Seconds of `clientKeepAlive` (ALB 2.2).
pub const CLIENT_KEEP_ALIVE: RangeInclusive<u64> = 60..=604_800;
/// Seconds of `tcpIdleTimeout` (NLB 4.2).
pub const TCP_IDLE_TIMEOUT: RangeInclusive<u64> = 60..=6000;

/// Priorities of rules (ALB 7.1).
pub const PRIORITY: RangeInclusive<u32> = 1..=50_000;
/// Patterns of one rule: the values that take a match to evaluate (ALB 7.1). Methods and addresses are compared, not
/// matched, and do not count: only their conditions are bounded.
pub const PATTERNS_PER_RULE: usize = 5;
/// Wildcards in the patterns of one rule (ALB 7.1).
pub const WILDCARDS_PER_RULE: usize = 6;
/// Values of one condition (ALB 7.1).
pub const VALUES_PER_CONDITION: usize = 3;
/// Values of a `sourceIp` condition (ALB 7.1).
pub const ADDRESSES_PER_CONDITION: usize = 5;
/// Characters of a pattern (ALB 7.2).
pub const PATTERN_CHARS: usize = 128;
/// Characters of a header's name or a method (ALB 7.2).
pub const TOKEN_CHARS: usize = 40;

/// Target groups of one forward action (ALB 7.1; NLB 4.4).
pub const TARGET_GROUPS_PER_ACTION: usize = 5;
/// Weights of groups and targets (ALB 7.3).
pub const WEIGHT: RangeInclusive<u32> = 0..=999;
/// Characters of a redirect's host, path or query (ALB 7.3).
pub const REDIRECT_CHARS: usize = 128;
/// Characters of a fixed response's body (ALB 7.3).
pub const BODY_CHARS: usize = 1024;
/// What a fixed response can be (ALB 7.3).
pub const CONTENT_TYPES: [&str; 5] = [
    "text/plain",
    "text/css",
    "text/html",
    "application/javascript",
    "application/json",
];

/// Seconds of `deregistrationDelay` (ALB 9.3; NLB 7.2).
pub const DEREGISTRATION_DELAY: RangeInclusive<u64> = 0..=3600;
/// Seconds of `slowStart` unless it is 0 (ALB 9.3).
pub const SLOW_START: RangeInclusive<u64> = 30..=900;
/// Seconds between two health checks (ALB 9.7; NLB 8.1).
pub const CHECK_INTERVAL: RangeInclusive<u64> = 5..=300;
/// Seconds for the answer to a health check (ALB 9.7; NLB 8.1).
pub const CHECK_TIMEOUT: RangeInclusive<u64> = 2..=120;
/// Thresholds of health checks (ALB 9.7; NLB 8.1).
pub const CHECK_THRESHOLD: RangeInclusive<u32> = 2..=10;
/// Characters of a health check's path (ALB 9.7; NLB 8.1).
pub const CHECK_PATH_CHARS: usize = 1024;
/// Characters of a matcher. AWS does not say; so every resource is bounded, and a snapshot part with it.
pub const MATCHER_CHARS: usize = 512;
/// The highest status in the matcher of an HTTP group (ALB 9.7); groups below HTTP take all up to 599 (NLB 8.1).
pub const HTTP_GROUP_MATCHER_MAX: u16 = 499;
