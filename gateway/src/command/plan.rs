//! `plan`: what each bus can carry.

use std::path::Path;

use gateway::poll::plan::{Plan, spool_hours};
use gateway::site::Site;
use serde_json::json;

use super::{say, tell};

/// Shows the plan of every bus.
pub fn plan(path: &Path, explain: bool, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let plans = site.buses.iter().map(Plan::of);
    if as_json {
        let buses = plans.map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        return tell(&json!({ "spool_hours": spool_hours(&site), "buses": buses }));
    }
    for plan in plans {
        if explain {
            say(&plan)?;
        } else {
            let (now, dead) = (plan.share(0) * 100.0, plan.share(5) * 100.0);
            say(format_args!("{}\t{now:.1} % of the wire, {dead:.1} % with five more devices that are dead", plan.bus))?;
        }
    }
    if site.buses.iter().all(|bus| bus.devices.is_empty()) {
        return Ok(());
    }
    say(format_args!("the spool holds {:.0} h of all readings when nobody takes them", spool_hours(&site)))
}
