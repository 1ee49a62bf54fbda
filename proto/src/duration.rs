//! Durations as people write them: `60s`, `5m`, `1h30m`, `500ms`, `1.5s`; printed in the proto3 JSON form `90s`.

use prost_types::Duration;

/// The longest duration of protobuf, in seconds (about 10,000 years).
const MAX_SECONDS: u64 = 315_576_000_000;
const NANOS_PER_SECOND: u128 = 1_000_000_000;
/// Units in the order in which they may follow each other, with their length in nanoseconds.
const UNITS: [(&str, u128); 4] = [
    ("h", 3600 * NANOS_PER_SECOND),
    ("m", 60 * NANOS_PER_SECOND),
    ("s", NANOS_PER_SECOND),
    ("ms", 1_000_000),
];

/// Why a text is no duration; each has the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number alone.
    #[error("{0} has no unit: write for example {0}s")]
    NoUnit(String),
    /// Below zero.
    #[error("{0} is negative: a duration is not")]
    Negative(String),
    /// More than protobuf can hold.
    #[error("{0} is too long, {MAX_SECONDS}s is the longest duration")]
    TooLong(String),
    /// Something else.
    #[error("'{0}' is not a duration: write for example 60s, 5m, 1h30m, 500ms or 1.5s")]
    Syntax(String),
}

/// Reads one or more numbers with the units h, m, s and ms, each at most once and from long to short.
///
/// Errors: anything else; a number may have a fraction, down to the nanosecond.
pub fn parse(text: &str) -> Result<Duration, DurationError> {
    if let Some(positive) = text.strip_prefix('-') {
        let number = fixed_point(positive).or_else(|| nanos(positive));
        return Err(match number {
            Some(_) => DurationError::Negative(text.to_owned()),
            None => DurationError::Syntax(text.to_owned()),
        });
    }
    if fixed_point(text).is_some() {
        return Err(DurationError::NoUnit(text.to_owned()));
    }
    let nanos = nanos(text).ok_or_else(|| DurationError::Syntax(text.to_owned()))?;
    if nanos > u128::from(MAX_SECONDS) * NANOS_PER_SECOND {
        return Err(DurationError::TooLong(text.to_owned()));
    }
    Ok(Duration {
        seconds: i64::try_from(nanos / NANOS_PER_SECOND).expect("bounded by MAX_SECONDS"),
        nanos: i32::try_from(nanos % NANOS_PER_SECOND).expect("below a second"),
    })
}

/// The length in nanoseconds, saturating; `None` if it is not written as it must be.
fn nanos(text: &str) -> Option<u128> {
    let (mut rest, mut units, mut nanos) = (text, UNITS.as_slice(), 0_u128);
    while !rest.is_empty() || rest.len() == text.len() {
        let (number, tail) = rest.split_at(rest.find(|c: char| c.is_ascii_lowercase())?);
        let end = tail.find(|c: char| !c.is_ascii_lowercase());
        let (unit, tail) = tail.split_at(end.unwrap_or(tail.len()));
        let position = units.iter().position(|(name, _)| *name == unit)?;
        let (_, length) = units[position];
        let number = fixed_point(number)?;
        if !(number % NANOS_PER_SECOND * length).is_multiple_of(NANOS_PER_SECOND) {
            return None;
        }
        nanos = nanos.saturating_add(number.saturating_mul(length) / NANOS_PER_SECOND);
        (rest, units) = (tail, &units[position + 1..]);
    }
    Some(nanos)
}

/// The proto3 JSON form: seconds, with as many decimals as it takes.
pub fn format(duration: &Duration) -> String {
    let nanos = i128::from(duration.seconds) * 1_000_000_000 + i128::from(duration.nanos);
    let sign = if nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (
        nanos.unsigned_abs() / NANOS_PER_SECOND,
        nanos.unsigned_abs() % NANOS_PER_SECOND,
    );
    if nanos == 0 {
        return format!("{sign}{seconds}s");
    }
    let decimals = format!("{nanos:09}");
    format!("{sign}{seconds}.{}s", decimals.trim_end_matches('0'))
}

/// A decimal number in units of 10^-9; `None` if it is none, or has more than nine decimals.
fn fixed_point(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u128 = format!("{fraction:0<9}").parse().ok()?;
    Some(u128::from(whole) * NANOS_PER_SECOND + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, printed) in [
            ("60s", "60s"),
            ("5m", "300s"),
            ("1h", "3600s"),
            ("1h30m", "5400s"),
            ("1h1s", "3601s"),
            ("500ms", "0.5s"),
            ("1s5ms", "1.005s"),
            ("1.5s", "1.5s"),
            ("0.5m", "30s"),
            ("0s", "0s"),
            ("0.000000001s", "0.000000001s"),
            ("315576000000s", "315576000000s"),
        ] {
            let duration = parse(text).unwrap();
            assert_eq!(format(&duration), printed, "{text}");
            assert_eq!(parse(printed), Ok(duration), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_says_what_would_be() {
        let syntax = "is not a duration: write for example 60s, 5m, 1h30m, 500ms or 1.5s";
        for (text, message) in [
            ("60", "60 has no unit: write for example 60s".to_owned()),
            ("1.5", "1.5 has no unit: write for example 1.5s".to_owned()),
            ("-5s", "-5s is negative: a duration is not".to_owned()),
            ("-5", "-5 is negative: a duration is not".to_owned()),
            (
                "400000000000s",
                "400000000000s is too long, 315576000000s is the longest duration".to_owned(),
            ),
            (
                "18446744073709551615h",
                "18446744073709551615h is too long, 315576000000s is the longest duration"
                    .to_owned(),
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), message, "{text}");
        }
        for text in [
            "",
            "5x",
            "s",
            "5 s",
            "5m1h",
            "5s5s",
            "1.s",
            ".5s",
            "1..5s",
            "1h30",
            "-",
            "-s",
            "+5s",
            "５s",
            "0.0000000001s",
            "0.1234567891s",
            "0.0000001ms",
            "99999999999999999999999s",
            "é",
        ] {
            let found = parse(text).unwrap_err().to_string();
            assert_eq!(found, format!("'{text}' {syntax}"), "{text}");
        }
    }

    #[test]
    fn durations_out_of_range_still_print() {
        let print = |seconds, nanos| format(&Duration { seconds, nanos });
        assert_eq!(print(-1, -500_000_000), "-1.5s");
        assert_eq!(print(i64::MIN, i32::MIN), "-9223372036854775810.147483648s");
    }
}
