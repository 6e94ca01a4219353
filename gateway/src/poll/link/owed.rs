//! Answers that units still owe. A question that nobody answered in time may be answered late, and on a line without
//! transaction numbers a late answer can be told from another only by its shape: its function and how much it holds. So
//! while an answer is owed, a question to the same unit takes another shape: it asks for a register more, which is thrown
//! away. Only a device that refuses registers beyond its own ("rigid") must be waited for. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Question, Reading, Shape};

/// A question is stretched by so many registers at most, so a unit can owe so many answers and one.
const STRETCH: u16 = 8;

/// A unit that has left so many stretched questions unanswered and then answers a plain one ignores the others.
const STRIKES: u32 = 2;

/// What the units of a line owe.
#[derive(Debug)]
pub struct Owed {
    units: HashMap<u8, Vec<(Shape, Instant)>>,
    /// The longest question of this line, in registers.
    longest: u16,
    /// By how many registers a question can be stretched, where a unit has refused or ignored more.
    most: BTreeMap<(u8, Reading), u16>,
    /// Questions that were answered when they were stretched.
    elastic: BTreeSet<(u8, Reading)>,
    /// How often a question was stretched in vain, when it has never been answered so.
    strikes: BTreeMap<(u8, Reading), u32>,
}

impl Owed {
    /// Nothing is owed. No question gets longer than this many registers.
    pub fn new(longest: u16) -> Owed {
        Owed { units: HashMap::new(), longest, most: BTreeMap::new(), elastic: BTreeSet::new(), strikes: BTreeMap::new() }
    }

    /// An answer of this shape may come, as late as `after` from now. A unit answers one question after the other, so the
    /// answers that it owes already come first.
    pub fn add(&mut self, unit: u8, shape: Shape, at: Instant, after: Duration) {
        let owed = self.units.entry(unit).or_default();
        owed.retain(|(other, until)| *other != shape && *until > at);
        let last = owed.iter().map(|(_, until)| *until).max().unwrap_or(at);
        owed.push((shape, last + after));
    }

    /// A frame of this shape came: true when it was owed, and is no longer.
    pub fn came(&mut self, unit: u8, shape: Shape) -> bool {
        let Some(owed) = self.units.get_mut(&unit) else { return false };
        let before = owed.len();
        owed.retain(|(other, _)| *other != shape);
        owed.len() < before
    }

    /// The only answer that this unit owed has come, or no longer can.
    pub fn forget(&mut self, unit: u8) {
        self.units.remove(&unit);
    }

    /// True when this unit owes a single answer.
    pub fn is_single(&self, unit: u8) -> bool {
        self.units.get(&unit).is_some_and(|owed| owed.len() == 1)
    }

    /// This unit refuses so many registers: from now on fewer are asked for.
    pub fn refused(&mut self, unit: u8, question: &Question, put: &Question) {
        if let (Question::Read(reading), Question::Read(put)) = (question, put) {
            let more = (1..=STRETCH).find(|more| reading.stretched(*more) == Some(*put)).unwrap_or(1);
            self.most.insert((unit, *reading), more - 1);
        }
    }

    /// Learns from what came of putting a question so, whether it can be stretched.
    pub fn put(&mut self, unit: u8, question: &Question, put: &Question, was_answered: bool) {
        let Question::Read(reading) = question else { return };
        let key = (unit, *reading);
        if self.elastic.contains(&key) {
            return;
        }
        match (put != question, was_answered) {
            (true, true) => {
                self.elastic.insert(key);
                self.strikes.remove(&key);
            }
            (true, false) => *self.strikes.entry(key).or_default() += 1,
            (false, true) if self.strikes.remove(&key).is_some_and(|strikes| strikes >= STRIKES) => {
                self.most.insert(key, 0);
            }
            (false, _) => {}
        }
    }

    /// The question in a shape that no owed answer has, or until when there is none.
    pub fn shaped(&self, unit: u8, question: &Question, at: Instant) -> Result<Question, Instant> {
        let owed = || self.units.get(&unit).into_iter().flatten().filter(|(_, until)| *until > at);
        let is_free = |question: &Question| owed().all(|(shape, _)| *shape != question.shape());
        let until = owed().filter(|(shape, _)| *shape == question.shape()).map(|(_, until)| *until).max();
        self.shapes(unit, question).find(is_free).ok_or(until.unwrap_or(at))
    }

    /// True when this question could be put once more at once, should `put` not be answered.
    pub fn can_put_again(&self, unit: u8, question: &Question, put: &Question, at: Instant) -> bool {
        let owed = || self.units.get(&unit).into_iter().flatten().filter(|(_, until)| *until > at);
        let is_free = |question: Question| question != *put && owed().all(|(shape, _)| *shape != question.shape());
        self.shapes(unit, question).any(is_free)
    }

    fn shapes(&self, unit: u8, question: &Question) -> impl Iterator<Item = Question> {
        let reading = if let Question::Read(reading) = question { Some(*reading) } else { None };
        let most = reading.and_then(|reading| self.most.get(&(unit, reading)).copied()).unwrap_or(STRETCH);
        let longest = self.longest;
        let longer = (1..=most).filter_map(move |more| reading?.stretched(more).filter(|longer| longer.count() <= longest));
        let longer = longer.map(Question::Read);
        std::iter::once(question.clone()).chain(longer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::device::Block;

    fn reading(function: u8, count: u16) -> Reading {
        Reading::of(Block { function, address: 0, count }).unwrap()
    }

    fn shape_of(owed: &Owed, question: &Question, at: Instant) -> Option<Shape> {
        owed.shaped(1, question, at).ok().map(|question| question.shape())
    }

    const LATE: Duration = Duration::from_secs(4);

    #[tokio::test(start_paused = true)]
    async fn a_question_takes_a_shape_that_no_owed_answer_has_until_it_can_no_longer_come() {
        let at = super::super::now();
        for (function, one, two, three) in [(3, 20, 22, 24), (1, 2, 3, 4)] {
            let mut owed = Owed::new(125);
            let question = Question::Read(reading(function, 10));
            assert_eq!(shape_of(&owed, &question, at), Some((function, one)));
            owed.add(1, (function, one), at, LATE);
            assert_eq!(shape_of(&owed, &question, at), Some((function, two)));
            owed.add(1, (function, two), at, LATE);
            assert_eq!(shape_of(&owed, &question, at), Some((function, three)));
            assert_eq!(shape_of(&owed, &question, at + LATE), Some((function, one)));
            assert!(owed.came(1, (function, one)) && !owed.came(1, (function, one)));
            assert_eq!(shape_of(&owed, &question, at), Some((function, one)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn answers_are_owed_one_after_the_other() {
        let (mut owed, at) = (Owed::new(125), super::super::now());
        let question = Question::Read(reading(3, 10));
        owed.add(1, (3, 22), at, LATE);
        owed.add(1, (3, 20), at, LATE);
        assert_ne!(shape_of(&owed, &question, at + LATE), Some((3, 20)));
        assert_eq!(shape_of(&owed, &question, at + LATE * 2), Some((3, 20)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rigid_unit_and_a_question_that_cannot_be_longer_must_be_waited_for() {
        let at = super::super::now();
        for reading in [reading(3, 10), reading(3, 125)] {
            let (mut owed, question) = (Owed::new(125), Question::Read(reading));
            owed.refused(1, &question, &Question::Read(reading.stretched(1).unwrap_or(reading)));
            assert!(!owed.can_put_again(1, &question, &question, at));
            owed.add(1, question.shape(), at, LATE);
            assert_eq!(owed.shaped(1, &question, at), Err(at + LATE));
            assert!(owed.shaped(2, &question, at).is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_ignores_longer_questions_is_asked_no_longer_ones_unless_it_has_answered_one() {
        let at = super::super::now();
        let reading = reading(3, 10);
        let (plain, longer) = (Question::Read(reading), Question::Read(reading.stretched(1).unwrap()));
        for (was_elastic, can) in [(false, false), (true, true)] {
            let mut owed = Owed::new(125);
            owed.put(1, &plain, &longer, was_elastic);
            (0..STRIKES).for_each(|_| owed.put(1, &plain, &longer, false));
            owed.put(1, &plain, &plain, true);
            assert_eq!(owed.can_put_again(1, &plain, &plain, at), can);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_question_gets_longer_than_the_line_allows() {
        let at = super::super::now();
        let plain = Question::Read(reading(3, 10));
        assert!(!Owed::new(10).can_put_again(1, &plain, &plain, at));
        assert!(Owed::new(11).can_put_again(1, &plain, &plain, at));
    }

    #[tokio::test(start_paused = true)]
    async fn a_unit_that_refuses_three_registers_more_is_asked_for_two() {
        let (mut owed, at) = (Owed::new(125), super::super::now());
        let (reading, mut shapes) = (reading(3, 10), Vec::new());
        let question = Question::Read(reading);
        owed.refused(1, &question, &Question::Read(reading.stretched(3).unwrap()));
        while let Some(shape) = shape_of(&owed, &question, at) {
            shapes.push(shape.1);
            owed.add(1, shape, at, LATE);
        }
        assert_eq!(shapes, [20, 22, 24]);
    }
}
