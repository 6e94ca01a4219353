//! Gap records would in time fill the reserve that belongs to urgent records. So the oldest segments, once
//! no telemetry is left in them, are gone through together: what is missing among their urgent records is
//! declared anew, one record a hole, and everything else in them goes.

use super::{Caretaker, Loss, LossCause, Plan};
use crate::disk::Disk;
use crate::queue::{Failed, Spool};
use crate::ranges::RangeSet;
use crate::record::Class;
use crate::segment::{Info, Level};

impl<D: Disk> Spool<D> {
    /// True when something was merged. What is declared here is all that is missing, declared before or not.
    pub(super) fn merge_declarations(&mut self, caretaker: &mut dyn Caretaker, losses: &mut Vec<Loss>) -> Result<bool, Failed> {
        if !self.owed.is_empty() {
            return Ok(false);
        }
        let oldest: Vec<Info> = self.sealed().take_while(|info| info.telemetry == 0).copied().collect();
        let (mut plans, mut kept, mut damaged, mut going) = (Vec::new(), RangeSet::new(), Vec::new(), 0);
        for info in oldest {
            let Some(contents) = self.contents_to_thin(&info)? else { break };
            let keep: Vec<bool> = contents.records.iter().map(|record| record.class == Class::Urgent && self.is_open(record)).collect();
            for (record, _) in contents.records.iter().zip(&keep).filter(|(_, keep)| **keep) {
                kept.insert(record.sequence, record.sequence);
            }
            going += keep.iter().filter(|keep| !**keep).count();
            damaged.extend(self.damaged(&info, &contents));
            plans.push(Plan { info, keep, level: Level::Bare, losses: Vec::new() });
        }
        let holes = self.holes_between(&kept, self.segments.get(plans.len()).map_or(self.next, |info| info.begin));
        // It must be worth it.
        if holes.len() >= going {
            return Ok(false);
        }
        let merged: Vec<Loss> = damaged.into_iter().chain(holes).collect();
        self.owed.extend(merged.iter().map(|loss| caretaker.declaration(loss)));
        losses.extend(merged);
        self.declare()?;
        self.commit(self.now_ms)?;
        // What is not declared anew stays declared as it was.
        if !self.owed.is_empty() {
            return Ok(false);
        }
        for plan in plans.iter().filter(|plan| plan.keep.contains(&false)) {
            self.shorten(plan, caretaker, losses)?;
        }
        Ok(true)
    }

    /// What is missing below `end` (raw) among `kept`, as far as it is not acknowledged.
    fn holes_between(&self, kept: &RangeSet, end: u64) -> Vec<Loss> {
        let base = self.identity.base;
        let mut first = self.acknowledged.first_missing(base + 1) - base;
        let mut holes = Vec::new();
        let end = end.saturating_sub(base);
        for (start, last) in kept.iter().chain([(end, end)]) {
            if first < start {
                let lost = start - first - self.acknowledged.overlap(first + base, start - 1 + base);
                if lost > 0 {
                    holes.push(Loss { first, last: start - 1, lost, cause: LossCause::Dropped });
                }
            }
            first = first.max(last + 1);
        }
        holes
    }
}
