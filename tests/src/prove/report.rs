//! Figures against their bounds, a line each as soon as it is known.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

/// Examples of what went wrong that are shown below a figure.
const MAX_EXAMPLES: usize = 10;

/// A figure with its unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quantity {
    /// A number of something.
    Count(u64),
    /// A duration.
    Time(Duration),
    /// A number of bytes.
    Bytes(u64),
    /// A number of something a second.
    PerSecond(f64),
}

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    AtMost(Quantity),
    AtLeast(Quantity),
    /// It is stated, not judged.
    None,
}

/// What becomes of a duration that has a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durations {
    /// It decides like every other figure.
    #[default]
    Judged,
    /// It is shown with its bound and decides nothing: other work on the machine would.
    Stated,
}

/// The figures of a run. Printed one by one; what is kept is whether all were good.
#[derive(Debug, Default)]
pub struct Report {
    durations: Durations,
    lines: usize,
    bad: usize,
}

impl Report {
    /// No figures yet.
    pub fn new(durations: Durations) -> Self {
        Self {
            durations,
            ..Self::default()
        }
    }

    /// A figure that must not be above its bound.
    pub fn at_most(&mut self, name: &str, measured: Quantity, bound: Quantity) {
        self.line(name, measured, Bound::AtMost(bound));
    }

    /// A figure that must not be below its bound.
    pub fn at_least(&mut self, name: &str, measured: Quantity, bound: Quantity) {
        self.line(name, measured, Bound::AtLeast(bound));
    }

    /// A figure that is stated and not judged.
    pub fn stated(&mut self, name: &str, measured: Quantity) {
        self.line(name, measured, Bound::None);
    }

    /// A number of mishaps, which must be none; the first ones are shown.
    pub fn none(&mut self, name: &str, count: usize, examples: &[String]) {
        self.at_most(name, Quantity::count(count), Quantity::Count(0));
        for example in examples.iter().take(MAX_EXAMPLES) {
            println!("    {example}");
        }
    }

    /// Whether every figure was within its bound, and there was at least one.
    pub fn is_good(&self) -> bool {
        self.lines > 0 && self.bad == 0
    }

    fn line(&mut self, name: &str, measured: Quantity, bound: Bound) {
        if self.lines == 0 {
            println!("{}", row("figure", "measured", "bound", "ok"));
        }
        self.lines += 1;
        let verdict = if bound == Bound::None {
            "-"
        } else if bound.holds(measured) {
            "ok"
        } else if self.durations == Durations::Stated && matches!(measured, Quantity::Time(_)) {
            "above"
        } else {
            self.bad += 1;
            "FAILED"
        };
        println!(
            "{}",
            row(name, &measured.to_string(), &bound.to_string(), verdict)
        );
    }
}

impl Quantity {
    /// A number of something.
    pub fn count(count: usize) -> Self {
        Self::Count(count as u64)
    }
}

/// Only figures of one unit can be compared.
impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Count(one), Self::Count(two)) | (Self::Bytes(one), Self::Bytes(two)) => {
                one.partial_cmp(two)
            }
            (Self::Time(one), Self::Time(two)) => one.partial_cmp(two),
            (Self::PerSecond(one), Self::PerSecond(two)) => one.partial_cmp(two),
            _ => None,
        }
    }
}

impl Bound {
    fn holds(self, measured: Quantity) -> bool {
        match self {
            Self::AtMost(bound) => measured <= bound,
            Self::AtLeast(bound) => measured >= bound,
            Self::None => true,
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Time(time) if time < Duration::from_secs(1) => {
                write!(f, "{:.2} ms", time.as_secs_f64() * 1000.0)
            }
            Self::Time(time) => write!(f, "{:.2} s", time.as_secs_f64()),
            Self::Bytes(bytes) if bytes < 10_000 => write!(f, "{bytes} B"),
            Self::Bytes(bytes) => write!(f, "{:.1} MiB", bytes as f64 / f64::from(1 << 20)),
            Self::PerSecond(rate) => write!(f, "{rate:.0}/s"),
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {bound}"),
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
            Self::None => f.write_str("stated"),
        }
    }
}

fn row(name: &str, measured: &str, bound: &str, verdict: &str) -> String {
    format!("{name:<52} {measured:>14} {bound:>16}  {verdict}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_good_within_its_bound_and_bad_beyond() {
        let (two, three) = (Quantity::Count(2), Quantity::Count(3));
        for (bound, measured, holds) in [
            (Bound::AtMost(two), two, true),
            (Bound::AtMost(two), three, false),
            (Bound::AtLeast(three), three, true),
            (Bound::AtLeast(three), two, false),
            (Bound::None, three, true),
            // Another unit is a mistake of the run, never a success.
            (Bound::AtMost(three), Quantity::Bytes(1), false),
            (Bound::AtLeast(two), Quantity::Bytes(9), false),
        ] {
            assert_eq!(bound.holds(measured), holds, "{measured} {bound}");
        }
    }

    #[test]
    fn a_report_is_good_if_it_has_figures_and_all_are_good() {
        let mut report = Report::default();
        assert!(!report.is_good());
        report.stated("rounds", Quantity::Count(3));
        report.none("lost changes", 0, &[]);
        assert!(report.is_good());
        report.none("lost changes", 1, &["revision 7".to_owned()]);
        report.at_most("p99", Quantity::Count(1), Quantity::Count(2));
        assert!(!report.is_good());
    }

    #[test]
    fn on_a_busy_machine_a_duration_decides_nothing_and_everything_else_does() {
        let (short, long) = (Duration::from_millis(1), Duration::from_secs(1));
        let late = |report: &mut Report| {
            report.at_most("p99", Quantity::Time(long), Quantity::Time(short));
        };
        let (mut judged, mut stated) = (Report::default(), Report::new(Durations::Stated));
        late(&mut judged);
        late(&mut stated);
        assert!(!judged.is_good() && stated.is_good());
        stated.none("failed requests", 1, &[]);
        assert!(!stated.is_good());
    }

    #[test]
    fn quantities_are_printed_for_people() {
        for (quantity, expected) in [
            (Quantity::Count(1200), "1200"),
            (Quantity::Time(Duration::from_micros(1234)), "1.23 ms"),
            (Quantity::Time(Duration::from_millis(2500)), "2.50 s"),
            (Quantity::Bytes(1024), "1024 B"),
            (Quantity::Bytes(5 << 20), "5.0 MiB"),
            (Quantity::PerSecond(1234.5), "1234/s"),
        ] {
            assert_eq!(quantity.to_string(), expected);
        }
    }
}
