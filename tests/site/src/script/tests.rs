use super::*;

fn script(seed: u64) -> Script {
    let stages = (0..40).map(|_| Stage { gases: vec![Gas::Methane, Gas::HydrogenSulphide], channels: 4 }).collect();
    Script::new(stages, seed)
}

fn run(script: &mut Script, seconds: u32) -> Vec<Cue> {
    (0..seconds).flat_map(|s| script.cues(f64::from(s))).collect()
}

#[test]
fn the_first_incident_is_a_leak_within_the_first_twenty_seconds() {
    for seed in 0..50 {
        let cues = run(&mut script(seed), 20);
        assert!(matches!(cues[..], [Cue::Begin(Incident { trouble: Trouble::Leak(_), .. })]), "seed {seed}: {cues:?}");
    }
}

#[test]
fn an_hour_brings_an_incident_every_minute_or_two() {
    let begun = run(&mut script(3), 3600).iter().filter(|c| matches!(c, Cue::Begin(_))).count();
    assert!((30..=60).contains(&begun), "{begun}");
}

#[test]
fn every_incident_ends() {
    let mut script = script(4);
    let mut open: Vec<Incident> = Vec::new();
    for cue in run(&mut script, 36_000) {
        match cue {
            Cue::Begin(incident) => open.push(incident),
            Cue::End(incident) => open.retain(|i| *i != incident),
        }
    }
    assert!(open.len() <= 4, "{open:?}");
}

#[test]
fn the_same_seed_tells_the_same_story() {
    assert_eq!(run(&mut script(9), 7200), run(&mut script(9), 7200));
}
