//! One alarm from its opening to its closing, and what can happen to it.

use crate::rule::{Kind, Priority};
use crate::serial;
use measurement::{ChannelId, Timestamp, Unit, Value};
use serde::{Deserialize, Serialize};

/// The state of ISA-18.2 that an episode shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Closed: the condition is gone and nobody has anything left to do.
    Normal,
    /// Active, and no person has acknowledged it.
    Unacknowledged,
    /// Active and acknowledged.
    Acknowledged,
    /// The condition is gone, nobody has acknowledged it.
    ReturnedUnacknowledged,
    /// The condition seems gone but only a person may say so; not acknowledged.
    LatchedUnacknowledged,
    /// The condition seems gone but only a person may say so; acknowledged.
    LatchedAcknowledged,
    /// Put aside by a person for a while.
    Shelved,
    /// Covered by another alarm, as a silent channel by its lost gateway.
    Suppressed,
    /// Taken out of service by a person, for maintenance.
    OutOfService,
}

impl State {
    /// Its name in the API; both latched states are "latched" there.
    pub const fn name(self) -> &'static str {
        match self {
            State::Normal => "normal",
            State::Unacknowledged => "unacknowledged",
            State::Acknowledged => "acknowledged",
            State::ReturnedUnacknowledged => "returned_unacknowledged",
            State::LatchedUnacknowledged | State::LatchedAcknowledged => "latched",
            State::Shelved => "shelved",
            State::Suppressed => "suppressed",
            State::OutOfService => "out_of_service",
        }
    }
}

/// A reading's place in its gateway's stream. Alarms are ordered by this, never by a wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The stream: a gateway's spool from its creation on.
    pub epoch: u64,
    /// The reading's number in it.
    pub sequence: u64,
}

/// The times a reading passed on its way to a person; `t0` and `t1` are stated per sensor model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stages {
    /// The gateway parsed the frame.
    #[serde(with = "serial::maybe_time")]
    pub t2: Option<Timestamp>,
    /// The gateway's edge state knew.
    #[serde(with = "serial::maybe_time")]
    pub t3: Option<Timestamp>,
    /// The collector committed the alarm.
    #[serde(with = "serial::maybe_time")]
    pub t4: Option<Timestamp>,
    /// A page painted it.
    #[serde(with = "serial::maybe_time")]
    pub t5: Option<Timestamp>,
    /// An endpoint accepted it.
    #[serde(with = "serial::maybe_time")]
    pub t6: Option<Timestamp>,
    /// A person acknowledged it.
    #[serde(with = "serial::maybe_time")]
    pub t7: Option<Timestamp>,
}

/// A stage that somebody else than the engine observes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// t4, committed.
    Committed,
    /// t5, painted.
    Painted,
    /// t6, accepted by an endpoint.
    Accepted,
}

/// How a person put an alarm aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aside {
    /// Shelved: until a time.
    Timed,
    /// Shelved: until the condition returns to normal, and no longer than a time.
    OneShot,
    /// Out of service: until maintenance is done, and no longer than a time.
    OutOfService,
}

/// Who put an alarm aside, why and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetAside {
    /// How.
    pub how: Aside,
    /// Who.
    pub by: String,
    /// The second person, whom an urgent alarm needs.
    pub second: Option<String>,
    /// Why.
    pub reason: String,
    /// It comes back at this time at the latest.
    #[serde(with = "serial::time")]
    pub until: Timestamp,
}

/// One alarm: one record, one key outward, from its raising to its closing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Episode {
    /// 32 hexadecimal digits, a function of channel (or gateway), rule and opening reading only, so that
    /// judging the same readings again, here or in another collector, makes the same episode.
    pub id: String,
    /// The channel, unless it is about a whole gateway.
    #[serde(with = "serial::maybe_channel")]
    pub channel: Option<ChannelId>,
    /// The gateway the channel hangs on, or that it is about.
    pub gateway: String,
    /// The rule's id.
    pub rule: String,
    /// What it is about.
    pub kind: Kind,
    /// How urgent it is.
    pub priority: Priority,
    /// Where it stands. Kept in step with the fields below by the engine.
    pub state: State,
    /// True while the condition holds, whatever people have done.
    pub active: bool,
    /// True when only a person's reset can close it.
    pub latching: bool,
    /// The value that opened it, if a value did.
    #[serde(with = "serial::maybe_value")]
    pub value: Option<Value>,
    /// The unit of value and setpoint.
    #[serde(with = "serial::unit")]
    pub unit: Unit,
    /// The setpoint, for a limit.
    #[serde(with = "serial::maybe_value")]
    pub setpoint: Option<Value>,
    /// `measurement::Fault::name` or `Doubt::name` of the opening reading, when it had one.
    pub reason: Option<String>,
    /// True until a second reading confirms the one that opened it.
    pub unconfirmed: bool,
    /// Opened by a late reading and not seen live since: it does not ring today's bell.
    pub late: bool,
    /// True while the present active stretch is known from late readings only; a late reading may end it.
    pub from_backfill: bool,
    /// The reading that opened it; for silence the last one before it.
    pub opening: Place,
    /// When that reading was sampled.
    #[serde(with = "serial::time")]
    pub opening_sampled_at: Timestamp,
    /// The reading that ended the active stretch, once it has returned.
    pub returning: Option<Place>,
    /// True time of its beginning: when the value was sampled, as far back as backfill shows.
    #[serde(with = "serial::time")]
    pub began_at: Timestamp,
    /// When the collector raised it.
    #[serde(with = "serial::time")]
    pub opened_at: Timestamp,
    /// True time of the condition's end.
    #[serde(with = "serial::maybe_time")]
    pub returned_at: Option<Timestamp>,
    /// When a person acknowledged it.
    #[serde(with = "serial::maybe_time")]
    pub acknowledged_at: Option<Timestamp>,
    /// Who.
    pub acknowledged_by: Option<String>,
    /// What they said.
    pub note: Option<String>,
    /// When nothing was left to do. For an episode wholly in the past: the true time of its end.
    #[serde(with = "serial::maybe_time")]
    pub closed_at: Option<Timestamp>,
    /// Shelved or out of service, by whom and until when.
    pub aside: Option<SetAside>,
    /// True while another alarm covers it.
    pub suppressed: bool,
    /// How long each stage took.
    pub stages: Stages,
    /// True when the channel is simulated: never to be sent to a regulator.
    pub simulated: bool,
    /// What a lost gateway leaves unseen: the names of points, or tags of channels bound to none.
    pub unseen: Vec<String>,
}

impl Episode {
    /// True until it is closed.
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

/// What happened to an episode. Adding one? Also add its legal states to `invariants.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// It opened. `episode.late` says whether by a late reading.
    Raised,
    /// Found in backfill while another episode of the same rule is open: recorded and closed at once.
    /// To be told outward like `Raised`.
    RecordedLate,
    /// A late one is confirmed by a live reading: it rings now. To be told outward like `Raised`, under a
    /// stage of its own.
    BecameLive,
    /// The condition came back before anyone acknowledged.
    Reraised,
    /// A second reading confirms the unconfirmed one.
    Confirmed,
    /// Backfill moved `began_at`.
    BeganAtMoved,
    /// The condition ended. If it was acknowledged already, `Cleared` follows.
    Returned,
    /// A person acknowledged it. If the condition had ended already, `Cleared` follows.
    Acknowledged,
    /// The condition seems to have ended, but it waits for a person's reset.
    Latched,
    /// A person reset the latch; `Cleared` follows.
    Reset,
    /// It closed: always the last event of an episode.
    Cleared,
    /// A person shelved it.
    Shelved,
    /// It came back from the shelf, by a person, by time or by returning to normal.
    Unshelved,
    /// A greater alarm covers it now.
    Suppressed,
    /// It stands for itself again.
    Unsuppressed,
    /// A person took it out of service.
    TakenOutOfService,
    /// It is in service again.
    BackInService,
    /// Its rule changed while it was open; the note says how. Only a live reading inside the new release
    /// returns it.
    RuleChanged,
    /// Its rule or channel is no more; `Cleared` follows.
    Withdrawn,
}

impl Event {
    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Event::Raised => "raised",
            Event::RecordedLate => "recorded_late",
            Event::BecameLive => "became_live",
            Event::Reraised => "reraised",
            Event::Confirmed => "confirmed",
            Event::BeganAtMoved => "began_at_moved",
            Event::Returned => "returned",
            Event::Acknowledged => "acknowledged",
            Event::Latched => "latched",
            Event::Reset => "reset",
            Event::Cleared => "cleared",
            Event::Shelved => "shelved",
            Event::Unshelved => "unshelved",
            Event::Suppressed => "suppressed",
            Event::Unsuppressed => "unsuppressed",
            Event::TakenOutOfService => "taken_out_of_service",
            Event::BackInService => "back_in_service",
            Event::RuleChanged => "rule_changed",
            Event::Withdrawn => "withdrawn",
        }
    }
}

/// What made an event happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A live reading, or a live sign of a gateway.
    Live,
    /// A live reading without a value.
    LiveFault,
    /// A late reading.
    Late,
    /// Time passing.
    Time,
    /// A person.
    Person,
    /// A change of the registry.
    Registry,
}

/// One event, with the episode as it is after it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// The episode after the event.
    pub episode: Episode,
    /// What happened.
    pub event: Event,
    /// What made it happen.
    pub cause: Cause,
    /// When the collector knew.
    #[serde(with = "serial::time")]
    pub at: Timestamp,
    /// Which person did it.
    pub who: Option<String>,
    /// What there is to say about it.
    pub note: Option<String>,
}
