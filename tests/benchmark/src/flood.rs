//! Ten thousand alarms at once, as when a sensor supply or a main fan fails: how long until each is in the database
//! with its line in the journal and its notice (promise P9 says 5 s).

use std::time::Duration;

use collector::store::NewEndpoint;

use crate::letters::senders;
use crate::rig::Rig;

/// How many alarms.
pub const ALARMS: u32 = 10_000;
/// Longer than this is not waited.
const PATIENCE_MS: u64 = 120_000;

/// Seconds from the first letter to the last alarm recorded with its notice.
pub async fn took_s(mut progress: impl FnMut(usize)) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let mut rig = Rig::start(folder.path()).await?;
    let mut senders = senders(ALARMS, 1, 7)?;
    rig.introduce(&mut senders, |_| ()).await?;
    // Nobody listens there: the notices stay, and are counted.
    let new = NewEndpoint { name: "benchmark".to_owned(), url: "http://127.0.0.1:9/x".to_owned(), enabled: true, min_priority: 0 };
    let endpoint = rig.store.add_endpoint(new, "benchmark", rig.clock.wall()).await?.id;
    let clock = rig.clock.clone();
    let began = clock.mono();
    for sender in &mut senders {
        for letter in sender.round(clock.wall(), 0, 1000, 1000) {
            rig.send(&sender.id, &letter).await?;
        }
    }
    loop {
        let recorded = rig.store.waiting(endpoint, 0, u64::MAX >> 1).await?.len();
        progress(recorded);
        if recorded >= ALARMS as usize {
            break;
        }
        anyhow::ensure!(clock.mono().since(began) < PATIENCE_MS, "only {recorded} of {ALARMS} alarms were recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let took = clock.mono().since(began) as f64 / 1000.0;
    rig.stop().await?;
    Ok(took)
}
