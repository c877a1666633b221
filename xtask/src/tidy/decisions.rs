//! Decision pages are named `NNNN-title.md`, numbered from 0001 without a gap.

use super::Tidy;

const FOLDER: &str = "docs/decisions/";

pub(super) fn check(tidy: &mut Tidy) {
    let mut expected = 1;
    for (path, _) in tidy.with_ending(".md") {
        let Some(name) = path.strip_prefix(FOLDER).filter(|name| *name != "README.md") else {
            continue;
        };
        match number_of(name) {
            None => tidy.find(&path, "a decision page is named NNNN-title.md"),
            Some(number) => {
                if number != expected {
                    tidy.find(&path, format!("should have the number {expected:04}"));
                }
                expected = number + 1;
            }
        }
    }
}

fn number_of(name: &str) -> Option<u32> {
    let (number, title) = name.strip_suffix(".md")?.split_once('-')?;
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let named = number.len() == 4 && !title.is_empty() && title.chars().all(fits);
    number.parse().ok().filter(|_| named)
}
