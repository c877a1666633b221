//! Diagrams as SVG: a picture of its own, without scripts, fonts or anything from outside.

use super::{Diagram, Row};
use std::collections::BTreeSet;
use std::fmt::Write;

const TIME_WIDTH: usize = 92;
const COLUMN_WIDTH: usize = 170;
const NOTE_WIDTH: usize = 470;
const HEAD_HEIGHT: usize = 34;
const ROW_HEIGHT: usize = 40;
const MARGIN: usize = 16;
/// From a lifeline to where an arrow's head ends.
const HEAD_GAP: usize = 2;
/// Characters that fit beside the picture, over a column, on an arrow.
const NOTE_CHARS_MAX: usize = 74;
const TITLE_CHARS_MAX: usize = 20;
const ACT_CHARS_MAX: usize = 22;

const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#1f2933}.t{font-size:11px;fill:#7b8794}\
.n{font-size:12px;fill:#52606d}.h{font-weight:600;text-anchor:middle}.a{font-weight:600;text-anchor:middle;\
paint-order:stroke;stroke:#fff;stroke-width:4px}.l{stroke:#cbd2d9}.s{stroke:#3e4c59;stroke-width:1.5}\
.r{stroke:#c81e1e;stroke-width:1.5;stroke-dasharray:5 3}.x{stroke:#c81e1e;stroke-width:2}.red{fill:#c81e1e}\
.e{stroke:#9aa5b1;stroke-dasharray:2 4}.b{fill:#f5f7fa;stroke:#9aa5b1}";
const ARROW: &str = "<marker id=\"m\" viewBox=\"0 0 10 10\" refX=\"9\" refY=\"5\" markerWidth=\"8\" \
markerHeight=\"8\" orient=\"auto-start-reverse\"><path d=\"M0 0L10 5L0 10z\" fill=\"#3e4c59\"/></marker>";

/// Draws a diagram.
pub(super) fn draw(diagram: &Diagram) -> String {
    let mut picture = Picture { columns: diagram.titles.len(), rows: diagram.rows.len(), svg: String::new() };
    picture.open();
    for (place, title) in diagram.titles.iter().enumerate() {
        picture.column(place, title);
    }
    for (index, row) in diagram.rows.iter().enumerate() {
        picture.row(index, row, &diagram.reached(row));
    }
    picture.svg.push_str("</svg>\n");
    picture.svg
}

struct Picture {
    columns: usize,
    rows: usize,
    svg: String,
}

impl Picture {
    fn open(&mut self) {
        let (width, height) = (self.note_x() + NOTE_WIDTH + MARGIN, self.foot() + HEAD_HEIGHT + MARGIN);
        self.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\"><title>Conversation</title><style>{STYLE}</style>\
             <defs>{ARROW}</defs><rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>"
        ));
    }

    /// A name above and below, and the line between.
    fn column(&mut self, place: usize, title: &str) {
        let (x, top, foot) = (self.lifeline(place), MARGIN + HEAD_HEIGHT, self.foot());
        self.add(format_args!("<line class=\"l\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{foot}\"/>"));
        let (left, width) = (x - COLUMN_WIDTH / 2 + 6, COLUMN_WIDTH - 12);
        let title = escaped(&cut(title, TITLE_CHARS_MAX));
        for y in [MARGIN, foot] {
            let base = y + HEAD_HEIGHT / 2 + 5;
            self.add(format_args!(
                "<rect class=\"b\" x=\"{left}\" y=\"{y}\" width=\"{width}\" height=\"{HEAD_HEIGHT}\" rx=\"4\"/>\
                 <text class=\"h\" x=\"{x}\" y=\"{base}\">{title}</text>"
            ));
        }
    }

    fn row(&mut self, index: usize, row: &Row, reached: &BTreeSet<usize>) {
        let y = self.row_y(index);
        let red = if row.is_refusal() { " red" } else { "" };
        let (note_x, base) = (self.note_x(), y + 4);
        let (time, note) = (escaped(&time_of_day(&row.at)), escaped(&cut(&row.note, NOTE_CHARS_MAX)));
        let (whole, full_time) = (escaped(&row.note), escaped(&row.at));
        self.add(format_args!(
            "<text class=\"t\" x=\"{MARGIN}\" y=\"{base}\">{time}<title>{full_time}</title></text>\
             <text class=\"n{red}\" x=\"{note_x}\" y=\"{base}\">{note}<title>{whole}</title></text>"
        ));
        match row.from {
            Some(from) if row.is_refusal() => self.refusal(y, from, row),
            Some(from) => self.arrows(y, from, reached, row),
            None => self.event(y, &row.act),
        }
    }

    /// One line from the sender through all it reached, with a head at each.
    fn arrows(&mut self, y: usize, from: usize, reached: &BTreeSet<usize>, row: &Row) {
        let start = self.lifeline(from);
        self.add(format_args!("<circle cx=\"{start}\" cy=\"{y}\" r=\"3\" fill=\"#3e4c59\"/>"));
        for to in reached.iter().filter(|to| **to != from) {
            let goes_right = *to > from;
            let end = if goes_right { self.lifeline(*to) - HEAD_GAP } else { self.lifeline(*to) + HEAD_GAP };
            self.add(format_args!(
                "<line class=\"s\" x1=\"{start}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\" marker-end=\"url(#m)\"/>"
            ));
        }
        let goes_right = reached.iter().next_back().is_none_or(|to| *to > from);
        self.label(y, from, goes_right, row);
    }

    /// A short line that ends before it reaches anybody.
    fn refusal(&mut self, y: usize, from: usize, row: &Row) {
        let start = self.lifeline(from);
        let goes_right = from + 1 < self.columns || from == 0;
        let length = COLUMN_WIDTH - 30;
        let end = if goes_right { start + length } else { start.saturating_sub(length) };
        let (left, right, top, below) = (end.saturating_sub(5), end + 5, y - 5, y + 5);
        self.add(format_args!(
            "<circle cx=\"{start}\" cy=\"{y}\" r=\"3\" class=\"red\"/>\
             <line class=\"r\" x1=\"{start}\" y1=\"{y}\" x2=\"{end}\" y2=\"{y}\"/>\
             <path class=\"x\" d=\"M{left} {top}L{right} {below}M{left} {below}L{right} {top}\"/>"
        ));
        self.label(y, from, goes_right, row);
    }

    /// Something that nobody's act brought about.
    fn event(&mut self, y: usize, what: &str) {
        let (left, right) = (TIME_WIDTH + MARGIN, self.note_x().saturating_sub(MARGIN));
        self.add(format_args!("<line class=\"e\" x1=\"{left}\" y1=\"{y}\" x2=\"{right}\" y2=\"{y}\"/>"));
        let (x, base) = (usize::midpoint(left, right), y + 4);
        let what = escaped(&cut(what, ACT_CHARS_MAX));
        self.add(format_args!("<text class=\"a\" x=\"{x}\" y=\"{base}\">{what}</text>"));
    }

    /// The act, over the part of the arrow next to its sender.
    fn label(&mut self, y: usize, from: usize, goes_right: bool, row: &Row) {
        // A refused act's line is shorter, and ends in a cross.
        let half = if row.is_refusal() { COLUMN_WIDTH / 2 - 22 } else { COLUMN_WIDTH / 2 };
        let start = self.lifeline(from);
        let x = if goes_right { start + half } else { start.saturating_sub(half) };
        let red = if row.is_refusal() { " red" } else { "" };
        let (base, act) = (y - 6, escaped(&cut(&row.act, ACT_CHARS_MAX)));
        self.add(format_args!("<text class=\"a{red}\" x=\"{x}\" y=\"{base}\">{act}</text>"));
    }

    const fn lifeline(&self, place: usize) -> usize {
        MARGIN + TIME_WIDTH + place * COLUMN_WIDTH + COLUMN_WIDTH / 2
    }

    const fn note_x(&self) -> usize {
        MARGIN + TIME_WIDTH + self.columns * COLUMN_WIDTH + MARGIN
    }

    const fn row_y(&self, index: usize) -> usize {
        MARGIN + HEAD_HEIGHT + ROW_HEIGHT + index * ROW_HEIGHT
    }

    const fn foot(&self) -> usize {
        self.row_y(self.rows)
    }

    fn add(&mut self, piece: std::fmt::Arguments<'_>) {
        let _ = self.svg.write_fmt(piece);
        self.svg.push('\n');
    }
}

/// `12:00:01.250` of an RFC 3339 time.
fn time_of_day(at: &str) -> String {
    let time = at.split_once('T').map_or(at, |(_, time)| time);
    time.trim_end_matches('Z').to_owned()
}

fn cut(text: &str, chars_max: usize) -> String {
    crate::cli::output::cut(text, chars_max)
}

/// A text that cannot say anything in SVG's own language.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{escaped, time_of_day};
    use crate::diagram::tests::example;

    #[test]
    fn refusals_are_red_and_reach_nobody() {
        let drawn = example().svg();
        assert!(drawn.starts_with("<svg ") && drawn.ends_with("</svg>\n"));
        assert_eq!(drawn.matches("marker-end").count(), 2, "two arrows");
        assert_eq!(drawn.matches("class=\"r\"").count(), 1, "one refusal");
        assert!(drawn.contains("class=\"n red\"") && drawn.contains("refused: protocol.illegal_step"));
    }

    #[test]
    fn texts_are_texts() {
        assert_eq!(escaped("<script>&\"\u{0}"), "&lt;script&gt;&amp;&quot; ");
        assert_eq!(time_of_day("2026-01-31T12:00:00.250Z"), "12:00:00.250");
    }
}
