//! What a seller reckons: what a request would cost it, what it asks, how far it goes down.
//!
//! All of it follows from the seed, the seller's name and the request, never from when messages arrive.

use crate::demo::dice::Dice;
use crate::demo::price::Price;

/// How often a seller has no time for a request.
const BUSY: f64 = 0.08;
/// How often a request costs more than its buyer thinks.
const UNDERESTIMATED: f64 = 0.16;
/// Counters this far below the lowest price end the talk.
const INSULT: f64 = 0.80;

/// What a seller makes of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Interest {
    /// It has no time, and says nothing.
    Busy,
    /// It cannot do it for the budget.
    TooDear,
    /// It offers.
    Offer(Calculation),
}

/// A seller's figures for one request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calculation {
    /// What it asks first.
    pub(super) asked: Price,
    /// The least it takes.
    pub(super) floor: Price,
    /// How much of the way to a counter it goes each time.
    concession: f64,
}

/// What a seller answers to a counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Answer {
    /// Another offer; the counter's own price is agreement.
    Offer(Price),
    /// It leaves.
    Leave,
}

/// Reckons what a seller makes of a request; it always offers for the first it sees, having nothing else to do.
pub(super) fn reckon(seed: u64, seller: &str, request: &str, budget: Price, is_first: bool) -> Interest {
    let mut nature = Dice::new(seed, &["nature", request]);
    let mut dice = Dice::new(seed, &["seller", seller, request]);
    let underestimated = nature.happens(UNDERESTIMATED) && !is_first;
    let work = if underestimated { nature.between(1.15, 1.35) } else { nature.between(0.62, 0.86) };
    let skill = Dice::new(seed, &["skill", seller]).between(0.93, 1.06);
    let cost = budget.times(work * skill * dice.between(0.95, 1.05));
    let floor = cost.times(dice.between(1.02, 1.06));
    let wanted = cost.times(dice.between(1.12, 1.32));
    let concession = dice.between(0.35, 0.75);
    if dice.happens(BUSY) && !is_first {
        return Interest::Busy;
    }
    if floor > budget && !is_first {
        return Interest::TooDear;
    }
    Interest::Offer(Calculation { asked: wanted.min(budget), floor: floor.min(budget), concession })
}

impl Calculation {
    /// What to answer when the buyer counters `last` with `countered`.
    pub(super) fn answer(&self, last: Price, countered: Price) -> Answer {
        if countered >= self.floor {
            return Answer::Offer(countered.min(last));
        }
        if countered < self.floor.times(INSULT) {
            return Answer::Leave;
        }
        Answer::Offer(last.towards(countered, self.concession).max(self.floor).min(last))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Interest, reckon};
    use crate::demo::price::Price;

    fn budget() -> Price {
        Price::from_amount(50_000.0).unwrap()
    }

    #[test]
    fn offers_stay_within_the_budget_and_above_the_floor() {
        for number in 0..500 {
            let request = format!("r-{number}");
            let Interest::Offer(figures) = reckon(3, "seller-1", &request, budget(), false) else { continue };
            assert!(figures.asked <= budget() && figures.floor <= budget());
            for share in [0.0, 0.3, 0.6, 1.0] {
                let countered = figures.asked.times(share);
                if let Answer::Offer(price) = figures.answer(figures.asked, countered) {
                    assert!(price <= figures.asked);
                    assert!(price >= figures.floor.min(figures.asked));
                }
            }
        }
    }

    #[test]
    fn every_kind_of_interest_occurs_and_the_first_request_is_always_bid_for() {
        let interests: Vec<_> =
            (0..400).map(|n| reckon(9, "seller-2", &format!("r-{n}"), budget(), false)).collect();
        assert!(interests.contains(&Interest::Busy));
        assert!(interests.contains(&Interest::TooDear));
        for seed in 0..400 {
            let first = reckon(seed, "seller-2", "r", budget(), true);
            assert!(matches!(first, Interest::Offer(_)));
        }
    }

    #[test]
    fn a_counter_far_below_the_floor_ends_the_talk() {
        let Interest::Offer(figures) = reckon(1, "seller-1", "r", budget(), true) else { panic!() };
        assert_eq!(figures.answer(figures.asked, figures.floor.times(0.5)), Answer::Leave);
        assert_eq!(
            figures.answer(figures.asked, figures.floor),
            Answer::Offer(figures.floor.min(figures.asked))
        );
    }
}
