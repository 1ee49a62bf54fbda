//! The shape of the code: who may know whom, how long a file and a function may be, and that each file and each public
//! item says what it is for.

use std::fs;
use std::path::{Path, PathBuf};

use inlet_tests::programs::workspace;

/// Longest file. The shape to aim for is 100 to 300 lines.
const MAX_LINES: usize = 700;

/// Longest function. The shape to aim for is 5 to 15 lines; a long table of cases is a constant beside its function.
const MAX_FUNCTION_LINES: usize = 100;

const PACKAGES: [&str; 5] = ["proto", "control-plane", "agent", "cli", "tests"];

/// One direction in which names must not go.
struct Direction {
    /// Files or folders, from the root of the workspace.
    places: &'static [&'static str],
    /// Files or folders in these where the names are at home.
    except: &'static [&'static str],
    /// Paths or types that must not be named.
    names: &'static [&'static str],
    /// Why.
    reason: &'static str,
}

const DIRECTIONS: &[Direction] = &[
    Direction {
        places: &["proto/src"],
        except: &[],
        names: &[
            "inlet_control_plane::",
            "inlet_agent::",
            "lbctl::",
            "inlet_tests::",
        ],
        reason: "the language knows nothing of ours",
    },
    Direction {
        places: &["control-plane/src"],
        except: &[],
        names: &["inlet_agent::", "lbctl::", "inlet_tests::"],
        reason: "the programs never import each other",
    },
    Direction {
        places: &["agent/src"],
        except: &[],
        names: &["inlet_control_plane::", "lbctl::", "inlet_tests::"],
        reason: "the programs never import each other",
    },
    Direction {
        places: &["cli/src"],
        except: &["cli/src/command/demo", "cli/src/demo"],
        names: &["inlet_control_plane::", "inlet_agent::", "inlet_tests::"],
        reason: "ordinary commands go through the API",
    },
    Direction {
        places: &["control-plane/src"],
        except: &["control-plane/src/store"],
        names: &["sled::"],
        reason: "only store/ names a database",
    },
    Direction {
        places: &["control-plane/src"],
        except: &["control-plane/src/api"],
        names: &["tonic::", "axum::"],
        reason: "only api/ names the RPC framework",
    },
    Direction {
        places: &["agent/src"],
        except: &["agent/src/discovery/stream"],
        names: &["tonic::"],
        reason: "only discovery/stream.rs names the RPC framework",
    },
    Direction {
        places: &["agent/src"],
        except: &[
            "agent/src/edge",
            "agent/src/l4",
            "agent/src/http",
            "agent/src/health/prober",
            "agent/src/discovery/stream",
            // The admin address, which start.rs binds before anything else.
            "agent/src/admin",
            "agent/src/start",
        ],
        names: &["TcpStream", "TcpListener", "UdpSocket"],
        reason: "sockets belong to those who serve, probe or follow",
    },
    Direction {
        places: &[
            "agent/src/table",
            "agent/src/live",
            "agent/src/http",
            "agent/src/l4",
            "agent/src/edge",
            "agent/src/matching",
            "agent/src/balance",
        ],
        except: &[],
        names: &["inlet_proto::"],
        reason: "only compile/ knows both messages and tables",
    },
    Direction {
        places: &[
            "control-plane/src/model",
            "control-plane/src/view",
            "control-plane/src/fleet/exchange",
            "control-plane/src/fleet/introduce",
            "control-plane/src/fleet/session",
            "agent/src/compile",
            "agent/src/table",
            "agent/src/matching",
            "agent/src/balance",
            "agent/src/discovery/exchange",
            "agent/src/health/verdict",
            "agent/src/live",
            "agent/src/http/chunked",
            "agent/src/http/failure",
            "agent/src/http/forward",
            "agent/src/http/head",
            "agent/src/http/redirect",
            "agent/src/http/request",
            "agent/src/http/respond",
            "agent/src/http/response",
            "agent/src/http/target",
            "agent/src/http/trace",
            "proto/src",
        ],
        except: &["proto/src/lib.rs"],
        names: &[
            "tokio::",
            "tonic::",
            "rustix::",
            "socket2::",
            "std::fs::",
            "TcpStream",
            "TcpListener",
            "UdpSocket",
            "SystemTime",
            "Instant::now",
            "fastrand::",
        ],
        reason: "what decides has no runtime, socket, file, clock or chance",
    },
];

#[test]
fn whoever_is_above_may_import_what_is_below_and_never_the_reverse() {
    let files = sources();
    let mut found = Vec::new();
    for Direction {
        places,
        except,
        names,
        reason,
    } in DIRECTIONS
    {
        for (path, text) in files
            .iter()
            .filter(|(path, _)| within(path, places) && !within(path, except) && !is_test(path))
        {
            let lines = program(text).filter(|line| names.iter().any(|name| names_it(line, name)));
            found.extend(lines.map(|line| format!("{path}: `{}`: {reason}", line.trim())));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_is_short_says_what_it_is_for_and_has_a_name() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        if text.lines().count() > MAX_LINES {
            found.push(format!("{path}: {} lines", text.lines().count()));
        }
        let first = text
            .lines()
            .find(|line| !line.starts_with("#![") && !line.is_empty());
        if !first.is_some_and(|line| line.starts_with("//!")) {
            found.push(format!("{path}: no module comment"));
        }
        if path.ends_with("/mod.rs") {
            found.push(format!("{path}: x.rs beside x/, not x/mod.rs"));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_function_can_be_read_at_once() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        let starts = (0..lines.len()).filter(|line| begins_function(lines[*line]));
        for start in starts {
            let length = length_of_item(&lines[start..]);
            if length > MAX_FUNCTION_LINES {
                found.push(format!("{path}:{}: {length} lines", start + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_public_item_says_what_it_is() {
    let mut found = Vec::new();
    for (path, text) in sources() {
        let lines: Vec<_> = text.lines().collect();
        let items = (0..lines.len()).filter(|line| is_public_item(lines[*line]));
        for item in items {
            if !is_documented(&lines[..item]) {
                found.push(format!("{path}:{}: {}", item + 1, lines[item].trim()));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_package_has_the_lints_of_the_workspace() {
    for package in PACKAGES {
        let manifest = fs::read_to_string(workspace().join(package).join("Cargo.toml")).unwrap();
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{package}/Cargo.toml"
        );
    }
    let settings = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    for lint in ["unsafe_code = \"deny\"", "missing_docs = \"warn\""] {
        assert!(settings.contains(lint), "{lint} is not set");
    }
}

#[test]
fn the_rules_see_what_they_are_about() {
    let lines = [
        "    pub(crate) async fn f(",
        "        a: u8,",
        "    ) {",
        "    }",
        "}",
    ];
    assert!(begins_function(lines[0]) && !begins_function("fn f() {}"));
    assert_eq!(length_of_item(&lines), 4);
    assert!(is_public_item("    pub const fn f() {") && is_public_item("pub struct S;"));
    assert!(!is_public_item("pub use a::b;") && !is_public_item("pub mod m;"));
    assert!(is_documented(&["/// It.", "#[derive(", "    Debug", ")]"]));
    assert!(!is_documented(&["/// Another.", "struct T;", ""]) && !is_documented(&[]));
}

/// Whether a function with a body of several lines begins on this one.
fn begins_function(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().collect();
    let before = words.iter().take_while(|word| **word != "fn");
    let is_head = before
        .clone()
        .all(|word| word.starts_with("pub") || ["const", "async", "unsafe"].contains(word));
    is_head && before.count() < words.len() && !line.ends_with([';', '}'])
}

/// Lines up to the one that ends what begins on the first: as deep as that, a brace. A declaration ends with `;`.
fn length_of_item(lines: &[&str]) -> usize {
    let depth = |line: &str| line.len() - line.trim_start().len();
    let first = depth(lines[0]);
    let ends = |line: &&str| {
        !line.is_empty() && depth(line) == first && (line.trim() == "}" || line.ends_with(';'))
    };
    let end = lines.iter().skip(1).position(ends);
    end.map_or(1, |end| end + 2)
}

/// Modules say it in their own files, and `use` names what is said elsewhere.
fn is_public_item(line: &str) -> bool {
    const KEYWORDS: [&str; 9] = [
        "fn", "struct", "enum", "trait", "const", "static", "type", "async", "unsafe",
    ];
    let words = line.trim_start().strip_prefix("pub ");
    words.is_some_and(|words| KEYWORDS.contains(&words.split(' ').next().unwrap_or_default()))
}

/// Whether a doc comment stands above, attributes between them left out.
fn is_documented(above: &[&str]) -> bool {
    let mut in_attribute = false;
    for line in above.iter().rev().map(|line| line.trim()) {
        let begins_attribute = line.starts_with("#[");
        match in_attribute {
            true => in_attribute = !begins_attribute,
            false if begins_attribute => {}
            false if line == ")]" => in_attribute = true,
            false => return line.starts_with("///"),
        }
    }
    false
}

/// The lines of a file that are neither comments nor tests.
fn program(text: &str) -> impl Iterator<Item = &str> {
    let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
    text[..tests]
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
}

/// Whether a line names something: `tokio::` as the begin of a path, `TcpStream` as a whole word.
fn names_it(line: &str, name: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    line.match_indices(name).any(|(start, _)| {
        let bytes = line.as_bytes();
        let before = start.checked_sub(1).is_some_and(|at| word(bytes[at]));
        let after = !name.ends_with(':')
            && bytes
                .get(start + name.len())
                .is_some_and(|byte| word(*byte));
        !before && !after
    })
}

/// Whether a path is one of these files, or below one of these folders.
fn within(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        path.strip_prefix(place)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '.', '_']))
    })
}

/// Whether a file has only tests of its module.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

/// All Rust files of the workspace: (path from its root, text).
fn sources() -> Vec<(String, String)> {
    let root = workspace();
    let mut found = Vec::new();
    for package in PACKAGES {
        collect(&root.join(package), root, &mut found);
    }
    assert!(
        found.len() > 20,
        "the sources are not where they are expected"
    );
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<(String, String)>) {
    let entries: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    for path in entries {
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
}
