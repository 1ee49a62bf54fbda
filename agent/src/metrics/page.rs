//! Writes Prometheus' text format: families with HELP and TYPE, then their series.

use std::fmt::Write;

/// What all names begin with.
const PREFIX: &str = "inlet_agent_";

/// How a family behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Only rises; its name ends in `_total`.
    Counter,
    /// Any value.
    Gauge,
    /// `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A page as it grows.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Begins a family: its series follow.
    pub(super) fn family(&mut self, name: &'static str, help: &str, form: Form) {
        debug_assert_eq!(form == Form::Counter, name.ends_with("_total"), "{name}");
        let kind = match form {
            Form::Counter => "counter",
            Form::Gauge => "gauge",
            Form::Histogram => "histogram",
        };
        self.family = name;
        self.write(format_args!(
            "# HELP {PREFIX}{name} {help}\n# TYPE {PREFIX}{name} {kind}\n"
        ));
    }

    /// One series.
    pub(super) fn series(&mut self, labels: &[(&str, &str)], value: u64) {
        self.part("", labels, value);
    }

    /// One series of a histogram.
    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: u64) {
        self.name(suffix, labels);
        self.write(format_args!(" {value}\n"));
    }

    /// One series of seconds, from microseconds.
    pub(super) fn seconds(&mut self, suffix: &str, labels: &[(&str, &str)], us: u64) {
        self.name(suffix, labels);
        self.write(format_args!(" {}.{:06}\n", us / 1_000_000, us % 1_000_000));
    }

    /// All of it.
    pub(super) fn text(self) -> String {
        self.text
    }

    fn name(&mut self, suffix: &str, labels: &[(&str, &str)]) {
        let family = self.family;
        self.write(format_args!("{PREFIX}{family}{suffix}"));
        for (place, (label, value)) in labels.iter().enumerate() {
            self.text.push(if place == 0 { '{' } else { ',' });
            self.text.push_str(label);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
    }

    fn escaped(&mut self, value: &str) {
        for character in value.chars() {
            match character {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                other => self.text.push(other),
            }
        }
    }

    fn write(&mut self, text: std::fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("writing to a String cannot fail");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_what_prometheus_reads() {
        let mut page = Page::default();
        page.family("things_total", "Things", Form::Counter);
        page.series(&[], 3);
        page.series(&[("a", "x\"y"), ("b", "\\\n")], 4);
        page.family("time_seconds", "Time", Form::Histogram);
        page.seconds("_sum", &[("a", "b")], 1_000_020);
        let expected = "# HELP inlet_agent_things_total Things\n\
                        # TYPE inlet_agent_things_total counter\n\
                        inlet_agent_things_total 3\n\
                        inlet_agent_things_total{a=\"x\\\"y\",b=\"\\\\\\n\"} 4\n\
                        # HELP inlet_agent_time_seconds Time\n\
                        # TYPE inlet_agent_time_seconds histogram\n\
                        inlet_agent_time_seconds_sum{a=\"b\"} 1.000020\n";
        assert_eq!(page.text(), expected);
    }
}
