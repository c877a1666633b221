//! Numbers by place, few thousand at most: where they go on evenly, as those of messages that come one after another
//! do, a run of them is kept as one.

/// More runs than these, and each number is kept by itself.
const RUNS_MAX: usize = 64;

/// Numbers by place; `STEP` is how far apart neighbours of a run are.
#[derive(Clone, Debug)]
pub(crate) struct Column<const STEP: u32> {
    count: u16,
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Runs(Vec<Run>),
    List(Vec<u32>),
}

/// The numbers from a place on, up to the next run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    at: u16,
    number: u32,
}

impl<const STEP: u32> Default for Column<STEP> {
    fn default() -> Self {
        Self { count: 0, kept: Kept::Runs(Vec::new()) }
    }
}

impl<const STEP: u32> Column<STEP> {
    /// The number at a place; 0 where there is none.
    pub(crate) fn get(&self, place: usize) -> u32 {
        match &self.kept {
            Kept::List(list) => list.get(place).copied().unwrap_or_default(),
            Kept::Runs(runs) => match u16::try_from(place).ok().filter(|place| *place < self.count) {
                Some(place) => number_at::<STEP>(runs, place).unwrap_or_default(),
                None => 0,
            },
        }
    }

    /// Puts a number behind the others; there are never more than 65,535.
    pub(crate) fn push(&mut self, number: u32) {
        let at = self.count;
        self.count = self.count.saturating_add(1);
        match &mut self.kept {
            Kept::List(list) => list.push(number),
            Kept::Runs(runs) => {
                if number_at::<STEP>(runs, at) != Some(number) {
                    runs.push(Run { at, number });
                }
            }
        }
        self.list_if_uneven();
    }

    /// Puts a number in the place of another.
    pub(crate) fn set(&mut self, place: usize, number: u32) {
        match &mut self.kept {
            Kept::List(list) => {
                if let Some(held) = list.get_mut(place) {
                    *held = number;
                }
            }
            Kept::Runs(runs) => {
                if let Some(at) = u16::try_from(place).ok().filter(|place| *place < self.count) {
                    set::<STEP>(runs, at, number, self.count);
                }
            }
        }
        self.list_if_uneven();
    }

    /// Puts a number before that at a place; those from there on move up.
    pub(crate) fn insert(&mut self, place: usize, number: u32) {
        if place >= usize::from(self.count) {
            return self.push(number);
        }
        self.be_list();
        if let Kept::List(list) = &mut self.kept {
            list.insert(place, number);
        }
        self.count = self.count.saturating_add(1);
    }

    /// Takes the number at a place out; those behind it move down.
    pub(crate) fn remove(&mut self, place: usize) {
        let Some(at) = u16::try_from(place).ok().filter(|place| *place < self.count) else { return };
        match &mut self.kept {
            Kept::List(list) => _ = list.remove(place),
            Kept::Runs(runs) => remove::<STEP>(runs, at, self.count),
        }
        self.count -= 1;
        self.list_if_uneven();
    }

    fn list_if_uneven(&mut self) {
        if let Kept::Runs(runs) = &self.kept
            && runs.len() > RUNS_MAX
        {
            self.be_list();
        }
    }

    fn be_list(&mut self) {
        if let Kept::Runs(_) = &self.kept {
            self.kept = Kept::List((0..usize::from(self.count)).map(|place| self.get(place)).collect());
        }
    }
}

/// What a run that holds a place, or would go on to it, has there.
fn number_at<const STEP: u32>(runs: &[Run], place: u16) -> Option<u32> {
    let after = runs.partition_point(|run| run.at <= place);
    let run = runs.get(after.checked_sub(1)?)?;
    Some(run.number.wrapping_add(STEP.wrapping_mul(u32::from(place - run.at))))
}

/// Changes one place of `count`; what stands before and behind it stays.
fn set<const STEP: u32>(runs: &mut Vec<Run>, at: u16, number: u32, count: u16) {
    let behind = number_at::<STEP>(runs, at + 1).filter(|_| at + 1 < count);
    let first = runs.partition_point(|run| run.at < at);
    let last = runs.partition_point(|run| run.at <= at + 1);
    let before = number_at::<STEP>(runs.get(..first).unwrap_or_default(), at);
    // What the run before would have here needs none of its own.
    let here = Some(Run { at, number }).filter(|_| before != Some(number));
    let next = behind.filter(|behind| *behind != number.wrapping_add(STEP));
    let next = next.map(|number| Run { at: at + 1, number });
    runs.splice(first..last, here.into_iter().chain(next));
}

/// Takes one place of `count` out.
fn remove<const STEP: u32>(runs: &mut Vec<Run>, at: u16, count: u16) {
    let behind = number_at::<STEP>(runs, at + 1).filter(|_| at + 1 < count);
    let first = runs.partition_point(|run| run.at < at);
    let last = runs.partition_point(|run| run.at <= at + 1);
    for run in runs.get_mut(last..).unwrap_or_default() {
        run.at -= 1;
    }
    let before = number_at::<STEP>(runs.get(..first).unwrap_or_default(), at);
    let next = behind.filter(|behind| before != Some(*behind)).map(|number| Run { at, number });
    runs.splice(first..last, next);
}

#[cfg(test)]
mod tests {
    use super::{Column, Kept};

    fn is_list<const STEP: u32>(column: &Column<STEP>) -> bool {
        matches!(column.kept, Kept::List(_))
    }

    #[test]
    fn what_comes_evenly_takes_no_room_and_nothing_is_mistaken() {
        even::<0>();
        even::<1>();
    }

    fn even<const STEP: u32>() {
        let (mut column, mut naive) = (Column::<STEP>::default(), Vec::new());
        let mut number = u32::MAX - 40;
        for place in 0..512 {
            number = if place % 100 == 99 { number.wrapping_add(7) } else { number.wrapping_add(STEP) };
            column.push(number);
            naive.push(number);
        }
        // Written again from the front, as slots that were freed are.
        for place in 0..512 {
            number = if place % 50 == 49 { number.wrapping_add(7) } else { number.wrapping_add(STEP) };
            column.set(place, number);
            *naive.get_mut(place).unwrap() = number;
            assert!((0..512).map(|place| column.get(place)).eq(naive.iter().copied()), "{place}");
        }
        assert!(!is_list(&column), "{column:?}");
        assert_eq!((column.get(512), column.get(70_000)), (0, 0));
    }

    #[test]
    fn what_is_taken_out_leaves_the_others_as_they_were() {
        let (mut column, mut naive) = (Column::<1>::default(), Vec::new());
        let mut random: u64 = 3;
        for round in 0..40_000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let place = (random >> 40) as usize % (naive.len() + 1);
            match (random >> 33) % 64 {
                0..30 if place < naive.len() => {
                    column.remove(place);
                    naive.remove(place);
                }
                // Not before it must: what is taken out of runs leaves runs.
                30 if round > 30_000 => {
                    column.insert(place, round);
                    naive.insert(place, round);
                }
                _ if naive.len() < 120 => {
                    column.push(round);
                    naive.push(round);
                }
                _ => {}
            }
            assert!((0..naive.len()).map(|place| column.get(place)).eq(naive.iter().copied()), "{round}");
            column = if is_list(&column) && naive.is_empty() { Column::default() } else { column };
        }
        assert!(naive.len() > 20);
        let mut even = Column::<1>::default();
        (0..100).for_each(|number| even.push(number));
        (0..60).for_each(|_| even.remove(0));
        assert!((0..40).all(|place| even.get(place) == place as u32 + 60));
        assert!(matches!(&even.kept, Kept::Runs(runs) if runs.len() == 1));
    }

    #[test]
    fn what_comes_at_random_is_a_list() {
        let (mut column, mut naive) = (Column::<1>::default(), Vec::new());
        let mut random: u64 = 5;
        for round in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // In few places at first, so that runs are cut and joined again.
            let (place, number) = ((random >> 40) as usize % 40, (random >> 33) as u32 % 50);
            if place < naive.len() {
                column.set(place, number);
                *naive.get_mut(place).unwrap() = number;
            } else if naive.len() < 40 || round > 10_000 && naive.len() < 500 {
                column.push(number);
                naive.push(number);
            }
            assert!((0..naive.len()).map(|place| column.get(place)).eq(naive.iter().copied()), "{round}");
            assert!(round > 10_000 || !is_list(&column));
        }
        assert!(!naive.is_empty());
        (0..400).for_each(|number| column.push(number * number));
        assert!(is_list(&column));
        assert_eq!(column.get(naive.len() + 399), 399 * 399);
        column.set(3, 9);
        assert_eq!(column.get(3), 9);
    }
}
