//! The long run: many seeds, every refusal, fault and protocol state often enough, and the same again for some.

#[cfg(test)]
mod tests {
    use openmesh_simulator::{Census, Options, run, run_many};

    const SEEDS: u64 = 1_200;
    /// How often everything that can occur must have occurred.
    const LEAST: u64 = 20;
    const MESSAGES_MIN: u64 = 200;
    const REPEATED: u64 = 30;

    #[test]
    fn a_thousand_seeds_keep_every_promise_and_show_everything_that_can_happen() {
        let reports = run_many(0, SEEDS, 2).unwrap_or_else(|broken| {
            let lines = broken.iter().map(|(seed, violation)| format!("seed {seed}: {violation}"));
            panic!("{}", lines.collect::<Vec<_>>().join("\n"));
        });
        let mut census = Census::default();
        for report in &reports {
            let (messages, crashes) = (report.census.messages(), report.census.crashes());
            assert!(messages >= MESSAGES_MIN, "seed {}: {messages} messages", report.seed);
            assert!(crashes >= 1, "seed {}: no crash", report.seed);
            census.add(&report.census);
        }
        println!("{}", census.table());
        println!("{} seeds, {} messages, {} crashes", reports.len(), census.messages(), census.crashes());
        assert_eq!(census.missing(LEAST), [], "too seldom");
    }

    #[test]
    fn a_seed_runs_byte_for_byte_the_same_twice() {
        for seed in 0..REPEATED {
            let options = Options::new(seed);
            assert_eq!(run(&options), run(&options), "seed {seed}");
        }
        assert_ne!(run(&Options::new(1)).map(|one| one.trace), run(&Options::new(2)).map(|two| two.trace));
    }
}
