//! Every relative link in a Markdown file leads to a file or folder.

use super::Tidy;

/// Beginnings of links that lead out of the tree, or stay on the page.
const ELSEWHERE: [&str; 4] = ["http://", "https://", "mailto:", "#"];

pub(super) fn check(tidy: &mut Tidy) {
    for (path, text) in tidy.with_ending(".md") {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (line, target) in links(&text) {
            let leads_out = ELSEWHERE.iter().any(|start| target.starts_with(start));
            let file = target.split('#').next().unwrap_or(&target);
            if !leads_out && !tidy.root.join(folder).join(file).exists() {
                tidy.find(&format!("{path}:{line}"), format!("`{target}` leads nowhere"));
            }
        }
    }
}

/// The targets of inline links, with their lines; code is left out.
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        // Odd pieces between backticks are code.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        for piece in prose.split("](").skip(1) {
            let target = piece.split([')', ' ']).next().unwrap_or_default();
            found.push((index + 1, target.to_owned()));
        }
    }
    found
}
