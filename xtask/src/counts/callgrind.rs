//! What callgrind writes, as far as it is read here: each function's own instructions
//! (<https://valgrind.org/docs/manual/cl-format.html>).

use std::collections::BTreeMap;

/// Own instructions by function.
#[derive(Debug, Default)]
pub(super) struct Profile {
    functions: BTreeMap<String, u64>,
}

impl Profile {
    /// Reads a profile of one event, with lines as positions.
    pub(super) fn read(text: &str) -> Self {
        let mut names = BTreeMap::new();
        let mut profile = Self::default();
        let mut function = String::new();
        let mut is_call = false;
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("fn=") {
                function = named(&mut names, name);
            } else if let Some(name) = line.strip_prefix("cfn=") {
                named(&mut names, name);
            } else if line.starts_with("calls=") {
                is_call = true;
            } else if line.starts_with(|c: char| c.is_ascii_digit() || "+-*".contains(c)) {
                let own = line.split(' ').nth(1).and_then(|own| own.parse::<u64>().ok());
                if !std::mem::take(&mut is_call) {
                    *profile.functions.entry(function.clone()).or_default() += own.unwrap_or_default();
                }
            }
        }
        profile
    }

    /// All instructions.
    pub(super) fn total(&self) -> u64 {
        self.functions.values().sum()
    }

    /// Those of functions with this in their names.
    pub(super) fn within(&self, part: &str) -> u64 {
        self.functions.iter().filter(|(name, _)| name.contains(part)).map(|(_, own)| own).sum()
    }

    /// The functions with the most.
    pub(super) fn most(&self, count: usize) -> Vec<(String, u64)> {
        let mut functions: Vec<_> = self.functions.iter().map(|(name, own)| (name.clone(), *own)).collect();
        functions.sort_by_key(|(_, own)| std::cmp::Reverse(*own));
        functions.truncate(count);
        functions
    }
}

/// A name stands in full where it is first, `(12) name`, and later as `(12)`.
fn named(names: &mut BTreeMap<String, String>, text: &str) -> String {
    let Some((number, name)) = text.split_once(") ") else {
        return names.get(text.trim_end_matches(')')).cloned().unwrap_or_else(|| text.to_owned());
    };
    names.insert(number.to_owned(), name.to_owned());
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::Profile;

    const TEXT: &str = "\
version: 1
positions: line
events: Ir

fl=(1) steps.rs
fn=(1) steps::run
10 5
+2 7
cfn=(2) sha2::compress
calls=3 40
* 900

fn=(2)
40 600
fi=(3) other.rs
-1 300
fn=(1)
11 8

totals: 920
";

    #[test]
    fn own_instructions_are_added_up_and_those_of_calls_left_out() {
        let profile = Profile::read(TEXT);
        assert_eq!((profile.total(), profile.within("sha2")), (920, 900));
        let most = profile.most(5);
        assert_eq!(most, [("sha2::compress".to_owned(), 900), ("steps::run".to_owned(), 20)]);
        assert_eq!(profile.most(1).len(), 1);
    }
}
