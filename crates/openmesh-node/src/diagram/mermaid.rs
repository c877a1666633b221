//! Diagrams for Mermaid, which many documents and forges draw.

use super::{Diagram, Row};

/// Behind refusals.
const REFUSED: &str = "rect rgb(255, 225, 225)";

/// Draws a diagram.
pub(super) fn draw(diagram: &Diagram) -> String {
    let mut lines = vec!["sequenceDiagram".to_owned()];
    for (place, title) in diagram.titles.iter().enumerate() {
        lines.push(format!("    participant a{place} as {}", escaped(title)));
    }
    diagram.rows.iter().for_each(|row| draw_row(diagram, row, &mut lines));
    lines.push(String::new());
    lines.join("\n")
}

fn draw_row(diagram: &Diagram, row: &Row, lines: &mut Vec<String>) {
    let note = escaped(&row.note);
    let act = escaped(&row.act);
    let said = if note.is_empty() { act } else { format!("{act}<br/>{note}") };
    let Some(from) = row.from else {
        let last = diagram.titles.len().saturating_sub(1);
        if !diagram.titles.is_empty() {
            lines.push(format!("    Note over a0,a{last}: {said}"));
        }
        return;
    };
    if row.is_refusal() {
        lines.extend([
            format!("    {REFUSED}"),
            format!("    a{from}-xa{from}: {said}"),
            "    end".to_owned(),
        ]);
        return;
    }
    let reached = diagram.reached(row);
    if reached.is_empty() {
        lines.push(format!("    Note over a{from}: {said}"));
    }
    // One message with several arrows says its note once.
    let act = escaped(&row.act);
    for (index, to) in reached.iter().enumerate() {
        let said = if index == 0 { &said } else { &act };
        lines.push(format!("    a{from}->>a{to}: {said}"));
    }
}

/// What would end a text or begin something else stands as an entity.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '#' | ';' | '<' | '>' | '"' | '%' | '&' => {
                escaped.push_str(&format!("#{};", u32::from(character)))
            }
            character if character.is_control() => escaped.push(' '),
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;
    use crate::diagram::tests::example;

    #[test]
    fn each_record_is_a_message_or_a_note() {
        let drawn = example().mermaid();
        let lines: Vec<&str> = drawn.lines().map(str::trim).collect();
        assert_eq!(lines[..3], ["sequenceDiagram", "participant a0 as buyer", "participant a1 as seller"]);
        assert_eq!(lines[3], "a0->>a1: cfp<br/>topic:market/rfp  round start→open");
        assert_eq!(lines[4], "a1->>a0: propose<br/>bid[seller] invited→offered");
        assert_eq!(
            lines[5..8],
            ["rect rgb(255, 225, 225)", "a1-xa1: propose<br/>refused: protocol.illegal_step", "end"]
        );
        assert_eq!(lines[8], "Note over a0,a1: timer<br/>round open→closed (timeout)");
    }

    #[test]
    fn a_text_cannot_say_anything_in_the_diagram_s_own_language() {
        assert_eq!(escaped("a; end\n<b>#"), "a#59; end #60;b#62;#35;");
    }
}
