//! Where the programs under test are, built if they must be.
//!
//! `cargo test` builds a package's programs only if that same package has integration tests, so the first test asks
//! cargo for all of them, in the profile and the target folder of the test (or of `prove`) itself. Cargo has let go of
//! its build lock by then, and an up-to-date build costs a fraction of a second.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// Folder with programs that are built already, instead of building them: `INLET_BIN_DIR=target/release`.
const BIN_DIR: &str = "INLET_BIN_DIR";

/// The path of `inlet-control-plane`, `inlet-agent` or `lbctl`.
///
/// Panics if it cannot be built.
pub fn program(name: &str) -> PathBuf {
    static FOLDER: LazyLock<PathBuf> = LazyLock::new(built);
    let path = FOLDER.join(name);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

/// Root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}

fn built() -> PathBuf {
    if let Some(folder) = env::var_os(BIN_DIR) {
        return std::path::absolute(&folder).expect("a folder");
    }
    let program = env::current_exe().expect("the path of this program");
    let folder = profile_folder(&program)
        .expect("this runs from target/PROFILE")
        .to_owned();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(profile) => profile,
    };
    let target = folder.parent().expect("the target folder");
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args([
            "build",
            "--quiet",
            "--workspace",
            "--bins",
            "--profile",
            profile,
            "--target-dir",
        ])
        .arg(target)
        .current_dir(workspace())
        .status()
        .expect("cargo starts");
    assert!(
        status.success(),
        "cargo build --workspace --bins failed: {status}"
    );
    folder
}

/// `target/PROFILE` of a program of ours: tests are in its folder `deps`, other programs right there.
fn profile_folder(program: &Path) -> Option<&Path> {
    let folder = program.parent()?;
    if folder.ends_with("deps") {
        folder.parent()
    } else {
        Some(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_found_from_a_test_and_from_a_program() {
        for path in [
            "/w/target/release/deps/e2e-0123456789abcdef",
            "/w/target/release/prove",
        ] {
            let folder = profile_folder(Path::new(path));
            assert_eq!(folder, Some(Path::new("/w/target/release")));
        }
    }
}
