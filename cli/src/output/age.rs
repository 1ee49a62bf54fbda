//! How long ago, and when: as people read it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `5s`, `5m`, `5h`, `5d` or `5y`: the largest unit of which there is one; `-` if the time is not known. What lies
/// ahead, because clocks differ, is `0s`.
pub(crate) fn age(now: SystemTime, then: Option<&prost_types::Timestamp>) -> String {
    let Some(then) = then.and_then(system_time) else {
        return "-".to_owned();
    };
    short(now.duration_since(then).unwrap_or_default())
}

/// A duration in its largest unit.
pub(crate) fn short(duration: Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(365 * 86_400, "y"), (86_400, "d"), (3600, "h"), (60, "m")];
    let seconds = duration.as_secs();
    let unit = UNITS.iter().find(|(length, _)| seconds >= *length);
    unit.map_or_else(
        || format!("{seconds}s"),
        |(length, unit)| format!("{}{unit}", seconds / length),
    )
}

/// `2026-11-03 10:00:12` in a time zone; `-` if the time is not known.
pub(crate) fn date(then: Option<&prost_types::Timestamp>, zone: &TimeZone) -> String {
    let known = then.and_then(|then| Timestamp::new(then.seconds, then.nanos).ok());
    known.map_or_else(
        || "-".to_owned(),
        |time| {
            time.to_zoned(zone.clone())
                .strftime("%Y-%m-%d %H:%M:%S")
                .to_string()
        },
    )
}

fn system_time(time: &prost_types::Timestamp) -> Option<SystemTime> {
    let seconds = u64::try_from(time.seconds).ok()?;
    let nanos = u32::try_from(time.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)?;
    UNIX_EPOCH.checked_add(Duration::new(seconds, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> prost_types::Timestamp {
        prost_types::Timestamp { seconds, nanos: 0 }
    }

    #[test]
    fn ages_have_one_unit() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for (ago, text) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m"),
            (3599, "59m"),
            (3600, "1h"),
            (86_399, "23h"),
            (86_400, "1d"),
            (364 * 86_400, "364d"),
            (3 * 365 * 86_400, "3y"),
            (-10, "0s"),
        ] {
            assert_eq!(age(now, Some(&at(1_000_000_000 - ago))), text);
        }
        assert_eq!(age(now, None), "-");
        assert_eq!(age(now, Some(&at(i64::MIN))), "-");
    }

    #[test]
    fn dates_are_in_the_zone_asked_for() {
        assert_eq!(
            date(Some(&at(1_000_000_000)), &TimeZone::UTC),
            "2001-09-09 01:46:40"
        );
        assert_eq!(date(Some(&at(i64::MAX)), &TimeZone::UTC), "-");
        assert_eq!(date(None, &TimeZone::UTC), "-");
    }
}
