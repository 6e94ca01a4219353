//! The certificates in use, over time: their files are looked at each minute and when somebody asks, renewed ones are
//! taken, and what a person must know of them (they cannot be used, our own ends soon) is said.

use std::error::Error;
use std::sync::Arc;

use measurement::MonotonicMs;
use rustls::ClientConfig;
use spool::Class;
use telemetry::{ClockQuality, Happening, HappeningKind};
use tracing::{info, warn};

use super::PostConfig;
use super::certificates::{CertificateError, Certificates, EndWatch, warning};
use super::inbox::Inbox;
use super::mqtt::split_url;
use super::record::Kept;
use crate::clock::Clock;

/// The files are looked at this often, and when somebody asks for it.
const LOOK_EVERY_MS: u64 = 60_000;

/// See the head of this file.
pub struct Renewal {
    config: PostConfig,
    clock: Clock,
    inbox: Arc<Inbox>,
    in_use: Option<Certificates>,
    due: MonotonicMs,
    end_watch: EndWatch,
    trouble: Option<String>,
}

/// What a look at the files brought.
#[derive(Debug, PartialEq, Eq)]
pub struct Found {
    /// Others than before: a connection is to be made anew with them.
    pub renewed: bool,
    /// What a person must know, in one sentence.
    pub trouble: Option<String>,
}

impl Renewal {
    /// Nothing is in use before the first look.
    pub fn new(config: &PostConfig, clock: &Clock, inbox: &Arc<Inbox>) -> Renewal {
        Renewal {
            config: config.clone(),
            clock: clock.clone(),
            inbox: inbox.clone(),
            in_use: None,
            due: MonotonicMs(0),
            end_watch: EndWatch::default(),
            trouble: None,
        }
    }

    /// What a TLS connection is to be made with.
    pub fn tls(&self) -> Option<Arc<ClientConfig>> {
        self.in_use.as_ref().map(|certificates| certificates.tls.clone())
    }

    /// The next look is due at once.
    pub fn hurry(&mut self) {
        self.due = MonotonicMs(0);
    }

    /// Looks at the files when it is time for that. `None` when it is not, or the broker is spoken to without TLS.
    pub async fn look(&mut self) -> Option<Found> {
        let now = self.clock.mono();
        if now < self.due || !split_url(&self.config.broker.url).is_ok_and(|(_, _, tls)| tls) {
            return None;
        }
        self.due = MonotonicMs(now.0 + LOOK_EVERY_MS);
        let (broker, clock) = (self.config.broker.clone(), self.clock.clone());
        // Files may wait for a disk. What falls is looked for again in a minute.
        let loaded = tokio::task::spawn_blocking(move || Certificates::load(&broker, &clock)).await.ok()?;
        Some(self.take(loaded))
    }

    fn take(&mut self, loaded: Result<Certificates, CertificateError>) -> Found {
        let (renewed, trouble) = match loaded {
            Ok(new) => {
                let renewed = self.in_use.as_ref().is_some_and(|old| !old.same_as(&new));
                if self.in_use.is_none() || renewed {
                    self.in_use = Some(new);
                }
                (renewed, self.end_of_our_own())
            }
            Err(error) if self.in_use.is_some() => {
                (false, Some(format!("the renewed certificates cannot be used, those before still are: {}", with_sources(&error))))
            }
            Err(error) => (false, Some(with_sources(&error))),
        };
        if renewed {
            info!("the certificates were renewed: the connection is made anew with them");
        }
        if self.trouble != trouble
            && let Some(trouble) = &trouble
        {
            warn!("{trouble}");
        }
        self.trouble.clone_from(&trouble);
        Found { renewed, trouble }
    }

    /// What is to be said of the end of our own certificate; on some days it is news for the journal.
    fn end_of_our_own(&mut self) -> Option<String> {
        let ends = self.in_use.as_ref()?.ends.filter(|_| self.clock.quality() != ClockQuality::Untrusted)?;
        let now = self.clock.wall();
        if let Some(text) = self.end_watch.due(ends, now) {
            let happening = Happening { kind: HappeningKind::Other.into(), at_ms: now.0, text, about: self.config.gateway.to_string() };
            self.inbox.put(1, false, |sack| sack.push(Class::Other, &Kept::Happening(happening)));
        }
        warning(ends, now)
    }
}

/// An error and what is behind it, in one sentence.
fn with_sources(error: &dyn Error) -> String {
    let behind = std::iter::successors(error.source(), |source| (**source).source());
    behind.fold(error.to_string(), |said, source| format!("{said}: {source}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop here")]
    use super::super::BrokerConfig;
    use super::*;
    use measurement::Timestamp;

    #[tokio::test]
    async fn a_file_that_cannot_be_read_is_named_with_the_reason_once_and_looked_for_again_when_asked() {
        let config = PostConfig {
            gateway: telemetry::topic::GatewayId::new("g").unwrap(),
            root: "davy".to_owned(),
            broker: BrokerConfig { url: "mqtts://collector".to_owned(), ca: Some("/nonexistent/ca.pem".into()), ..BrokerConfig::default() },
            spool: "/nonexistent".into(),
            capacity_bytes: 1 << 20,
            group_ms: 200,
            version: "test".to_owned(),
        };
        let mut renewal = Renewal::new(&config, &Clock::manual(1, Timestamp(1_800_000_000_000)), &Arc::default());
        let trouble = renewal.look().await.unwrap().trouble.unwrap();
        assert!(trouble.starts_with("cannot read /nonexistent/ca.pem: No such file"), "{trouble}");
        assert_eq!(trouble.matches("No such file").count(), 1, "{trouble}");
        assert!(renewal.tls().is_none());
        assert_eq!(renewal.look().await, None, "it is looked at each minute");
        renewal.hurry();
        assert!(renewal.look().await.is_some());
    }
}
