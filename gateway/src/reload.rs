//! A new site file beside the one at work: what goes on, what stops, what starts, and what only a restart
//! brings in. Pure; `crew` does it, `follow` notices that the file changed.
//!
//! A bus that is equal but for its channels' numbers goes on without a missed poll. Numbers and catalogue
//! change together, while no reading is between the two.

use std::collections::BTreeSet;
use std::fmt;

use crate::poll::link::Road;
use crate::site::{Bus, Site};

pub mod crew;
pub mod follow;

/// What a new site changes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// Buses that go on; at most the numbers of their channels change.
    pub kept: Vec<String>,
    /// Buses that end: those that are gone, and those that are made anew.
    pub stopped: Vec<String>,
    /// Buses that begin: those that are new, and those that are made anew.
    pub started: Vec<String>,
    /// True when the numbers or the descriptions of channels change.
    pub catalogue: bool,
    /// What the new file says and only a restart brings in.
    pub needs_restart: Vec<&'static str>,
}

impl Change {
    /// From the site at work to the new one.
    pub fn between(old: &Site, new: &Site) -> Change {
        let same = |bus: &Bus| new.buses.iter().any(|other| is_same(bus, other));
        let there = |bus: &Bus| old.buses.iter().any(|other| is_same(bus, other));
        let names = |buses: Vec<&Bus>| buses.into_iter().map(|bus| bus.name.clone()).collect();
        let mut needs_restart = Vec::new();
        let mut say = |differs: bool, what| {
            if differs {
                needs_restart.push(what);
            }
        };
        say(old.gateway != new.gateway, "gateway");
        say(old.broker != new.broker || old.root != new.root, "[broker]");
        say(old.spool != new.spool || old.spool_bytes != new.spool_bytes || old.group_ms != new.group_ms, "[spool]");
        say(old.status != new.status, "[status]");
        say(old.dtu != new.dtu || registrations(old) != registrations(new), "[dtu]");
        say(old.clock_vouched != new.clock_vouched, "clock_vouched");
        Change {
            kept: names(new.buses.iter().filter(|bus| there(bus)).collect()),
            stopped: names(old.buses.iter().filter(|bus| !same(bus)).collect()),
            started: names(new.buses.iter().filter(|bus| !there(bus)).collect()),
            // What waits for a restart does not count yet.
            catalogue: old.catalogue() != carried(old, new.clone()).catalogue(),
            needs_restart,
        }
    }

    /// True when nothing that is at work changes.
    pub fn is_nothing(&self) -> bool {
        self.stopped.is_empty() && self.started.is_empty() && !self.catalogue && self.needs_restart.is_empty()
    }
}

/// The new site as it can be at work without a restart: what only a restart brings in stays as it is.
pub fn carried(old: &Site, new: Site) -> Site {
    Site {
        gateway: old.gateway.clone(),
        broker: old.broker.clone(),
        root: old.root.clone(),
        spool: old.spool.clone(),
        spool_bytes: old.spool_bytes,
        group_ms: old.group_ms,
        status: old.status,
        dtu: old.dtu.clone(),
        clock_vouched: old.clock_vouched,
        ..new
    }
}

/// Who may dial in: the door knows them from its start.
fn registrations(site: &Site) -> BTreeSet<&[u8]> {
    let dialled = site.buses.iter().filter_map(|bus| match &bus.road {
        Road::Dtu { registration } => Some(registration.as_slice()),
        _ => None,
    });
    dialled.collect()
}

/// True when only the channels' numbers differ, if anything.
fn is_same(one: &Bus, other: &Bus) -> bool {
    one.name == other.name && one.clone().renumber(other)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let anew: Vec<&str> = self.started.iter().filter(|name| self.stopped.contains(name)).map(String::as_str).collect();
        let added: Vec<&str> = self.started.iter().filter(|name| !self.stopped.contains(name)).map(String::as_str).collect();
        let gone: Vec<&str> = self.stopped.iter().filter(|name| !self.started.contains(name)).map(String::as_str).collect();
        let mut parts = Vec::new();
        for (what, names) in [("made anew", &anew), ("new", &added), ("gone", &gone)] {
            if !names.is_empty() {
                parts.push(format!("{what}: {}", names.join(", ")));
            }
        }
        match self.kept.len() {
            0 => {}
            1 => parts.push("one bus goes on".to_owned()),
            many => parts.push(format!("{many} buses go on")),
        }
        if self.catalogue {
            parts.push("the channel catalogue is another".to_owned());
        }
        if !self.needs_restart.is_empty() {
            parts.push(format!("only a restart brings in {}", self.needs_restart.join(", ")));
        }
        f.write_str(&parts.join("; "))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use std::path::Path;

    use super::*;

    fn bus(name: &str, port: u16, tags: &[&str]) -> String {
        let mut text = format!(
            "[[bus]]\nname = {name:?}\ntcp = \"10.0.0.1:{port}\"\n[[bus.device]]\nname = \"at-{name}\"\nunit = 1\nprofile = \"davy-node\"\n"
        );
        for (key, tag) in tags.iter().enumerate() {
            text += &format!("[[bus.device.channel]]\nkey = \"{key}\"\ntag = {tag:?}\nquantity = \"CH4\"\nunit = \"%LEL\"\n");
        }
        text
    }

    fn site(head: &str, buses: &[String]) -> Site {
        let text = format!("gateway = \"g\"\n{head}\n[broker]\nurl = \"mqtt://b:1883\"\n{}", buses.concat());
        Site::parse(Path::new("site.toml"), &text).unwrap()
    }

    fn check(old: &[String], new: &[String], said: &str) {
        assert_eq!(Change::between(&site("", old), &site("", new)).to_string(), said);
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let buses = [bus("a", 1, &["x"]), bus("b", 2, &["y"])];
        assert!(Change::between(&site("", &buses), &site("", &buses)).is_nothing());
    }

    #[test]
    fn a_bus_that_only_gets_other_channel_numbers_goes_on() {
        let (a, b) = (bus("a", 1, &["x"]), bus("b", 2, &["y"]));
        check(&[a, b.clone()], &[bus("a", 1, &["x", "z"]), b.clone()], "made anew: a; one bus goes on; the channel catalogue is another");
        check(&[b.clone(), bus("c", 3, &["z"])], &[bus("c", 3, &["z"]), b], "2 buses go on; the channel catalogue is another");
    }

    #[test]
    fn a_bus_with_another_address_is_made_anew() {
        check(&[bus("a", 1, &["x"])], &[bus("a", 9, &["x"])], "made anew: a");
    }

    #[test]
    fn buses_come_and_go() {
        check(
            &[bus("a", 1, &["x"]), bus("b", 2, &["y"])],
            &[bus("b", 2, &["y"]), bus("c", 1, &["z"])],
            "new: c; gone: a; one bus goes on; the channel catalogue is another",
        );
    }

    #[test]
    fn what_the_post_was_started_with_waits_for_a_restart_and_is_said_again_every_time() {
        let old = site("", &[]);
        let new = Site { spool_bytes: 1 << 30, clock_vouched: true, ..old.clone() };
        let change = Change::between(&old, &new);
        assert_eq!(change.to_string(), "only a restart brings in [spool], clock_vouched");
        let at_work = carried(&old, new.clone());
        assert_eq!(Change::between(&at_work, &new), change);
    }
}
