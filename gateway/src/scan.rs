//! Who is on a bus? Finds the unit ids that answer, and guesses by which profile. Only reads: functions 3 and 4, the
//! registers of the shipped profiles, and function 43/14 (device identification), an object list made for this purpose.
//! Function 17 is left alone: what it does is the maker's affair.
//!
//! An exception is an answer: somebody is there. A unit that answers later than it is waited for is heard while the next one
//! is asked, and asked again with all the patience there is. Over Modbus TCP nobody is heard late, so everybody who was silent
//! is asked again so: 247 units that are not there take as many timeouts. A unit whose answers are garbled again and again, or come with
//! more behind them, is told of as contested: two devices may have one id.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use measurement::{Fault, Outcome};

use crate::device::{Block, Profile, StatedUnit, Words};
use crate::poll::link::{Failure, Link};
use crate::site::Workarounds;

/// The first units are waited for so long; slower ones are heard later.
const FIRST_PATIENCE: Duration = Duration::from_millis(250);
/// Later ones for twice the slowest answer and this.
const MARGIN: Duration = Duration::from_millis(50);
/// A unit that was found is asked so often whether it is alone.
const SECOND_LOOKS: u32 = 4;
/// Exceptions by which a gateway says that nobody is there (application protocol 7).
const NOBODY: [u8; 2] = [0x0A, 0x0B];
/// A function that a unit leaves unanswered so often is not asked of it any more.
const DEAF_AFTER: u32 = 2;
const MOST_GUESSES: usize = 3;

/// A unit that answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Its id.
    pub unit: u8,
    /// True when two devices seem to answer to this id.
    pub is_contested: bool,
    /// What it says of itself (function 43/14): objects by number, 0 maker, 1 product code, 2 revision.
    pub identification: Vec<(u8, String)>,
    /// What it may be, the surest first.
    pub guesses: Vec<Guess>,
    /// Its serial number, when the surest guess knows where it stands.
    pub serial: Option<String>,
}

/// A profile that may be the right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guess {
    /// Its name.
    pub profile: String,
    /// How sure, percent: 99 our own node's check word is right; 30 to 95 the identity registers are right, by how many of the
    /// values make sense; at most 50 when only its registers are there and make sense, the more of them the surer.
    pub sure_percent: u8,
}

/// How far a scan is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The unit that is asked next.
    pub unit: u8,
    /// What for.
    pub stage: Stage,
    /// How many units were found so far.
    pub found: usize,
}

/// The stages of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Is somebody there?
    Seeking,
    /// Was it only slow, or deaf to function 3?
    SeekingAgain,
    /// What is it?
    Guessing,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unit {}", self.unit)?;
        match self.guesses.split_first() {
            None => write!(f, ": no profile fits")?,
            Some((best, others)) => {
                write!(f, ": {} ({} % sure)", best.profile, best.sure_percent)?;
                for guess in others {
                    write!(f, ", or {} ({} %)", guess.profile, guess.sure_percent)?;
                }
            }
        }
        if let Some(serial) = &self.serial {
            write!(f, ", serial number {serial}")?;
        }
        if !self.identification.is_empty() {
            let said: Vec<&str> = self.identification.iter().map(|(_, text)| text.as_str()).collect();
            write!(f, ", says of itself: {}", said.join(" "))?;
        }
        if self.is_contested {
            write!(f, ". Two devices answer to unit {}?", self.unit)?;
        }
        Ok(())
    }
}

/// Asks every unit of this range whether it is there, then what it is. The error is why the line cannot be used.
pub async fn scan(link: &mut Link, range: RangeInclusive<u8>, mut progress: impl FnMut(Progress)) -> Result<Vec<Found>, Failure> {
    let mut seeker = Seeker { slowest: None, there: BTreeSet::new(), dubious: BTreeSet::new() };
    link.take_talkers();
    for unit in range.clone() {
        progress(Progress { unit, stage: Stage::Seeking, found: seeker.there.len() });
        seeker.seek(link, unit, 3, seeker.patience()).await?;
    }
    let heard = link.take_talkers();
    for unit in range.filter(|unit| !seeker.there.contains(unit)).collect::<Vec<_>>() {
        progress(Progress { unit, stage: Stage::SeekingAgain, found: seeker.there.len() });
        // Somebody made a noise under this id, or could not be heard: give it all the time there is.
        if heard.contains(&unit) || seeker.dubious.contains(&unit) || !link.hears_late_answers() {
            seeker.seek(link, unit, 3, None).await?;
        }
        if !seeker.there.contains(&unit) {
            seeker.seek(link, unit, 4, seeker.patience()).await?;
        }
    }
    let profiles: Vec<Profile> = Profile::shipped_names().filter_map(|name| Profile::find(name, Path::new(".")).ok()).collect();
    let units = seeker.there;
    let mut found = Vec::with_capacity(units.len());
    for unit in units {
        progress(Progress { unit, stage: Stage::Guessing, found: found.len() });
        found.push(look(link, unit, &profiles).await?);
    }
    Ok(found)
}

struct Seeker {
    slowest: Option<Duration>,
    there: BTreeSet<u8>,
    /// Units from which something came that was no answer.
    dubious: BTreeSet<u8>,
}

impl Seeker {
    fn patience(&self) -> Option<Duration> {
        Some(self.slowest.map_or(FIRST_PATIENCE, |slowest| slowest * 2 + MARGIN))
    }

    async fn seek(&mut self, link: &mut Link, unit: u8, function: u8, patience: Option<Duration>) -> Result<(), Failure> {
        let block = Block { function, address: 0, count: 1 };
        let asked = match patience {
            Some(patience) => link.probe(unit, block, patience).await,
            None => link.read(unit, block).await,
        };
        match asked {
            Err(Failure::Refused(code)) if NOBODY.contains(&code) => {}
            Ok(_) | Err(Failure::Refused(_)) => {
                let longest = Duration::from_micros(link.counters().snapshot().round_trip_max_us.into());
                self.slowest = Some(longest);
                self.there.insert(unit);
            }
            // Garbled in every attempt: more than one answers, and each spoils the other's words. Over TCP somebody hung up.
            Err(Failure::Wrong(_)) if patience.is_none() && link.hears_late_answers() => {
                self.there.insert(unit);
            }
            Err(Failure::Wrong(_)) => {
                self.dubious.insert(unit);
            }
            Err(Failure::NoAnswer(_)) => {}
            Err(failure @ (Failure::NoLine(_) | Failure::Blocked { .. } | Failure::Forbidden(_))) => return Err(failure),
        }
        Ok(())
    }
}

/// What a unit is.
async fn look(link: &mut Link, unit: u8, profiles: &[Profile]) -> Result<Found, Failure> {
    let mut reader = Reader { unit, words: Words::default(), given: BTreeSet::new(), known: HashMap::new(), unanswered: BTreeMap::new() };
    let is_contested = reader.is_contested(link).await?;
    let mut guesses = Vec::new();
    for profile in profiles {
        if let Some(sure_percent) = reader.fits(link, profile).await? {
            guesses.push((sure_percent, profile));
        }
    }
    guesses.sort_by_key(|(sure_percent, _)| std::cmp::Reverse(*sure_percent));
    guesses.truncate(MOST_GUESSES);
    let serial = match guesses.first() {
        Some((_, profile)) => reader.serial(link, profile).await?,
        None => None,
    };
    let is_ours = guesses.first().is_some_and(|(_, profile)| profile.is_davy_node);
    let identification = if is_ours { Ok(Vec::new()) } else { link.identify(unit).await };
    let identification = match identification {
        Ok(objects) => objects,
        Err(failure @ Failure::NoLine(_)) => return Err(failure),
        Err(_) => Vec::new(),
    };
    let guesses = guesses.into_iter().map(|(sure_percent, profile)| Guess { profile: profile.id.clone(), sure_percent }).collect();
    Ok(Found { unit, is_contested, identification, guesses, serial })
}

/// Reads a unit's registers, each block once.
struct Reader {
    unit: u8,
    words: Words,
    /// Function and address of every word there is.
    given: BTreeSet<(u8, u16)>,
    /// Blocks that were asked for, and whether they were given.
    known: HashMap<(u8, u16, u16), bool>,
    /// How often each function was left unanswered.
    unanswered: BTreeMap<u8, u32>,
}

impl Reader {
    /// Asks a few more times, and sees whether answers are spoilt or have company.
    async fn is_contested(&mut self, link: &mut Link) -> Result<bool, Failure> {
        let counters = link.counters();
        let mut crowded = 0;
        for _ in 0..SECOND_LOOKS {
            let before = counters.snapshot();
            let asked = link.read(self.unit, Block { function: 3, address: 0, count: 1 }).await;
            if let Err(failure @ Failure::NoLine(_)) = asked {
                return Err(failure);
            }
            let after = counters.snapshot();
            crowded += u32::from(after.garbled > before.garbled || after.unasked_bytes > before.unasked_bytes);
        }
        Ok(crowded * 2 > SECOND_LOOKS)
    }

    /// True when the block was given, now or before.
    async fn read(&mut self, link: &mut Link, block: Block) -> Result<bool, Failure> {
        let place = (block.function, block.address, block.count);
        if let Some(given) = self.known.get(&place) {
            return Ok(*given);
        }
        if (0..block.count).all(|place| self.given.contains(&(block.function, block.address.wrapping_add(place)))) {
            return Ok(true);
        }
        if self.unanswered.get(&block.function).is_some_and(|times| *times >= DEAF_AFTER) {
            return Ok(false);
        }
        let given = match link.read(self.unit, block).await {
            Ok(words) => {
                self.words.add(block, &words);
                self.given.extend((0..block.count).map(|place| (block.function, block.address.wrapping_add(place))));
                true
            }
            Err(failure @ Failure::NoLine(_)) => return Err(failure),
            Err(Failure::NoAnswer(_)) => {
                *self.unanswered.entry(block.function).or_default() += 1;
                false
            }
            Err(_) => false,
        };
        self.known.insert(place, given);
        Ok(given)
    }

    /// How sure it is that this profile is the right one, percent; `None` when it is not.
    async fn fits(&mut self, link: &mut Link, profile: &Profile) -> Result<Option<u8>, Failure> {
        let workarounds = Workarounds::default();
        if profile.is_davy_node || !profile.identities.is_empty() {
            for block in profile.blocks(&[], &workarounds) {
                self.read(link, block).await?;
            }
            if profile.is_davy_node {
                return Ok(profile.serial(&self.words).map(|_| 99));
            }
            if !profile.recognises(&self.words) {
                return Ok(None);
            }
        }
        let keys = profile.keys();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        for block in profile.blocks(&keys, &workarounds) {
            self.read(link, block).await?;
        }
        // A device that lacks some of the registers refuses the whole request: then each value by itself.
        for key in &keys {
            for block in profile.blocks(&[key], &workarounds) {
                self.read(link, block).await?;
            }
        }
        let makes_sense = |key: &&&str| match profile.read(key, &self.words) {
            _ if profile.stated_unit(key, &self.words) == StatedUnit::Unknown => false,
            // A fault that the device tells of is its word too; one of ours means that nothing is there.
            Outcome::Bad(fault) => !matches!(fault, Fault::Corrupt | Fault::NotANumber | Fault::Configuration | Fault::WrongDevice),
            // Words that are something else make numbers that nobody measures.
            Outcome::Good(value) | Outcome::Uncertain(value, _) => value.get() == 0.0 || (1e-4..1e7).contains(&value.get().abs()),
        };
        let sensible: Vec<&str> = keys.iter().filter(makes_sense).copied().collect();
        let (good, all) = (sensible.len() as u32, keys.len().max(1) as u32);
        let registers: u32 = profile.blocks(&sensible, &workarounds).iter().map(|block| u32::from(block.count)).sum();
        // One small number at the right place may be chance, so the values count beside it.
        if !profile.identities.is_empty() {
            return Ok(Some((95 * good / all).max(30) as u8));
        }
        let sure = 50 * good * registers / (all * (registers + 6));
        Ok((good > 0 && sure > 0).then_some(sure as u8))
    }

    async fn serial(&mut self, link: &mut Link, profile: &Profile) -> Result<Option<String>, Failure> {
        for block in profile.serial_blocks(&[], &Workarounds::default()) {
            self.read(link, block).await?;
        }
        Ok(profile.serial(&self.words))
    }
}

#[cfg(test)]
mod tests;
