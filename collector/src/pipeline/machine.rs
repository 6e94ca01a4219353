//! The thread: waits for parcels, orders, reports and time, and walks.

use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Order, Pipeline, Report, StorageLost};
use crate::ingest::{Content, Parcel};

/// Silence and lost gateways are looked for this often.
const TICK: Duration = Duration::from_millis(250);
/// Parcels committed together.
const MOST_PARCELS: usize = 512;
/// Readings committed together.
const MOST_ENTRIES: usize = 131_072;

/// What the thread waits for.
pub struct Ends {
    pub inbox: mpsc::Receiver<Parcel>,
    pub orders: mpsc::Receiver<Order>,
    pub reports: mpsc::UnboundedReceiver<Report>,
    pub shutdown: CancellationToken,
}

enum Woken {
    Parcel(Parcel),
    Order(Order),
    Report(Report),
    Time,
    Stop,
}

impl Pipeline {
    /// Runs until the shutdown. What is in the inbox then is not taken; the gateways send it again.
    pub fn run(mut self, runtime: &Handle, mut ends: Ends) -> Result<(), StorageLost> {
        let mut parcels: Vec<Parcel> = Vec::with_capacity(MOST_PARCELS);
        loop {
            match runtime.block_on(ends.next()) {
                Woken::Stop => break,
                Woken::Order(order) => self.order(order),
                Woken::Report(report) => self.report(report, &mut parcels),
                Woken::Time => {}
                Woken::Parcel(parcel) => parcels.push(parcel),
            }
            let mut entries: usize = parcels.iter().map(entries_of).sum();
            while parcels.len() < MOST_PARCELS && entries < MOST_ENTRIES {
                let Ok(parcel) = ends.inbox.try_recv() else { break };
                entries += entries_of(&parcel);
                parcels.push(parcel);
            }
            if !parcels.is_empty() {
                self.walk(&mut parcels)?;
            }
            self.tick_when_due()?;
        }
        self.last_words();
        Ok(())
    }
}

fn entries_of(parcel: &Parcel) -> usize {
    match &parcel.content {
        Content::Letter(letter) => letter.entries.len(),
        _ => 1,
    }
}

impl Ends {
    async fn next(&mut self) -> Woken {
        tokio::select! {
            biased;
            () = self.shutdown.cancelled() => Woken::Stop,
            Some(order) = self.orders.recv() => Woken::Order(order),
            Some(report) = self.reports.recv() => Woken::Report(report),
            Some(parcel) = self.inbox.recv() => Woken::Parcel(parcel),
            () = tokio::time::sleep(TICK) => Woken::Time,
        }
    }
}
