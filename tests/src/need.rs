//! Programs of the distribution that some tests want as clients or servers.

use std::env;
use std::path::Path;

/// Which Debian package brings a program, where the names differ.
const PACKAGES: &[(&str, &str)] = &[("redis-cli", "redis-tools"), ("unshare", "util-linux")];

/// Whether all of these programs are there. If not, says what is missing; the test then returns.
///
/// With `CI` set a missing program is a failure: there the tests must not get fewer unseen.
pub fn need(programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let package = PACKAGES
            .iter()
            .find(|(name, _)| name == program)
            .map_or(*program, |(_, package)| package);
        is_there(program) || skip(&format!("{program} is missing (apt install {package})"))
    })
}

/// Says that a test cannot run here and why; returns `false`. With `CI` set this is a failure.
pub fn skip(reason: &str) -> bool {
    assert!(env::var_os("CI").is_none(), "cannot run in CI: {reason}");
    eprintln!("skipped: {reason}");
    false
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| Path::new(&folder).join(program).is_file())
}
