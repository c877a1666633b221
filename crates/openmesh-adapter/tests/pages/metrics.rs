//! `docs/operating/metrics.md` lists every metric as `metrics.rs` describes it.
//!
//! `OPENMESH_WRITE_DOCS=1 cargo test -p openmesh-adapter --test pages` writes the table anew.

use openmesh_adapter::metrics::METRICS;
use std::fmt::Write;
use std::path::Path;

const BEGIN: &str = "<!-- metrics: written by crates/openmesh-adapter/tests/pages/metrics.rs -->\n";
const END: &str = "<!-- end of metrics -->\n";

fn table() -> String {
    let mut table = String::from("\n| in Prometheus | kind | labels | what it tells |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: Vec<_> =
            metric.labels.iter().map(|label| format!("`{}`", label.replace('.', "_"))).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(" ") };
        let (name, kind, help) = (metric.prometheus_name(), metric.kind, metric.help());
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |").unwrap();
    }
    table.push('\n');
    table
}

#[test]
fn the_page_lists_every_metric() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operating/metrics.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("OPENMESH_WRITE_DOCS").is_some() {
        return std::fs::write(&page, &expected).unwrap();
    }
    assert!(text == expected, "run again with OPENMESH_WRITE_DOCS=1 and look at what changed");
}

#[test]
fn names_are_said_once_and_help_is_a_sentence() {
    let mut names: Vec<_> = METRICS.iter().map(openmesh_adapter::metrics::Metric::prometheus_name).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    for metric in METRICS {
        assert!(metric.help().ends_with('.'), "{}", metric.name);
    }
}
