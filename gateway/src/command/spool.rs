//! `spool`: lists, verifies and exports what a gateway has kept.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use gateway::export::{Row, export, log_of};
use gateway::forward::record::Kept;
use measurement::Outcome;
use serde_json::{Value, json};
use spool::Class;
use spool::inspect::Listing;
use telemetry::{GapCause, HappeningKind};

use super::{say, tell};
use crate::Usage;

#[derive(Subcommand)]
pub enum Spool {
    /// Lists the segments.
    Ls {
        /// The spool's directory: <state>/spool.
        directory: PathBuf,
    },
    /// Checks every record; ends with 1 when a part is damaged. A running gateway writes to its spool, so stop it first.
    Verify {
        /// The spool's directory: <state>/spool.
        directory: PathBuf,
    },
    /// Prints every record as CSV, or with --json as one JSON document a line. Damaged parts are named on standard
    /// error and stepped over.
    Export {
        /// The spool's directory: <state>/spool.
        directory: PathBuf,
        /// From this sequence, or from this time, for example 2026-11-28T14:00:00+08:00.
        #[arg(long, value_parser = bound)]
        from: Option<Bound>,
        /// To this sequence or time, itself included.
        #[arg(long, value_parser = bound)]
        to: Option<Bound>,
    },
}

/// Where an export begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    Sequence(u64),
    /// Unix ms.
    Time(i64),
}

fn bound(written: &str) -> Result<Bound, String> {
    if let Ok(sequence) = written.parse() {
        return Ok(Bound::Sequence(sequence));
    }
    let time = written.parse::<jiff::Timestamp>();
    time.map(|at| Bound::Time(at.as_millisecond()))
        .map_err(|_| "write a sequence, or a time with its offset such as 2026-11-28T14:00:00+08:00".to_owned())
}

/// Does it.
pub fn look(command: Spool, as_json: bool) -> anyhow::Result<()> {
    match command {
        Spool::Ls { directory } => {
            let _closed = closed(&directory)?.map_or_else(tell_that_it_is_open, Some);
            let listing = list(&directory)?;
            show(&listing, as_json)
        }
        Spool::Verify { directory } => {
            let in_use = || Usage(format!("a gateway has {} open and writes to it; stop it first", directory.display()));
            let _closed = closed(&directory)?.ok_or_else(in_use)?;
            let listing = list(&directory)?;
            show(&listing, as_json)?;
            let damaged = damaged(&listing);
            anyhow::ensure!(damaged.is_empty(), "{} parts of the spool are damaged", damaged.len());
            Ok(())
        }
        Spool::Export { directory, from, to } => export_to_stdout(&directory, from, to, as_json),
    }
}

/// Keeps gateways out of the spool while it lives; `None` when one has it open.
fn closed(directory: &Path) -> anyhow::Result<Option<File>> {
    there(directory)?;
    let cannot = || format!("cannot read the spool {}", directory.display());
    let log = File::open(log_of(directory)).with_context(cannot)?;
    match log.try_lock_shared() {
        Ok(()) => Ok(Some(log)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}

fn tell_that_it_is_open() -> Option<File> {
    eprintln!("davy-gateway: a gateway has this spool open and writes to it: what is newest may look damaged");
    None
}

fn list(directory: &Path) -> anyhow::Result<Listing> {
    spool::inspect::inspect(&log_of(directory), &mut |_| {}).with_context(|| format!("cannot read the spool {}", directory.display()))
}

fn there(directory: &Path) -> anyhow::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    Err(Usage(format!("{} is no directory; name the spool's, usually /var/lib/davy-gateway/spool", directory.display())).into())
}

fn show(listing: &Listing, as_json: bool) -> anyhow::Result<()> {
    let epoch = listing.epoch.map(|epoch| format!("{epoch:016x}"));
    if as_json {
        let segments = listing.segments.iter().map(|segment| {
            json!({
                "name": segment.name, "level": format!("{:?}", segment.level).to_lowercase(), "first": segment.first, "last": segment.last,
                "telemetry": segment.telemetry, "urgent": segment.urgent, "other": segment.other, "bytes": segment.bytes,
                "trouble": segment.trouble,
            })
        });
        let segments: Vec<Value> = segments.collect();
        return tell(&json!({ "epoch": epoch, "spares": listing.spares, "segments": segments, "set_aside": listing.set_aside }));
    }
    say(format_args!("epoch {}, {} spare segments", epoch.as_deref().unwrap_or("unknown"), listing.spares))?;
    for segment in &listing.segments {
        let trouble = segment.trouble.as_deref().unwrap_or("whole");
        say(format_args!(
            "{}\t{}..={}\t{} telemetry, {} urgent, {} other\t{} bytes\t{trouble}",
            segment.name, segment.first, segment.last, segment.telemetry, segment.urgent, segment.other, segment.bytes
        ))?;
    }
    listing.set_aside.iter().try_for_each(|name| say(format_args!("{name}\tset aside")))
}

fn damaged(listing: &Listing) -> Vec<String> {
    let segments = listing.segments.iter().filter_map(|segment| Some(format!("{}: {}", segment.name, segment.trouble.as_ref()?)));
    segments.chain(listing.set_aside.iter().map(|name| format!("{name}: set aside, not exported"))).collect()
}

const HEAD: &str = "sequence,class,what,tag,sampled_at,quality,value,unit,first,last,lost,text";

fn export_to_stdout(directory: &Path, from: Option<Bound>, to: Option<Bound>, as_json: bool) -> anyhow::Result<()> {
    let _closed = closed(directory)?.map_or_else(tell_that_it_is_open, Some);
    if !as_json {
        say(HEAD)?;
    }
    let mut written = Ok(());
    let listing = export(directory, &mut |row| {
        let exported = Exported::from(row);
        if written.is_ok() && exported.lies_between(from, to) {
            written = if as_json { tell(&exported.document()) } else { say(exported.line()) };
        }
    });
    written?;
    let listing = listing.with_context(|| format!("cannot read the spool {}", directory.display()))?;
    damaged(&listing).iter().for_each(|part| eprintln!("davy-gateway: damaged and stepped over: {part}"));
    Ok(())
}

/// A record in the words of the export; empty is what it does not have.
#[derive(Debug, Default, PartialEq)]
struct Exported {
    sequence: u64,
    class: &'static str,
    what: &'static str,
    tag: String,
    at_ms: Option<i64>,
    quality: String,
    value: Option<f32>,
    unit: &'static str,
    first: Option<u64>,
    last: Option<u64>,
    lost: Option<u64>,
    text: String,
}

impl From<Row> for Exported {
    fn from(row: Row) -> Exported {
        let class = match row.class {
            Class::Telemetry => "telemetry",
            Class::Urgent => "urgent",
            Class::Other => "other",
        };
        let bare = Exported { sequence: row.sequence, class, ..Exported::default() };
        match row.kept {
            None => Exported { what: "unknown", text: "of a later version".to_owned(), ..bare },
            Some(Kept::Part(part)) => {
                let text = format!("catalogue {:016x}, part {} of {}", part.hash, u64::from(part.part) + 1, part.parts);
                Exported { what: "catalogue", text, ..bare }
            }
            Some(Kept::Gap(gap)) => {
                let cause = GapCause::try_from(gap.why).map_or_else(|_| "Unknown".to_owned(), |cause| format!("{cause:?}"));
                Exported { what: "gap", first: Some(gap.first), last: Some(gap.last), lost: Some(gap.lost), text: cause, ..bare }
            }
            Some(Kept::Happening(said)) => {
                let kind = HappeningKind::try_from(said.kind).map_or_else(|_| "Other".to_owned(), |kind| format!("{kind:?}"));
                Exported { what: "happening", tag: said.about, at_ms: Some(said.at_ms), quality: kind, text: said.text, ..bare }
            }
            Some(Kept::Reading { reading, .. }) => {
                let quality = match reading.outcome {
                    Outcome::Good(_) => "Good",
                    Outcome::Uncertain(_, doubt) => doubt.name(),
                    Outcome::Bad(fault) => fault.name(),
                };
                let number = reading.channel.0;
                let (tag, unit) = match &row.channel {
                    Some(channel) => (channel.tag.clone(), channel.measured_in().map_or("", |unit| unit.symbol())),
                    None => (format!("#{number}"), ""),
                };
                Exported {
                    what: "reading",
                    tag,
                    at_ms: Some(reading.sampled_at.0),
                    quality: quality.to_owned(),
                    value: reading.outcome.value().map(|value| value.get()),
                    unit,
                    ..bare
                }
            }
        }
    }
}

impl Exported {
    /// What has no time of its own lies within every stretch of time.
    fn lies_between(&self, from: Option<Bound>, to: Option<Bound>) -> bool {
        let after = match from {
            Some(Bound::Sequence(first)) => self.sequence >= first,
            Some(Bound::Time(begin)) => self.at_ms.is_none_or(|at| at >= begin),
            None => true,
        };
        let before = match to {
            Some(Bound::Sequence(last)) => self.sequence <= last,
            Some(Bound::Time(end)) => self.at_ms.is_none_or(|at| at <= end),
            None => true,
        };
        after && before
    }

    fn at(&self) -> Option<String> {
        self.at_ms.map(|ms| jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |at| at.to_string()))
    }

    fn line(&self) -> String {
        let shown = |number: Option<u64>| number.map_or_else(String::new, |number| number.to_string());
        let fields = [
            self.sequence.to_string(),
            self.class.to_owned(),
            self.what.to_owned(),
            self.tag.clone(),
            self.at().unwrap_or_default(),
            self.quality.clone(),
            self.value.map_or_else(String::new, |value| value.to_string()),
            self.unit.to_owned(),
            shown(self.first),
            shown(self.last),
            shown(self.lost),
            self.text.clone(),
        ];
        fields.map(|field| quoted(&field)).join(",")
    }

    fn document(&self) -> Value {
        let filled = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let all = json!({
            "sequence": self.sequence, "class": self.class, "what": self.what, "tag": filled(&self.tag), "sampled_at": self.at(),
            "quality": filled(&self.quality), "value": self.value, "unit": filled(self.unit), "first": self.first, "last": self.last,
            "lost": self.lost, "text": filled(&self.text),
        });
        match all {
            // A reading without a value says so; what else is not there is left out.
            Value::Object(fields) => {
                fields.into_iter().filter(|(name, field)| !field.is_null() || (name == "value" && self.what == "reading")).collect()
            }
            other => other,
        }
    }
}

/// A field of CSV (RFC 4180).
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::*;
    use measurement::{ChannelId, Fault, MonotonicMs, Reading, Timestamp};

    fn reading(outcome: Outcome) -> Exported {
        let reading = Reading { channel: ChannelId(7), sampled_at: Timestamp(1_795_874_400_000), outcome };
        let channel = gateway::health::Measure::Memory.channel(1_000);
        let kept = Kept::Reading { reading, parsed_at: MonotonicMs(1), sample_age_ms: 0 };
        Row { sequence: 12, class: Class::Urgent, channel: Some(channel), kept: Some(kept) }.into()
    }

    #[test]
    fn a_fault_has_its_name_and_no_number() {
        let exported = reading(Outcome::Bad(Fault::WireBreak));
        assert_eq!(exported.line(), "12,urgent,reading,gateway/memory,2026-11-28T14:00:00Z,WireBreak,,MiB,,,,");
        assert_eq!(exported.document()["value"], Value::Null);
        assert!(exported.document().as_object().unwrap().contains_key("value"));
    }

    #[test]
    fn a_value_has_its_tag_its_unit_and_its_time() {
        let exported = reading(Outcome::measured(12.5));
        assert_eq!(exported.line(), "12,urgent,reading,gateway/memory,2026-11-28T14:00:00Z,Good,12.5,MiB,,,,");
        assert_eq!(exported.document()["value"], 12.5);
    }

    #[test]
    fn a_field_with_commas_quotes_and_lines_stays_one_field() {
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
    }

    #[test]
    fn bounds_are_sequences_or_times_and_both_ends_belong() {
        assert_eq!(bound("12"), Ok(Bound::Sequence(12)));
        assert_eq!(bound("2026-11-28T22:00:00+08:00"), Ok(Bound::Time(1_795_874_400_000)));
        assert!(bound("yesterday").unwrap_err().contains("2026-11-28T14:00:00+08:00"));
        let exported = reading(Outcome::measured(1.0));
        let (at, sequence) = (Some(Bound::Time(1_795_874_400_000)), Some(Bound::Sequence(12)));
        assert!(exported.lies_between(at, at) && exported.lies_between(sequence, sequence));
        assert!(!exported.lies_between(Some(Bound::Sequence(13)), None) && !exported.lies_between(None, Some(Bound::Time(0))));
    }
}
