//! What of flags, environment and settings wins, and what is said about wrong ones.

use super::*;

const SETTINGS: &str = "current-context: home
contexts:
  - {name: home, server: 'http://home:1', token: home-token}
  - {name: work, server: 'http://work:2'}
";

fn flags(server: Option<&str>, context: Option<&str>) -> GlobalFlags {
    GlobalFlags {
        server: server.map(str::to_owned),
        token: None,
        output: None,
        context: context.map(str::to_owned),
        no_color: false,
    }
}

fn environment(folder: &tempfile::TempDir, settings: &str, server: Option<&str>) -> Environment {
    let path = folder.path().join("config.yaml");
    std::fs::write(&path, settings).unwrap();
    Environment {
        settings: Some(path),
        server: server.map(str::to_owned),
        ..Environment::default()
    }
}

#[test]
fn what_is_said_most_directly_wins() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, context, variable, server) in [
        (
            Some("http://flag:9"),
            Some("work"),
            Some("http://variable:8"),
            "http://flag:9",
        ),
        (
            None,
            Some("work"),
            Some("http://variable:8"),
            "http://work:2",
        ),
        (None, None, Some("http://variable:8"), "http://variable:8"),
        (None, None, None, "http://home:1"),
    ] {
        let environment = environment(&folder, SETTINGS, variable);
        let config = Config::new(&flags(flag, context), &environment)
            .unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(config.server.as_str(), server);
    }
    let nothing = Config::new(&flags(None, None), &Environment::default());
    assert!(
        nothing
            .is_ok_and(|config| config.server.as_str() == DEFAULT_SERVER && config.token.is_none())
    );
}

#[test]
fn a_context_gives_its_token() {
    let folder = tempfile::tempdir().unwrap();
    let environment = environment(&folder, SETTINGS, None);
    let config = Config::new(&flags(None, None), &environment);
    assert!(config.is_ok_and(|config| config.token.as_deref() == Some("home-token")));
}

#[test]
fn wrong_settings_are_named() {
    let folder = tempfile::tempdir().unwrap();
    for (settings, context, status, said) in [
        (SETTINGS, Some("wrok"), 2, "did you mean 'work'?"),
        (SETTINGS, Some("elsewhere"), 2, "it has home, work"),
        ("", Some("home"), 2, "it has none"),
        ("current-context: gone\n", None, 2, "no context 'gone'"),
        ("a: [\n", None, 1, "config.yaml:"),
        ("curent-context: home\n", None, 1, "curent-context"),
        ("contexts: [{server: 'http://a'}]\n", None, 1, "name"),
    ] {
        let environment = environment(&folder, settings, None);
        let Err(error) = Config::new(&flags(None, context), &environment) else {
            panic!("{settings}")
        };
        let lines = error.lines().join("\n");
        assert!(lines.contains(said), "{lines}");
        assert_eq!(error.status(), status, "{lines}");
    }
}

#[test]
fn authors_are_user_and_host_as_far_as_they_are_printable() {
    let author = |user: Option<&str>, host: Option<&str>| {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Environment {
            user: text(user),
            host: text(host),
            ..Environment::default()
        }
        .author()
    };
    assert_eq!(
        author(Some("alice"), Some("desk\n")).as_deref(),
        Some("alice@desk")
    );
    assert_eq!(author(Some("alice"), None).as_deref(), Some("alice"));
    assert_eq!(author(Some("älice"), Some("desk")), None);
    assert_eq!(author(None, Some("desk")), None);
}
