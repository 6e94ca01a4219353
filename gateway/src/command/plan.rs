//! `plan`: what each bus can carry.

use std::path::Path;

use gateway::poll::plan::Plan;
use gateway::site::Site;
use serde_json::json;

use super::{say, tell};

/// Shows the plan of every bus.
pub fn plan(path: &Path, explain: bool, as_json: bool) -> anyhow::Result<()> {
    let site = Site::load(path)?;
    let plans = site.buses.iter().map(Plan::of);
    if as_json {
        return tell(&plans.map(|plan| document(&plan)).collect::<Vec<_>>().into());
    }
    for plan in plans {
        if explain {
            say(&plan)?;
        } else {
            let (now, dead) = (plan.share(0) * 100.0, plan.share(5) * 100.0);
            say(format_args!("{}\t{now:.1} % of the wire, {dead:.1} % with five more devices that are dead", plan.bus))?;
        }
    }
    Ok(())
}

fn document(plan: &Plan) -> serde_json::Value {
    let devices = plan.parts.iter().map(|part| {
        json!({
            "device": part.device, "requests": part.requests, "registers": part.registers,
            "wire_ms": part.poll_us as f64 / 1e3, "period_ms": part.period_ms,
            "share": part.poll_us as f64 / (part.period_ms.max(1) * 1_000) as f64,
        })
    });
    json!({
        "bus": plan.bus, "road": plan.road, "is_timed": plan.is_timed, "cycle_ms": plan.cycle_us() as f64 / 1e3,
        "share": plan.share(0), "share_with_dead": { "1": plan.share(1), "2": plan.share(2), "5": plan.share(5) },
        "devices": devices.collect::<Vec<_>>(),
    })
}
