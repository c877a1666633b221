//! The report as a picture: bars of the first value of each figure, those of one setting against each other.

use super::{Figure, Report};
use crate::statistics::short;
use std::fmt::Write;

const WIDTH: usize = 900;
const MARGIN: usize = 16;
const LABEL_WIDTH: usize = 330;
const BAR_WIDTH: usize = 330;
const ROW_HEIGHT: usize = 20;
const TITLE_HEIGHT: usize = 34;
const GROUP_GAP: usize = 8;
const BAR_HEIGHT: usize = 13;
/// What the bars of the system under test belong to.
const OWN: &str = "OpenMesh";
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2933}.t{font-weight:600;font-size:14px}\
.v{font-size:12px;fill:#52606d}.o{fill:#2b6cb0}.p{fill:#9aa5b1}";

/// Draws the report.
pub(super) fn draw(report: &Report) -> String {
    let mut chart = Chart { y: MARGIN, body: String::new() };
    for row in report.rows.iter().filter(|row| !row.figures.is_empty()) {
        chart.title(&format!("{} {}", row.id, row.title));
        for group in row.figures.chunk_by(|one, next| one.setting == next.setting) {
            chart.group(group);
        }
    }
    chart.finish()
}

struct Chart {
    y: usize,
    body: String,
}

impl Chart {
    fn title(&mut self, title: &str) {
        self.y += TITLE_HEIGHT;
        let text = format!("<text class=\"t\" x=\"{MARGIN}\" y=\"{}\">{}</text>", self.y - 8, escaped(title));
        self.body.push_str(&text);
    }

    /// Figures of one setting; the longest bar is the greatest value that has the same name.
    fn group(&mut self, figures: &[Figure]) {
        for figure in figures {
            let Some(value) = figure.values.first() else {
                continue;
            };
            let named = figures.iter().filter_map(|other| other.values.first());
            let same = named.filter(|other| other.name == value.name).map(|other| other.spread.median);
            let most = same.fold(f64::MIN_POSITIVE, f64::max);
            let length = (value.spread.median.max(0.0) / most * BAR_WIDTH as f64).round().max(1.0) as usize;
            let label = escaped(&format!("{}: {}", figure.setting, figure.system));
            let said = escaped(&format!("{} {}", short(value.spread.median), value.name));
            let class = if figure.system == OWN { "o" } else { "p" };
            let (bar_x, value_x) = (MARGIN + LABEL_WIDTH, MARGIN + LABEL_WIDTH + length + 6);
            let (top, foot) = (self.y + 3, self.y + 14);
            // Writing to memory cannot fail.
            let _ = write!(
                self.body,
                "<text x=\"{MARGIN}\" y=\"{foot}\">{label}</text>\
                 <rect class=\"{class}\" x=\"{bar_x}\" y=\"{top}\" width=\"{length}\" height=\"{BAR_HEIGHT}\" rx=\"2\"/>\
                 <text class=\"v\" x=\"{value_x}\" y=\"{foot}\">{said}</text>"
            );
            self.y += ROW_HEIGHT;
        }
        self.y += GROUP_GAP;
    }

    fn finish(self) -> String {
        let height = self.y + MARGIN;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>Benchmarks</title><style>{STYLE}</style>\
             <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>{}</svg>\n",
            self.body
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{BAR_WIDTH, Chart};
    use crate::report::Row;

    #[test]
    fn the_greatest_value_of_a_setting_has_the_longest_bar() {
        let mut row = Row::new("P0", "a < b");
        row.add("one", "OpenMesh", vec![("x/s", vec![50.0])]);
        row.add("one", "peer", vec![("x/s", vec![100.0])]);
        let mut chart = Chart { y: 0, body: String::new() };
        chart.title(row.title);
        chart.group(&row.figures);
        let svg = chart.finish();
        assert!(svg.contains(&format!("width=\"{BAR_WIDTH}\" height=\"13\"")), "{svg}");
        assert!(svg.contains(&format!("width=\"{}\" height=\"13\"", BAR_WIDTH / 2)), "{svg}");
        assert!(svg.contains("a &lt; b"));
    }
}
