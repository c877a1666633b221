//! Diagrams as text.

use super::{Diagram, Line, Row};
use std::collections::BTreeSet;

/// The narrowest column, so that most performatives fit on an arrow.
const COLUMN_CHARS_MIN: usize = 20;
/// The widest column; longer names are cut.
const COLUMN_CHARS_MAX: usize = 26;
/// Characters of a name that are shown.
const NAME_CHARS_MAX: usize = COLUMN_CHARS_MAX - 2;

/// Draws a diagram.
pub(super) fn draw(diagram: &Diagram) -> Vec<Line> {
    let columns = Columns::of(diagram);
    let plain = |text: String| Line { text: text.trim_end().to_owned(), is_refusal: false };
    let mut lines = vec![plain(columns.heads()), plain(columns.lifelines())];
    for row in &diagram.rows {
        let text = columns.draw(row, &diagram.reached(row));
        lines.push(Line { is_refusal: row.is_refusal(), ..plain(text) });
    }
    lines.push(plain(columns.lifelines()));
    lines
}

struct Columns {
    titles: Vec<String>,
    width: usize,
}

impl Columns {
    fn of(diagram: &Diagram) -> Self {
        let cut = |title: &String| title.chars().take(NAME_CHARS_MAX).collect::<String>();
        let titles: Vec<String> = diagram.titles.iter().map(cut).collect();
        let widest = titles.iter().map(|title| title.chars().count() + 2).max().unwrap_or(0);
        Self { titles, width: widest.clamp(COLUMN_CHARS_MIN, COLUMN_CHARS_MAX) }
    }

    fn heads(&self) -> String {
        let mut line = vec![' '; self.width * self.titles.len()];
        for (place, title) in self.titles.iter().enumerate() {
            let start = self.lifeline(place).saturating_sub(title.chars().count() / 2);
            put(&mut line, start, title);
        }
        line.into_iter().collect()
    }

    fn lifelines(&self) -> String {
        self.blank().into_iter().collect()
    }

    fn draw(&self, row: &Row, reached: &BTreeSet<usize>) -> String {
        let mut line = self.blank();
        match row.from {
            Some(from) if row.is_refusal() => self.draw_refusal(&mut line, from, &row.act),
            Some(from) => self.draw_arrows(&mut line, from, reached, &row.act),
            None => self.draw_event(&mut line, &row.act),
        }
        let line: String = line.into_iter().collect();
        format!("{line}  {}", row.note)
    }

    /// One line from the sender through all it reached, with a head at each.
    fn draw_arrows(&self, line: &mut [char], from: usize, reached: &BTreeSet<usize>, act: &str) {
        let start = self.lifeline(from);
        let left = reached.first().map_or(start, |place| self.lifeline(*place)).min(start);
        let right = reached.last().map_or(start, |place| self.lifeline(*place)).max(start);
        for (at, drawn) in line.iter_mut().enumerate().take(right).skip(left + 1) {
            if at != start {
                *drawn = if *drawn == '│' { '┼' } else { '─' };
            }
        }
        for place in reached {
            let at = self.lifeline(*place);
            match at.cmp(&start) {
                std::cmp::Ordering::Greater => put(line, at - 1, "▶│"),
                std::cmp::Ordering::Less => put(line, at, "│◀"),
                std::cmp::Ordering::Equal => put(line, at, "◆"),
            }
        }
        let goes_right = right > start;
        self.label(line, start, goes_right, act);
    }

    /// A short line that ends before it reaches anybody.
    fn draw_refusal(&self, line: &mut [char], from: usize, act: &str) {
        let start = self.lifeline(from);
        let goes_right = from + 1 < self.titles.len() || from == 0;
        for step in 1..self.width.saturating_sub(2) {
            let at = if goes_right { start + step } else { start.saturating_sub(step) };
            put(line, at, "─");
        }
        let end = self.width.saturating_sub(2);
        put(line, if goes_right { start + end } else { start.saturating_sub(end) }, "✗");
        self.label(line, start, goes_right, act);
    }

    /// Something that nobody's act brought about.
    fn draw_event(&self, line: &mut [char], what: &str) {
        for drawn in line.iter_mut().filter(|drawn| **drawn == ' ') {
            *drawn = '·';
        }
        let text = format!(" {what} ");
        let start = self.lifeline(0) + 2;
        put(line, start, &text);
    }

    /// Writes an act on the part of the arrow next to its sender.
    fn label(&self, line: &mut [char], start: usize, goes_right: bool, act: &str) {
        let room = self.width.saturating_sub(5);
        let act: String = act.chars().take(room).collect();
        let length = act.chars().count();
        let offset = 2 + (room - length) / 2;
        let at = if goes_right { start + offset } else { start.saturating_sub(offset + length - 1) };
        put(line, at, &act);
    }

    fn blank(&self) -> Vec<char> {
        let mut line = vec![' '; self.width * self.titles.len()];
        for place in 0..self.titles.len() {
            put(&mut line, self.lifeline(place), "│");
        }
        line
    }

    const fn lifeline(&self, place: usize) -> usize {
        place * self.width + self.width / 2
    }
}

fn put(line: &mut [char], start: usize, text: &str) {
    for (slot, drawn) in line.iter_mut().skip(start).zip(text.chars()) {
        *slot = drawn;
    }
}

#[cfg(test)]
mod tests {
    use crate::diagram::tests::example;

    fn drawn() -> Vec<String> {
        example().text().into_iter().map(|line| line.text).collect()
    }

    #[test]
    fn arrows_go_from_sender_to_recipient() {
        let lines = drawn();
        assert!(lines[0].find("buyer") < lines[0].find("seller"), "{lines:?}");
        assert!(lines[2].contains("cfp") && lines[2].contains("▶│"), "{lines:?}");
        assert!(lines[2].ends_with("topic:market/rfp  round start→open"), "{lines:?}");
        assert!(lines[3].contains("│◀") && lines[3].contains("propose"), "{lines:?}");
    }

    #[test]
    fn refusals_and_timers_reach_nobody() {
        let lines = drawn();
        assert!(lines[4].contains('✗') && !lines[4].contains('◀'), "{lines:?}");
        assert!(lines[4].ends_with("refused: protocol.illegal_step"), "{lines:?}");
        assert!(lines[5].contains("timer") && lines[5].ends_with("round open→closed (timeout)"), "{lines:?}");
    }

    #[test]
    fn every_lifeline_stays_in_its_column() {
        let lines = drawn();
        let places: Vec<_> =
            lines[1].chars().enumerate().filter(|(_, drawn)| *drawn == '│').map(|(at, _)| at).collect();
        assert_eq!(places.len(), 2);
        for line in &lines[2..] {
            let drawn: Vec<char> = line.chars().collect();
            assert!(places.iter().all(|at| "│┼".contains(drawn[*at])), "{line}");
        }
    }
}
