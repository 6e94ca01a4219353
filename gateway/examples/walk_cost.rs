//! What the walk from words to readings costs: a device of eight registers, understood again and again. Run it
//! under `valgrind --tool=callgrind` to count instructions, which no neighbour on the machine changes.

use gateway::device::Profile;
use gateway::interpret::{Answer, At, Memory, interpret};
use gateway::site::{Site, Workarounds};
use measurement::{MonotonicMs, Timestamp};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let polls: u64 = std::env::args().nth(1).map_or(Ok(10_000), |given| given.parse())?;
    for (name, profile) in
        [("eight plain registers", plain()?), ("four gases with status registers", Profile::find("cn-multigas-10reg", "".as_ref())?)]
    {
        let device = device(profile)?;
        let keys: Vec<&str> = device.channels.iter().map(|channel| &*channel.key).collect();
        let questions = device.profile.blocks(&keys, &Workarounds::default());
        let mut memory = Memory::default();
        let mut readings = 0;
        for poll in 0..polls {
            let words = |count: u16| (0..count).map(|word| 100 + word + (poll % 7) as u16).collect();
            let blocks = questions.iter().map(|block| (*block, words(block.count))).collect();
            let at = At { wall: Timestamp(1_800_000_000_000 + poll as i64 * 1_000), mono: MonotonicMs(poll * 1_000) };
            readings += std::hint::black_box(interpret(&device, &Answer::Words(blocks), at, &mut memory)).len();
        }
        println!("{name}: {readings} readings");
    }
    Ok(())
}

fn plain() -> Result<Profile, String> {
    let mut text =
        "id = \"eight\"\nmaker = \"nobody\"\nmodel = \"eight registers\"\nsource = \"this example\"\nconfidence = \"own\"\n".to_owned();
    (0..8).for_each(|register| text += &format!("[[register]]\nkey = \"r{register}\"\naddress = {register}\ntype = \"u16\"\n"));
    (0..8).for_each(|register| text += &format!("[[value]]\nkey = \"v{register}\"\nregister = \"r{register}\"\n"));
    Profile::parse("eight", &text)
}

/// A device of a profile that takes every value of it.
fn device(profile: Profile) -> Result<gateway::site::Device, Box<dyn std::error::Error>> {
    let mut text =
        "gateway = \"g\"\n[broker]\nurl = \"mqtt://b:1883\"\n[[bus]]\nname = \"bus\"\ntcp = \"b:502\"\n[[bus.device]]\nname = \"d\"\n\
                    unit = 1\nprofile = \"davy-node\"\nperiod_ms = 1000\n"
            .to_owned();
    let keys = profile.keys();
    for place in 0..keys.len() {
        text += &format!(
            "[[bus.device.channel]]\nkey = \"{place}\"\ntag = \"t{place}\"\nquantity = \"CH4\"\nunit = \"1\"\nlimit = [{{ high = 60000.0 }}]\n"
        );
    }
    let mut device = Site::parse("site.toml".as_ref(), &text)?.buses.remove(0).devices.remove(0);
    device.channels.iter_mut().zip(keys).for_each(|(channel, key)| channel.key = key.into());
    device.profile = profile.into();
    Ok(device)
}
