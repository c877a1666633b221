//! What libFuzzer says at the end of a run, as one row of a table.

use std::time::Duration;

/// The figures of one target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) target: String,
    pub(crate) executions: u64,
    pub(crate) took: Duration,
    /// Edges of the program that were seen.
    pub(crate) coverage: u64,
    /// Edges by how often they were taken, and comparisons.
    pub(crate) features: u64,
    /// Inputs that the run added to the corpus.
    pub(crate) added: u64,
    pub(crate) memory_mib: u64,
    /// Where the input is that broke it, or what else ended the run.
    pub(crate) broken: Option<String>,
}

impl Figures {
    /// Stands above rows.
    pub(crate) const HEADING: &str =
        "target               executions  seconds   per second  coverage  features   added    MiB  broken by";

    /// Figures from everything that libFuzzer printed.
    pub(crate) fn read(target: &str, printed: &str, success: bool, took: Duration) -> Self {
        let mut figures = Self { target: target.to_owned(), took, ..Self::default() };
        for line in printed.lines() {
            figures.read_line(line);
        }
        if figures.broken.is_none() && !success {
            let last = printed.lines().rev().find(|line| !line.trim().is_empty());
            figures.broken = Some(last.unwrap_or("it ended without a word").to_owned());
        }
        figures
    }

    fn read_line(&mut self, line: &str) {
        if let Some((name, value)) = line.strip_prefix("stat::").and_then(|rest| rest.split_once(':')) {
            let value = value.trim().parse().unwrap_or(0);
            match name {
                "number_of_executed_units" => self.executions = value,
                "new_units_added" => self.added = value,
                "peak_rss_mb" => self.memory_mib = value,
                _ => {}
            }
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.broken = Some(path.to_owned());
        } else if line.starts_with('#') {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                match word {
                    "cov:" => self.coverage = number(words.next()),
                    "ft:" => self.features = number(words.next()),
                    _ => {}
                }
            }
        }
    }

    /// One row.
    pub(crate) fn row(&self) -> String {
        let seconds = self.took.as_secs_f64();
        let per_second = (self.executions as f64 / seconds.max(0.001)) as u64;
        format!(
            "{:<20} {:>10}  {seconds:>7.1}  {per_second:>11}  {:>8}  {:>8}  {:>6}  {:>5}  {}",
            self.target,
            self.executions,
            self.coverage,
            self.features,
            self.added,
            self.memory_mib,
            self.broken.as_deref().unwrap_or("-")
        )
    }
}

fn number(word: Option<&str>) -> u64 {
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::Figures;
    use std::time::Duration;

    const DONE: &str = "\
INFO: Running with entropic power schedule (0xFF, 100).
#2\tINITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb
#4096\tpulse  cov: 340 ft: 900 corp: 80/3Kb lim: 43 exec/s: 2048 rss: 40Mb
#100000\tDONE   cov: 352 ft: 1011 corp: 93/4Kb lim: 1000 exec/s: 50000 rss: 61Mb
Done 100000 runs in 2 second(s)
stat::number_of_executed_units: 100000
stat::average_exec_per_sec:     50000
stat::new_units_added:          91
stat::slowest_unit_time_sec:    0
stat::peak_rss_mb:              61
";

    #[test]
    fn a_run_to_its_end_is_read() {
        let figures = Figures::read("json", DONE, true, Duration::from_secs(2));
        let expected = Figures {
            target: "json".to_owned(),
            executions: 100_000,
            took: Duration::from_secs(2),
            coverage: 352,
            features: 1_011,
            added: 91,
            memory_mib: 61,
            broken: None,
        };
        assert_eq!(figures, expected);
        assert!(figures.row().contains("100000      2.0        50000"), "{}", figures.row());
    }

    #[test]
    fn a_broken_target_names_its_input_or_its_last_words() {
        let crash = "#7\tNEW    cov: 5 ft: 6\nthread panicked\nartifact_prefix='x/'; Test unit written to x/crash-1\n";
        let figures = Figures::read("json", crash, false, Duration::from_secs(1));
        assert_eq!((figures.broken.as_deref(), figures.coverage), (Some("x/crash-1"), 5));
        let figures = Figures::read("json", "cannot execute\n\n", false, Duration::from_secs(1));
        assert_eq!(figures.broken.as_deref(), Some("cannot execute"));
    }
}
