//! "Did you mean": the nearest known word to a mistyped one.

/// The candidate with the fewest edits from `text`, if a typing slip could explain the difference.
pub(crate) fn nearest<'a>(text: &str, candidates: &[&'a str]) -> Option<&'a str> {
    candidates
        .iter()
        .map(|candidate| (edits(text, candidate), *candidate))
        .filter(|(count, candidate)| *count <= 1 + candidate.chars().count() / 4)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance (Wagner and Fischer 1974), one row at a time.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, have) in from.chars().enumerate() {
        let mut next = vec![index + 1];
        for ((want, above), diagonal) in to.iter().zip(row.iter().skip(1)).zip(&row) {
            let left = next.last().copied().unwrap_or_default();
            let replaced = diagonal + usize::from(have != *want);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{edits, nearest};

    #[test]
    fn counts_edits() {
        assert_eq!(edits("kitten", "sitting"), 3);
        assert_eq!(edits("", "abc"), 3);
        assert_eq!(edits("abc", "abc"), 0);
    }

    #[test]
    fn a_slip_is_explained_and_noise_is_not() {
        let words = ["performative", "protocol", "to", "who"];
        assert_eq!(nearest("perfomative", &words), Some("performative"));
        assert_eq!(nearest("tto", &words), Some("to"));
        assert_eq!(nearest("elephant", &words), None);
    }
}
