//! KIND and NAME as they are typed: `load-balancers`, `target-group`; `shop/https/catalog`.

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use inlet_proto::kind::Kind;
use inlet_proto::name::Key;

use crate::error::Error;

/// Words that people bring from elsewhere.
const ALSO: [(&str, Kind); 6] = [
    ("lb", Kind::LoadBalancer),
    ("loadbalancer", Kind::LoadBalancer),
    ("loadbalancers", Kind::LoadBalancer),
    ("tg", Kind::TargetGroup),
    ("targetgroup", Kind::TargetGroup),
    ("targetgroups", Kind::TargetGroup),
];

/// Takes the plural, the singular, the name in manifests and what is usual elsewhere; completes the plural and
/// suggests near misses.
pub(crate) fn parser() -> impl TypedValueParser<Value = Kind> {
    let value = |kind: &Kind| PossibleValue::new(kind.plural()).aliases(aliases(*kind));
    PossibleValuesParser::new(Kind::ALL.iter().map(value)).map(|word| {
        let also = ALSO.iter().find(|(known, _)| *known == word);
        also.map(|(_, kind)| *kind)
            .or_else(|| Kind::from_word(&word))
            .expect("only words of kinds are let through")
    })
}

fn aliases(kind: Kind) -> impl Iterator<Item = &'static str> {
    let also = ALSO.iter().filter(move |(_, also)| *also == kind);
    [kind.singular(), kind.name()]
        .into_iter()
        .chain(also.map(|(word, _)| *word))
}

/// The address of a resource. Errors: wrong use, with the form that a name of this kind has.
pub(crate) fn key(kind: Kind, name: &str) -> Result<Key, Error> {
    Key::of(kind, name).map_err(|error| Error::Usage(error.to_string()))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    fn parse(word: &str) -> Result<Kind, String> {
        let command = Command::new("x").arg(Arg::new("kind").value_parser(parser()));
        let matches = command.try_get_matches_from(["x", word]);
        matches
            .map(|matches| *matches.get_one::<Kind>("kind").unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn kinds_are_taken_in_singular_plural_and_as_in_manifests() {
        for kind in Kind::ALL {
            for word in [kind.singular(), kind.plural(), kind.name()] {
                assert_eq!(parse(word), Ok(*kind));
            }
        }
        for (word, kind) in [
            ("lb", Kind::LoadBalancer),
            ("loadbalancers", Kind::LoadBalancer),
            ("tg", Kind::TargetGroup),
            ("targetgroup", Kind::TargetGroup),
        ] {
            assert_eq!(parse(word), Ok(kind));
        }
    }

    #[test]
    fn near_misses_are_suggested() {
        for (word, near) in [
            ("rulez", "rules"),
            ("target-grups", "target-groups"),
            ("lisener", "listeners"),
        ] {
            let error = parse(word).unwrap_err();
            assert!(error.contains(word) && error.contains(near), "{error}");
        }
        assert!(parse("no-such-kind").unwrap_err().contains("no-such-kind"));
    }

    #[test]
    fn a_name_that_does_not_fit_the_kind_says_the_form() {
        let error = key(Kind::Listener, "shop").unwrap_err();
        assert_eq!(error.status(), 2);
        assert!(error.lines()[0].contains("loadBalancer/listener"));
    }
}
