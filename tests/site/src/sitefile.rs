//! The site file of a simulated plant: what its gateway is told, as a person would write it.

use std::fmt::Write;

use crate::city::{Channel, Level, Plant, Quantity};
use crate::plant::Gas;

/// Where a plant's nodes can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    Tcp(String),
    RtuOverTcp(String),
    Serial(String),
}

/// How its gateway signs in to the collector's broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignIn {
    pub url: String,
    pub user: String,
    pub password: String,
    pub root: String,
}

/// The text of the site file.
pub fn site_file(plant: &Plant, reach: &Reach, sign_in: &SignIn) -> String {
    let mut text = String::new();
    let road = match reach {
        Reach::Tcp(address) => format!("tcp = {address:?}"),
        Reach::RtuOverTcp(address) => format!("rtu_over_tcp = {address:?}"),
        Reach::Serial(path) => format!("serial = {path:?}\nbaud = 115200"),
    };
    let SignIn { url, user, password, root } = sign_in;
    let _ = write!(
        text,
        "# Written by the simulated site at every start; ports and paths change.\n\
         gateway = {:?}\nname = {:?}\nsimulated = true\nclock_vouched = true\n\n\
         [broker]\nurl = {url:?}\nuser = {user:?}\npassword = {password:?}\nroot = {root:?}\n\n\
         [spool]\ncapacity_mb = 64\n\n[[bus]]\nname = \"bus-1\"\n{road}\ntimeout_ms = 2000\n",
        plant.gateway, plant.name,
    );
    for (unit, point) in (1..).zip(&plant.points) {
        let _ = write!(
            text,
            "\n[[bus.device]]\nname = {:?}\nunit = {unit}\nprofile = \"davy-node\"\nperiod_ms = {}\n",
            point.code, plant.period_ms
        );
        for (number, channel) in (0_u8..).zip(point.channels) {
            write_channel(&mut text, number, channel);
        }
    }
    text
}

fn write_channel(text: &mut String, number: u8, channel: &Channel) {
    let (low, high) = channel.range;
    let _ = write!(
        text,
        "[[bus.device.channel]]\nkey = \"{number}\"\ntag = {:?}\nname = {:?}\nquantity = {:?}\nunit = {:?}\nrange = [{low:?}, {high:?}]\n",
        channel.key,
        channel.label(),
        channel.quantity_name(),
        channel.unit.symbol(),
    );
    if channel.quantity == Quantity::Gas(Gas::Methane) {
        text.push_str("lel_percent_vol = 5.0\n");
    }
    if !channel.limits.is_empty() {
        let limits: Vec<String> = channel.limits.iter().map(|level| limit(*level)).collect();
        let _ = writeln!(text, "limit = [{}]", limits.join(", "));
    }
}

fn limit(level: Level) -> String {
    match level {
        Level::High(high) => format!("{{ high = {high:?} }}"),
        Level::Low(low) => format!("{{ low = {low:?} }}"),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::city::plants;

    #[test]
    fn the_gateway_accepts_the_file_of_every_plant() {
        let sign_in = SignIn { url: "mqtt://127.0.0.1:1883".into(), user: "u".into(), password: "p\"\\".into(), root: "davy/v1".into() };
        for plant in plants() {
            let text = site_file(&plant, &Reach::Tcp("127.0.0.1:502".into()), &sign_in);
            let site = gateway::site::Site::parse(Path::new("site.toml"), &text).expect("a site that can work");
            assert_eq!(site.buses[0].devices.len(), plant.points.len());
        }
    }
}
