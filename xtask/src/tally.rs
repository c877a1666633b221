//! Counting tests: reads the summary lines of nextest and libtest, and `not run:` lines.

/// What begins a line that names something a test wanted and did not find.
pub(crate) const NOT_RUN: &str = "not run:";

/// How the output of a suite is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// The suite as a whole is one test.
    Whole,
    /// By nextest's summary line; what a failed test printed may hold libtest's.
    Nextest,
    /// By libtest's line for each test program.
    Libtest,
    /// By pytest's last line; what it skipped is named by `not run:` lines.
    Pytest,
}

/// Counts of a suite or of everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Tests that the runner left out, and everything in `not_run`.
    pub(crate) skipped: u64,
    /// What was wanted and not found, as it was printed.
    pub(crate) not_run: Vec<String>,
}

impl Tally {
    /// Reads one line of output.
    pub(crate) fn read(&mut self, line: &str, counting: Counting) {
        let line = without_colours(line);
        let line = line.trim();
        if line.starts_with(NOT_RUN) {
            self.note_not_run(line);
        } else {
            self.read_summary(line, counting);
        }
    }

    /// Reads what tests printed, kept by nextest; only `not run:` lines count there.
    pub(crate) fn read_kept(&mut self, kept: &str) {
        for line in kept.lines().map(str::trim) {
            if line.starts_with(NOT_RUN) {
                self.note_not_run(line);
            }
        }
    }

    /// Adds up.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.not_run.extend(other.not_run);
    }

    /// The closing line.
    pub(crate) fn closing_line(&self) -> String {
        format!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }

    fn note_not_run(&mut self, line: &str) {
        if !self.not_run.iter().any(|noted| noted == line) {
            self.skipped += 1;
            self.not_run.push(line.to_owned());
        }
    }

    fn read_summary(&mut self, line: &str, counting: Counting) {
        let counts = match counting {
            Counting::Whole => None,
            Counting::Nextest if line.starts_with("Summary [") => line.split_once(" run: "),
            Counting::Nextest => None,
            Counting::Libtest => {
                line.strip_prefix("test result: ").and_then(|result| result.split_once(". "))
            }
            Counting::Pytest => {
                return self.read_pytest(line);
            }
        };
        let counts = counts.map(|(_, counts)| counts);
        for count in without_brackets(counts.unwrap_or_default()).split([',', ';']) {
            self.count(count.trim());
        }
    }

    /// Reads `1 failed, 3 passed, 2 skipped in 0.30s`.
    fn read_pytest(&mut self, line: &str) {
        let Some((counts, time)) = line.trim_matches([' ', '=']).rsplit_once(" in ") else {
            return;
        };
        if !time.starts_with(|c: char| c.is_ascii_digit()) {
            return;
        }
        for count in counts.split(',').map(str::trim) {
            match count.split_once(' ') {
                Some((_, "skipped")) => {}
                Some((number, "error" | "errors")) => self.count(&format!("{number} failed")),
                _ => self.count(count),
            }
        }
    }

    /// Reads `3 passed`, `1 timed out` and the like; what was measured or filtered is no test run.
    fn count(&mut self, text: &str) {
        let Some((number, what)) = text.split_once(' ') else {
            return;
        };
        let Ok(number) = number.parse::<u64>() else {
            return;
        };
        match what {
            "passed" => self.passed += number,
            "skipped" | "ignored" => self.skipped += number,
            "failed" | "timed out" | "exec failed" | "exec-failed" => self.failed += number,
            _ => {}
        }
    }
}

/// Removes terminal control sequences (ECMA-48 CSI).
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        if c == '\u{1b}' {
            characters.by_ref().find(char::is_ascii_alphabetic);
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Removes what stands in round brackets.
fn without_brackets(text: &str) -> String {
    let mut depth = 0_usize;
    let mut outside = String::new();
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            c if depth == 0 => outside.push(c),
            _ => {}
        }
    }
    outside
}

#[cfg(test)]
mod tests {
    use super::{Counting, Tally};

    fn tally(counting: Counting, lines: &[&str]) -> (u64, u64, u64) {
        let mut tally = Tally::default();
        for line in lines {
            tally.read(line, counting);
        }
        (tally.passed, tally.failed, tally.skipped)
    }

    #[test]
    fn reads_both_runners() {
        let nextest = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.185s] 16/20 tests run: 12 passed (1 slow, 2 flaky), 3 failed, 1 timed out, 2 skipped";
        let libtest = "test result: FAILED. 5 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.1s";
        assert_eq!(tally(Counting::Nextest, &[nextest, libtest]), (12, 4, 2));
        assert_eq!(tally(Counting::Libtest, &[libtest, libtest]), (10, 2, 4));
        assert_eq!(tally(Counting::Libtest, &["test a ... ok", "Summary of 3 passed"]), (0, 0, 0));
        let pytest = "1 failed, 17 passed, 28 skipped, 2 errors in 0.30s";
        assert_eq!(tally(Counting::Pytest, &["E  1 failed in 3 steps", pytest]), (17, 3, 0));
        assert_eq!(tally(Counting::Pytest, &["==== 3 passed in 1.20s ====", "passed in"]), (3, 0, 0));
    }

    #[test]
    fn what_did_not_run_is_counted_once_and_named() {
        let mut tally = Tally::default();
        tally.read("not run: redis", Counting::Whole);
        tally.read_kept("<system-out>\nnot run: redis\n  not run: kafka\nwas not run: no\n");
        assert_eq!(tally.not_run, ["not run: redis", "not run: kafka"]);
        assert_eq!(tally.closing_line(), "0 passed, 0 failed, 2 skipped");
    }
}
