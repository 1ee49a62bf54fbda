//! Command lines that are taken, and those that are not.

use clap::CommandFactory;

use super::*;

fn parsed(line: &str) -> Result<Flags, clap::Error> {
    Flags::try_parse_from(line.split(' '))
}

#[test]
fn the_command_line_is_consistent() {
    Flags::command().debug_assert();
}

#[test]
fn good_command_lines_are_taken() {
    for line in [
        "lbctl apply -f shop.yaml",
        "lbctl apply -f a -f b --prune --wait --message text",
        "lbctl apply -f - --wait=5s -o json",
        "lbctl apply -f a --dry-run",
        "lbctl diff -f a",
        "lbctl diff 1 2",
        "lbctl diff 1 --exit-code",
        "lbctl get rules",
        "lbctl get rule shop/http/a shop/http/b -o name",
        "lbctl get rules --parent shop/http --filter priority=1",
        "lbctl --server http://a:1 get listeners",
        "lbctl describe target-group catalog",
        "lbctl delete rule shop/http/a --dry-run",
        "lbctl delete -f a --wait",
        "lbctl target add catalog 127.0.0.1 [::1]:80 --weight 3",
        "lbctl target remove catalog 127.0.0.1:80",
        "lbctl target health catalog",
        "lbctl agent list",
        "lbctl agent describe edge-1",
        "lbctl history",
        "lbctl history -n 5",
        "lbctl history show 7",
        "lbctl rollback 3 --dry-run",
        "lbctl watch",
        "lbctl watch rules --after 3",
        "lbctl backup file",
        "lbctl restore file --dry-run",
        "lbctl completion zsh",
        "lbctl demo --check",
        "lbctl version",
    ] {
        assert!(parsed(line).is_ok(), "{line}");
    }
}

#[test]
fn what_is_no_kind_is_shown_elsewhere() {
    for (line, command) in [
        ("lbctl get agents", Some("lbctl agent list")),
        ("lbctl describe agent edge-1", Some("lbctl agent list")),
        ("lbctl watch history", Some("lbctl history")),
        ("lbctl get rulez", None),
        ("lbctl completion agents", None),
    ] {
        let Err(error) = parsed(line) else {
            panic!("taken: {line}")
        };
        assert_eq!(
            elsewhere(&error).map(|(_, command)| command),
            command,
            "{line}"
        );
        assert_eq!(status(&error), 2, "{line}");
    }
}

#[test]
fn wrong_command_lines_exit_with_2_and_later_ones_with_1() {
    for (line, expected) in [
        ("lbctl", 2),
        ("lbctl aply", 2),
        ("lbctl apply", 2),
        ("lbctl apply -f a --wait=soon", 2),
        ("lbctl apply -f a --wait --dry-run", 2),
        ("lbctl diff", 2),
        ("lbctl diff -f a 1", 2),
        ("lbctl diff 1 2 3", 2),
        ("lbctl get", 2),
        ("lbctl get rulez", 2),
        ("lbctl get rule a --parent b", 2),
        ("lbctl delete", 2),
        ("lbctl delete rule", 2),
        ("lbctl delete rule a -f b", 2),
        ("lbctl target add catalog", 2),
        ("lbctl target add catalog example.com", 2),
        ("lbctl target add catalog 127.0.0.1 --weight 1000", 2),
        ("lbctl rollback one", 2),
        ("lbctl history -n 0", 2),
        ("lbctl history show", 2),
        ("lbctl get rules -o xml", 2),
        ("lbctl explain GET /", 1),
        ("lbctl top", 1),
        ("lbctl agent drain edge-1", 1),
        ("lbctl --help", 0),
        ("lbctl help apply", 0),
        ("lbctl --version", 0),
    ] {
        let Err(error) = parsed(line) else {
            panic!("taken: {line}")
        };
        assert_eq!(status(&error), expected, "{line}");
    }
}
