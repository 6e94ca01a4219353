//! The life of ISA-18.2: what each happening does to one episode.
//!
//! Every function keeps `state` in step with the facts beside it, and tells each event with the episode as
//! it is after it. Nothing here knows why a condition holds; that is the engine's part.

use crate::episode::{Aside, Cause, Episode, Event, Place, State, Transition};
use measurement::Timestamp;

/// When and why something happens, and where it is told.
pub(crate) struct Moment<'a> {
    pub at: Timestamp,
    pub cause: Cause,
    pub out: &'a mut Vec<Transition>,
}

impl Moment<'_> {
    pub(crate) fn tell(&mut self, episode: &Episode, event: Event) {
        self.tell_of(episode, event, None, None);
    }

    pub(crate) fn tell_of(&mut self, episode: &Episode, event: Event, who: Option<&str>, note: Option<&str>) {
        let (who, note) = (who.map(str::to_owned), note.map(str::to_owned));
        self.out.push(Transition { episode: episode.clone(), event, cause: self.cause, at: self.at, who, note });
    }
}

impl Episode {
    /// The state that the facts amount to. What a person or a greater alarm put over it is seen first.
    pub(crate) fn settle(&mut self) {
        let acknowledged = self.acknowledged_at.is_some();
        self.state = match (&self.aside, self.active, acknowledged) {
            _ if self.closed_at.is_some() => State::Normal,
            (Some(aside), ..) if aside.how == Aside::OutOfService => State::OutOfService,
            (Some(_), ..) => State::Shelved,
            _ if self.suppressed => State::Suppressed,
            (None, true, false) => State::Unacknowledged,
            (None, true, true) => State::Acknowledged,
            (None, false, false) if self.latching => State::LatchedUnacknowledged,
            (None, false, true) if self.latching => State::LatchedAcknowledged,
            (None, false, _) => State::ReturnedUnacknowledged,
        };
    }

    /// Opens.
    pub(crate) fn raise(&mut self, moment: &mut Moment<'_>) {
        self.settle();
        moment.tell(self, Event::Raised);
    }

    /// The condition holds again before the episode was closed. People have to look again. Seen live it
    /// rings now, even when only backfill had told of it before.
    pub(crate) fn reraise(&mut self, moment: &mut Moment<'_>, from_backfill: bool) {
        self.active = true;
        self.late &= from_backfill;
        self.from_backfill = from_backfill;
        self.returned_at = None;
        self.returning = None;
        self.acknowledged_at = None;
        self.settle();
        moment.tell(self, Event::Reraised);
    }

    /// A live reading shows that what backfill told is true now.
    pub(crate) fn become_live(&mut self, moment: &mut Moment<'_>) {
        self.late = false;
        self.from_backfill = false;
        self.settle();
        moment.tell(self, Event::BecameLive);
    }

    /// The condition is gone, as of `returned_at`. A latching episode then waits for a reset, an
    /// acknowledged one closes, any other waits for an acknowledgement.
    pub(crate) fn end(&mut self, moment: &mut Moment<'_>, returned_at: Timestamp, returning: Option<Place>) {
        self.active = false;
        self.returned_at = Some(returned_at);
        self.returning = returning;
        let one_shot = self.aside.as_ref().is_some_and(|aside| aside.how == Aside::OneShot);
        if one_shot {
            self.aside = None;
        }
        if self.latching {
            self.from_backfill = false;
            self.settle();
            moment.tell(self, Event::Latched);
        } else {
            self.close_or_wait(moment);
        }
        if one_shot && self.is_open() {
            moment.tell(self, Event::Unshelved);
        }
    }

    fn close_or_wait(&mut self, moment: &mut Moment<'_>) {
        // An excursion that lies wholly in the past asks nobody to act now: it closes with its true end.
        let wholly_past = self.late && self.from_backfill && moment.cause == Cause::Late;
        self.from_backfill = false;
        self.suppressed = false;
        if wholly_past {
            self.closed_at = self.returned_at;
        } else if self.acknowledged_at.is_some() {
            self.closed_at = Some(moment.at);
        }
        if self.closed_at.is_some() {
            self.aside = None;
        }
        self.settle();
        moment.tell(self, Event::Returned);
        if self.closed_at.is_some() {
            moment.tell(self, Event::Cleared);
        }
    }

    /// A person has seen it.
    pub(crate) fn acknowledge(&mut self, moment: &mut Moment<'_>, who: &str, note: &str) {
        self.acknowledged_at = Some(moment.at);
        self.acknowledged_by = Some(who.to_owned());
        self.note = Some(note.to_owned());
        self.stages.t7.get_or_insert(moment.at);
        let closes = !self.active && !self.latching;
        if closes {
            self.closed_at = Some(moment.at);
            self.aside = None;
        }
        self.settle();
        moment.tell_of(self, Event::Acknowledged, Some(who), Some(note));
        if closes {
            moment.tell_of(self, Event::Cleared, Some(who), None);
        }
    }

    /// It closes for a reason other than its own life; `event` and `note` say which.
    pub(crate) fn close_by(&mut self, moment: &mut Moment<'_>, event: Event, who: Option<&str>, note: &str) {
        self.active = false;
        self.from_backfill = false;
        self.suppressed = false;
        self.aside = None;
        self.returned_at.get_or_insert(moment.at);
        self.closed_at = Some(moment.at);
        self.settle();
        moment.tell_of(self, event, who, Some(note));
        moment.tell_of(self, Event::Cleared, who, None);
    }

    /// A greater alarm covers it, or covers it no longer.
    pub(crate) fn suppress(&mut self, moment: &mut Moment<'_>, covered: bool) {
        if self.suppressed != covered {
            self.suppressed = covered;
            self.settle();
            moment.tell(self, if covered { Event::Suppressed } else { Event::Unsuppressed });
        }
    }

    /// It comes back from the shelf or from maintenance.
    pub(crate) fn take_back(&mut self, moment: &mut Moment<'_>, who: Option<&str>, note: &str) {
        let Some(aside) = self.aside.take() else { return };
        let event = if aside.how == Aside::OutOfService { Event::BackInService } else { Event::Unshelved };
        self.settle();
        moment.tell_of(self, event, who, Some(note));
    }
}

/// The identity of an episode: FNV-1a over 128 bits of what opened it, as 32 hexadecimal digits. Not a
/// secret and not a checksum; it only has to be the same for the same alarm, everywhere.
pub(crate) fn identity(about: &str, rule: &str, opening: Place, repetition: u64) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let mut hash = OFFSET;
    let mut eat = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u128::from(*byte)).wrapping_mul(PRIME);
        }
    };
    for text in [about, rule] {
        eat(&(text.len() as u64).to_le_bytes());
        eat(text.as_bytes());
    }
    eat(&opening.epoch.to_le_bytes());
    eat(&opening.sequence.to_le_bytes());
    if repetition > 0 {
        eat(&repetition.to_le_bytes());
    }
    format!("{hash:032x}")
}
