//! One endpoint's worker: takes a page of notices, sends them, notes what was accepted, waits after failures.

use std::time::Duration;

use measurement::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Delivered, ROUND, note_accepted, pause, usable_url};
use crate::clock::Clock;
use crate::store::{Endpoint, Letter, Result, Store};

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Notices read at once.
const PAGE: u64 = 64;
/// Notices of different episodes under way at once. Those of one episode go one after the other.
const ABREAST: usize = 4;

pub(super) struct Courier {
    pub store: Store,
    pub clock: Clock,
    pub client: reqwest::Client,
    pub endpoint: Endpoint,
    pub delivered: mpsc::Sender<Delivered>,
    pub heard: watch::Receiver<u64>,
}

/// What became of one attempt.
enum Outcome {
    Accepted,
    /// The endpoint answers, but not to this notice.
    Refused(String),
    /// The endpoint does not answer, or asks for time.
    Down(String),
}

/// The client for every endpoint: no redirects (an answer elsewhere is not this endpoint's), no cookies, no proxy.
pub(super) fn client() -> std::result::Result<reqwest::Client, reqwest::Error> {
    // Already installed is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    reqwest::Client::builder().timeout(TIMEOUT).connect_timeout(TIMEOUT).redirect(Policy::none()).no_proxy().user_agent("Davy").build()
}

impl Courier {
    pub(super) async fn run(mut self) {
        let (mut failures, mut skip) = (0_u32, 0);
        loop {
            self.heard.mark_unchanged();
            let (tried, progress) = match self.turn(skip).await {
                Ok(done) => done,
                Err(error) => {
                    tracing::warn!(
                        endpoint = self.endpoint.name,
                        error = &error as &dyn std::error::Error,
                        "the outbox cannot be read or written"
                    );
                    (1, Progress::Down)
                }
            };
            match progress {
                Progress::Some => (failures, skip) = (0, 0),
                // A page that is refused as a whole must not hide what waits behind it.
                Progress::Refused if tried > 0 => skip += tried,
                Progress::Refused if skip == 0 => {
                    failures = 0;
                    self.rest().await;
                }
                Progress::Refused | Progress::Down => {
                    skip = 0;
                    failures = failures.saturating_add(1);
                    tokio::time::sleep(pause(failures)).await;
                }
            }
        }
    }

    /// Waits until there may be something new.
    async fn rest(&mut self) {
        tokio::select! {
            rung = self.heard.changed() => {
                if rung.is_err() {
                    tokio::time::sleep(ROUND).await;
                }
            }
            () = tokio::time::sleep(ROUND) => {}
        }
    }

    /// Sends one page. Gives how many notices it held, and whether it was of use.
    async fn turn(&self, skip: u64) -> Result<(u64, Progress)> {
        let page = self.store.waiting(self.endpoint.id, skip, PAGE).await?;
        let count = page.len() as u64;
        let (mut accepted, mut refused, mut down) = (Vec::new(), Vec::new(), false);
        let mut groups = by_episode(page).into_iter();
        let mut under_way = JoinSet::new();
        loop {
            while under_way.len() < ABREAST && !down {
                let Some(group) = groups.next() else { break };
                under_way.spawn(send_all(self.client.clone(), self.endpoint.url.clone(), self.clock.clone(), group));
            }
            let Some(results) = under_way.join_next().await else { break };
            for (letter, at, outcome) in results.unwrap_or_default() {
                match outcome {
                    Outcome::Accepted => accepted.push((letter, at)),
                    Outcome::Refused(why) => refused.push((letter.number, why)),
                    Outcome::Down(why) => {
                        down = true;
                        refused.push((letter.number, why));
                    }
                }
            }
        }
        let first: Vec<Delivered> = accepted
            .iter()
            .filter(|(letter, _)| letter.stage == "raised")
            .map(|(letter, at)| Delivered { episode: letter.episode.clone(), stage: letter.stage.clone(), at: *at })
            .collect();
        if !accepted.is_empty() {
            let numbers: Vec<(i64, Timestamp)> = accepted.iter().map(|(letter, at)| (letter.number, *at)).collect();
            self.store.accepted(&numbers).await?;
            note_accepted(&self.store, &self.delivered, first).await;
        }
        for (number, why) in &refused {
            self.store.refused(*number, why).await?;
        }
        if let Some((_, why)) = refused.first() {
            tracing::warn!(endpoint = self.endpoint.name, count = refused.len(), why, "notices were not accepted");
        }
        Ok((
            count,
            if down {
                Progress::Down
            } else if accepted.is_empty() {
                Progress::Refused
            } else {
                Progress::Some
            },
        ))
    }
}

/// What a turn came to.
enum Progress {
    /// Something was accepted.
    Some,
    /// Nothing was there, or nothing of it was wanted.
    Refused,
    /// The endpoint does not answer.
    Down,
}

/// In the page's order, notices of one episode together.
fn by_episode(page: Vec<Letter>) -> Vec<Vec<Letter>> {
    let mut groups: Vec<Vec<Letter>> = Vec::new();
    for letter in page {
        match groups.iter_mut().find(|group| group[0].episode == letter.episode) {
            Some(group) => group.push(letter),
            None => groups.push(vec![letter]),
        }
    }
    for group in &mut groups {
        group.sort_by_key(|letter| letter.number);
    }
    groups
}

/// Sends notices one after the other and stops at the first that is not accepted: "returned" never overtakes
/// "raised".
async fn send_all(client: reqwest::Client, url: String, clock: Clock, letters: Vec<Letter>) -> Vec<(Letter, Timestamp, Outcome)> {
    let mut results = Vec::with_capacity(letters.len());
    for letter in letters {
        let outcome = send(&client, &url, &clock, &letter).await;
        let goes_on = matches!(outcome, Outcome::Accepted);
        results.push((letter, clock.wall(), outcome));
        if !goes_on {
            break;
        }
    }
    results
}

async fn send(client: &reqwest::Client, url: &str, clock: &Clock, letter: &Letter) -> Outcome {
    let Ok(url) = usable_url(url) else { return Outcome::Refused("the address cannot be used".to_owned()) };
    let Ok(key) = HeaderValue::from_str(&letter.key) else { return Outcome::Refused("the key cannot be sent".to_owned()) };
    let alarm: Value = serde_json::from_str(&letter.alarm).unwrap_or(Value::Null);
    let body = json!({ "key": letter.key, "stage": letter.stage, "alarm": alarm, "sent_at": clock.wall().0, "product": "Davy" });
    let answer = match client.post(url).header("Idempotency-Key", key).json(&body).send().await {
        Ok(answer) => answer,
        Err(error) if error.is_timeout() => return Outcome::Down(format!("no answer within {} s", TIMEOUT.as_secs())),
        Err(error) if error.is_connect() => return Outcome::Down("cannot connect".to_owned()),
        // The address may hold a token in its path; it belongs in no log.
        Err(error) => return Outcome::Down(error.without_url().to_string()),
    };
    let status = answer.status();
    // A login page that answers 200 has accepted nothing.
    let is_page = answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).is_some_and(|kind| kind.starts_with("text/html"));
    match status.as_u16() {
        200..=299 if is_page => Outcome::Refused(format!("answered {status} with a web page instead of accepting")),
        200..=299 => Outcome::Accepted,
        408 | 429 | 500..=599 => Outcome::Down(format!("answered {status}")),
        _ => Outcome::Refused(format!("answered {status}")),
    }
}
