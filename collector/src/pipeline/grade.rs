//! From alarms to levels: which points an alarm concerns, and how they stand after it.

use std::collections::{HashMap, HashSet};

use alarm::Episode;
use measurement::ChannelId;
use risk::{BoundChannel, PointGrade};

use super::Pipeline;
use crate::live::PointState;
use crate::registry::PointId;
use crate::store::LevelChange;

impl Pipeline {
    /// Grades the points that the newest transitions concern.
    pub(super) fn grade_changed(&mut self) {
        if self.transitions.is_empty() {
            return;
        }
        let mut points: HashSet<PointId> = HashSet::new();
        for transition in &self.transitions {
            let episode = &transition.episode;
            match episode.channel {
                Some(channel) => points.extend(self.known.channel(channel).and_then(|channel| channel.point)),
                None => points.extend(self.known.channels_on(&episode.gateway).filter_map(|channel| channel.point)),
            }
        }
        let points: Vec<PointId> = points.into_iter().collect();
        self.grade(&points, true);
    }

    /// Grades every point; freshness runs out without any reading.
    pub(super) fn grade_all(&mut self, tell: bool) {
        let points: Vec<PointId> = self.known.points.iter().map(|point| point.id).collect();
        self.grade(&points, tell);
    }

    /// Grades points and notes whose level changed. Without `tell` the levels are only learnt, as after a start.
    fn grade(&mut self, points: &[PointId], tell: bool) {
        let mut of_gateways: HashMap<&str, Vec<&Episode>> = HashMap::new();
        for episode in self.engine.open_episodes().filter(|episode| episode.channel.is_none()) {
            of_gateways.entry(episode.gateway.as_str()).or_default().push(episode);
        }
        let grades: Vec<(PointId, PointGrade)> =
            self.live.with_channels(|now| points.iter().filter_map(|id| Some((*id, self.grade_one(*id, &of_gateways, now)?))).collect());
        for (id, grade) in grades {
            let PointGrade { level, guarded, open_alarms, .. } = grade;
            if let Some(from) = self.levels.insert(id, level)
                && from != level
                && tell
            {
                self.changes.push(LevelChange { point: id, from, to: level });
            }
            self.live.set_point(id, PointState { level, guarded, open_alarms });
        }
    }

    fn grade_one(
        &self,
        id: PointId,
        of_gateways: &HashMap<&str, Vec<&Episode>>,
        now: &dyn Fn(ChannelId) -> (Option<measurement::Outcome>, bool),
    ) -> Option<PointGrade> {
        let point = self.known.point(id)?;
        let mut gateways: Vec<&str> = self.known.channels_of(id).map(|channel| channel.gateway.as_str()).collect();
        gateways.sort_unstable();
        gateways.dedup();
        let above = gateways.iter().filter_map(|gateway| of_gateways.get(gateway)).flatten().copied();
        let own = self.known.channels_of(id).flat_map(|channel| self.engine.open_on(channel.id));
        let bound = self.known.channels_of(id).map(|channel| {
            let (outcome, fresh) = now(channel.id);
            BoundChannel { tag: &channel.tag, quantity: &channel.quantity, outcome, fresh }
        });
        Some(risk::grade(point.assessed, own.chain(above), bound))
    }
}
