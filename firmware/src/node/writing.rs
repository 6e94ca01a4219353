//! What a master may write: the settings, behind a key, all of a change or nothing.

use measurement::{ChannelId, Limit, MonotonicMs};
use register_map::{CHANNEL_SETTINGS_CONTENT, ChannelSettingsBlock, DESK_COMMIT, DESK_KEY, EventKind, Refusal};

use super::{Channel, Node};
use crate::conversion::Calibration;
use crate::desk::NotStaged;
use crate::event_log::{Happening, LogMemory};
use crate::settings::{CalibrationRecord, Keep, Refused};

/// Why a write changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWritten {
    /// No register that can be written stands there, or not so many.
    Address,
    /// It was refused; the desk says why.
    Refused,
}

impl<const CHANNELS: usize, M: LogMemory> Node<CHANNELS, M> {
    /// Takes the words that a master writes from `address` on. Only a commit changes what is in force, and `keep` must have
    /// kept it first: a node never runs on settings that its next start would not have.
    pub fn write(&mut self, address: u16, words: &[u16], keep: &mut impl Keep<CHANNELS>, now: MonotonicMs) -> Result<(), NotWritten> {
        match (address, words) {
            (DESK_KEY, &[high, low]) => self.unlock(u32::from(high) << 16 | u32::from(low), now),
            (DESK_COMMIT, &[version, high, low]) => {
                let committed = self.commit(version, u32::from(high) << 16 | u32::from(low), keep, now);
                committed.map_err(|refused| {
                    self.desk.refuse(refused);
                    NotWritten::Refused
                })
            }
            _ => self.desk.stage(address, words, now).map_err(|why| match why {
                NotStaged::Address => NotWritten::Address,
                NotStaged::Shut => NotWritten::Refused,
            }),
        }
    }

    #[inline(never)]
    fn unlock(&mut self, key: u32, now: MonotonicMs) -> Result<(), NotWritten> {
        let in_force = self.sheet();
        if self.desk.unlock(key, || in_force, now) {
            return Ok(());
        }
        self.log.note(Happening::node(EventKind::KeyRefused, 0), now);
        Err(NotWritten::Refused)
    }

    #[inline(never)]
    fn commit(&mut self, replaces: u16, crc: u32, keep: &mut impl Keep<CHANNELS>, now: MonotonicMs) -> Result<(), Refused> {
        let refused = |refusal| Refused { refusal, channel: None };
        let bounds = self.bounds();
        let sheet = self.desk.staged(now).ok_or(refused(Refusal::Shut))?;
        if replaces != self.version {
            return Err(refused(Refusal::Version));
        }
        if sheet.crc() != crc {
            return Err(refused(Refusal::Content));
        }
        let unit = sheet.examine(&bounds)?;
        // Zero means that nobody has ever set anything, so counting passes it by.
        let version = self.version.checked_add(1).unwrap_or(1);
        keep.keep(version, sheet).map_err(|_| refused(Refusal::NotKept))?;
        self.log.note_settings(version, crc, now);
        for ((index, channel), content) in (0..).zip(&mut self.channels).zip(&sheet.channels) {
            if self.health.troubles.settings_lost {
                // What was held for want of settings ends as any alarm does, now that there are some.
                channel.annunciator.reset();
            }
            if let Some(date) = channel.put_in_force(content) {
                self.log.note(Happening::channel(EventKind::Calibrated, index, date), now);
            }
        }
        self.keep_latches();
        (self.unit, self.version, self.hash) = (unit, version, crc);
        self.health.troubles.settings_lost = false;
        self.desk.shut();
        Ok(())
    }

    /// Counts what came over the field bus, for the health block.
    pub(crate) const fn count_answer(&mut self) {
        self.health.answered = self.health.answered.wrapping_add(1);
    }

    /// As [`Node::count_answer`], for a frame whose CRC is wrong.
    pub(crate) const fn count_bad_frame(&mut self) {
        self.health.bad_frames = self.health.bad_frames.wrapping_add(1);
    }

    /// The levels in force on a channel.
    pub fn limits(&self, channel: ChannelId) -> Option<(Option<Limit>, Option<Limit>)> {
        self.channels.get(channel.0 as usize).map(|channel| (channel.settings.low, channel.settings.high))
    }
}

impl Channel {
    /// Puts settings in force that were examined, so that they can be read. Gives the date when they bring another calibration.
    pub(super) fn put_in_force(&mut self, content: &[u16; CHANNEL_SETTINGS_CONTENT]) -> Option<u32> {
        let block = ChannelSettingsBlock::from_content(content).ok()?;
        let ChannelSettingsBlock { latching, low, high, zero, span, zero_per_kelvin, date, gas, lot, operator, .. } = block;
        let (calibration, record) = (Calibration { zero, span, zero_per_kelvin }, CalibrationRecord { date, gas, lot, operator });
        let calibrated = calibration != self.settings.calibration || record != self.record;
        (self.settings.calibration, self.record) = (calibration, record);
        (self.settings.low, self.settings.high, self.settings.latching) = (low, high, latching);
        self.annunciator.reconfigure(low, high, latching);
        calibrated.then_some(date)
    }
}
