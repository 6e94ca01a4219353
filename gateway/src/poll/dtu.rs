//! DTUs: modems that dial in and say who they are. A bus behind one waits here for its line.
//!
//! The first bytes of a connection are the registration packet of one of the site's buses, at most 64 bytes; it may come
//! in pieces, and heartbeats may stand before and behind it. Whoever is silent for ten seconds, says too much or is
//! not known is sent away, and told of once a minute and source. One address may hold half the seats. A second connection
//! with the same registration takes the place of the first, which as a rule is half-open; where both live (`rivals`), none
//! of them is let in for a minute, so that no reading of one plant is taken for another's.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tracing::{info, warn};

use super::link::{Road, Stream, watch};
use crate::site::{DtuListener, Site};
use greeting::{Greeting, judge};
use rivals::Rivalry;
use seats::Seats;

mod greeting;
mod rivals;
mod seats;

/// Who says nothing for so long is sent away.
const PATIENCE: Duration = Duration::from_secs(10);
/// A registration that is also the beginning of a longer one stands when so long nothing follows.
const MORE: Duration = Duration::from_millis(500);
/// An unwelcome source, a failed accept and a DTU that dials in again and again are told of so often at most …
const TOLD_EVERY: Duration = Duration::from_secs(60);
/// … and so many of them are remembered.
const MOST_SOURCES: usize = 256;
/// A port that cannot be had is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);
/// After a failed accept, for example because files are short.
const BREATH: Duration = Duration::from_millis(200);

/// The DTUs that have dialled in. Cheap to clone; the default one listens nowhere.
#[derive(Debug, Clone, Default)]
pub struct Dtus(Option<Arc<Hall>>);

#[derive(Debug)]
struct Hall {
    heartbeat: Vec<u8>,
    address: OnceLock<SocketAddr>,
    known: Vec<Vec<u8>>,
    lines: Mutex<HashMap<Vec<u8>, Place>>,
    /// Why nobody can dial in, if so.
    shut: Mutex<Option<String>>,
}

/// Where the line of one registration stands.
#[derive(Debug, Default)]
struct Place {
    present: Option<Present>,
    rivalry: Rivalry,
    /// When it was last told of.
    told: Option<Instant>,
}

/// The connection that has a place.
#[derive(Debug)]
struct Present {
    /// Cancelled when a newer connection takes its place.
    replaced: CancellationToken,
    stream: Weak<TcpStream>,
    heard: Heard,
    /// Until the link of its bus takes it.
    line: Option<(Arc<TcpStream>, Vec<u8>)>,
}

impl Present {
    fn new(stream: TcpStream, first: Vec<u8>) -> Present {
        let stream = Arc::new(stream);
        Present {
            replaced: CancellationToken::new(),
            stream: Arc::downgrade(&stream),
            heard: Heard::default(),
            line: Some((stream, first)),
        }
    }

    /// When it last gave bytes; `None` when it gave none, or the DTU has hung up since.
    fn heard(&self) -> Option<Instant> {
        let stream = self.stream.upgrade()?;
        let mut ready = std::pin::pin!(stream.ready(Interest::READABLE));
        match ready.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(Ok(ready)) if !ready.is_read_closed() => self.heard.last(),
            Poll::Ready(_) => None,
            Poll::Pending => self.heard.last(),
        }
    }
}

/// When a line last gave bytes to the link of its bus.
#[derive(Debug, Clone, Default)]
struct Heard(Arc<Mutex<Option<Instant>>>);

impl Heard {
    fn last(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn at(&self, now: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }
}

impl Dtus {
    /// Listens until the shutdown. `known` are the registrations of the site's buses; nobody else is let in.
    pub async fn listen(listener: DtuListener, known: Vec<Vec<u8>>, shutdown: CancellationToken) -> io::Result<Dtus> {
        let socket = TcpListener::bind(listener.listen).await?;
        let hall = Hall::new(listener.heartbeat, known);
        hall.address.get_or_init(|| socket.local_addr().unwrap_or(listener.listen));
        tokio::spawn(hall.clone().serve(socket, shutdown));
        Ok(Dtus(Some(hall)))
    }

    /// Those of a site. A port that cannot be had, for example because the network is not up yet, is tried again: the
    /// other buses do not wait for it.
    pub fn of(site: &Site, shutdown: &CancellationToken) -> Dtus {
        let Some(listener) = site.dtu.clone() else { return Dtus::default() };
        let registrations = site.buses.iter().filter_map(|bus| match &bus.road {
            Road::Dtu { registration } => Some(registration.clone()),
            _ => None,
        });
        let hall = Hall::new(listener.heartbeat, registrations.collect());
        tokio::spawn(hall.clone().serve_when_possible(listener.listen, shutdown.clone()));
        Dtus(Some(hall))
    }

    /// Where DTUs dial in; `None` while nobody listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.as_ref()?.address.get().copied()
    }

    /// True once the DTU of this registration has dialled in, also when its line was lost since.
    pub fn has_dialled(&self, registration: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|hall| hall.lines().get(registration).is_some_and(|place| place.present.is_some()))
    }

    /// What the DTU of this registration sends of its own accord, at any time between frames.
    pub fn interjections(&self, registration: &[u8]) -> Vec<Vec<u8>> {
        let heartbeat = self.0.iter().map(|hall| hall.heartbeat.clone());
        heartbeat.chain([registration.to_vec()]).filter(|bytes| !bytes.is_empty()).collect()
    }

    /// The line of the DTU that sent this registration packet.
    pub async fn line(&self, registration: &[u8]) -> io::Result<Box<dyn Stream>> {
        let id = String::from_utf8_lossy(registration);
        let absent = |why: String| io::Error::new(io::ErrorKind::NotConnected, why);
        let not_there = || absent(format!("the DTU {id:?} has not dialled in"));
        let hall = self.0.as_ref().ok_or_else(not_there)?;
        if let Some(why) = hall.why_shut() {
            return Err(absent(why));
        }
        let mut lines = hall.lines();
        let place = lines.get_mut(registration).ok_or_else(not_there)?;
        if place.rivalry.is_away(now()) {
            return Err(absent(two_call_themselves(&id)));
        }
        let present = place.present.as_mut().ok_or_else(not_there)?;
        let (stream, first) = present.line.take().ok_or_else(not_there)?;
        let replaced = Box::pin(present.replaced.clone().cancelled_owned());
        Ok(Box::new(Dialled { stream, first, heard: present.heard.clone(), replaced }))
    }
}

fn two_call_themselves(id: &str) -> String {
    format!("two DTUs call themselves {id:?}; neither is let in until each has a registration of its own")
}

impl Hall {
    fn new(heartbeat: Vec<u8>, known: Vec<Vec<u8>>) -> Arc<Hall> {
        Arc::new(Hall { heartbeat, address: OnceLock::new(), known, lines: Mutex::default(), shut: Mutex::default() })
    }

    async fn serve_when_possible(self: Arc<Hall>, listen: SocketAddr, shutdown: CancellationToken) {
        let mut is_told = false;
        loop {
            match TcpListener::bind(listen).await {
                Ok(socket) => {
                    self.address.get_or_init(|| socket.local_addr().unwrap_or(listen));
                    self.shut(None);
                    return self.serve(socket, shutdown).await;
                }
                Err(error) => {
                    let why = format!("cannot listen for DTUs on {listen}: {error}");
                    if !std::mem::replace(&mut is_told, true) {
                        warn!(%error, "{why}; it is tried again");
                    }
                    self.shut(Some(why));
                }
            }
            if timeout(AGAIN, shutdown.cancelled()).await.is_ok() {
                return;
            }
        }
    }

    async fn serve(self: Arc<Hall>, socket: TcpListener, shutdown: CancellationToken) {
        let seats = Seats::default();
        let told = Arc::new(Mutex::new(Told::default()));
        let mut failing_told: Option<Instant> = None;
        loop {
            let (stream, from) = tokio::select! {
                () = shutdown.cancelled() => break,
                accepted = socket.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        if failing_told.is_none_or(|last| now() - last >= TOLD_EVERY) {
                            failing_told = Some(now());
                            warn!(%error, "no DTU can be let in: {error}");
                        }
                        tokio::time::sleep(BREATH).await;
                        continue;
                    }
                },
            };
            let Some(seat) = seats.take(from.ip()) else {
                refuse(&told, from.ip(), "is sent away: as many as may are waiting to register already, or half of them from there");
                continue;
            };
            let (hall, told, shutdown) = (self.clone(), told.clone(), shutdown.clone());
            tokio::spawn(async move {
                let _seat = seat;
                tokio::select! {
                    () = shutdown.cancelled() => {}
                    registered = hall.register(stream, from) => if let Err(why) = registered {
                        refuse(&told, from.ip(), &why);
                    }
                }
            });
        }
        self.lines().clear();
    }

    /// Listens to who it is. The error is why it is sent away.
    async fn register(&self, mut stream: TcpStream, from: SocketAddr) -> Result<(), String> {
        watch(&stream).map_err(|error| format!("cannot be watched: {error}"))?;
        let mut heard = Vec::new();
        let deadline = now() + PATIENCE;
        let (registration, first) = loop {
            let (found, wait) = match judge(&heard, &self.known, &self.heartbeat) {
                Greeting::Is { registration, end } => break (registration.to_vec(), heard.split_off(end)),
                Greeting::MayBeLonger { registration, end } => (Some((registration.to_vec(), end)), deadline.min(now() + MORE)),
                Greeting::More => (None, deadline),
                Greeting::Unknown => return Err(format!("is sent away: no bus waits for the registration {}", shown(&heard))),
            };
            let mut bytes = [0_u8; 256];
            match timeout_at(wait, stream.read(&mut bytes)).await {
                Ok(Ok(0) | Err(_)) if heard.is_empty() => return Err("hung up without a word".to_owned()),
                Ok(Ok(0) | Err(_)) => return Err(format!("hung up after {}", shown(&heard))),
                Ok(Ok(more)) => heard.extend_from_slice(&bytes[..more]),
                Err(_) => match found {
                    Some((registration, end)) => break (registration, heard.split_off(end)),
                    None if heard.is_empty() => return Err(format!("is sent away: silent for {} s", PATIENCE.as_secs())),
                    None => return Err(format!("is sent away: only {} came in {} s", shown(&heard), PATIENCE.as_secs())),
                },
            }
        };
        self.enter(registration, Present::new(stream, first), from)
    }

    /// Gives a connection its place. The error is why it is sent away.
    fn enter(&self, registration: Vec<u8>, present: Present, from: SocketAddr) -> Result<(), String> {
        let (id, at) = (String::from_utf8_lossy(&registration).into_owned(), now());
        let mut lines = self.lines();
        let place = lines.entry(registration).or_default();
        let before = place.present.take();
        let replaces = before.is_some_and(|before| {
            before.replaced.cancel();
            place.rivalry.replaces(before.heard(), at)
        });
        if replaces || place.rivalry.is_away(at) {
            return Err(format!("is sent away: {}", two_call_themselves(&id)));
        }
        place.present = Some(present);
        if place.told.is_none_or(|last| at - last >= TOLD_EVERY) {
            let again = if place.told.replace(at).is_some() { ", again" } else { "" };
            info!(dtu = %id, %from, "DTU {id:?} has dialled in from {from}{again}");
        }
        Ok(())
    }

    /// Why nobody can dial in, or that it is possible now.
    fn shut(&self, why: Option<String>) {
        *self.shut.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    fn why_shut(&self) -> Option<String> {
        self.shut.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Place>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sources that were told of, and when.
#[derive(Debug, Default)]
struct Told(HashMap<IpAddr, Instant>);

impl Told {
    /// True when this source has not been told of for a minute.
    fn is_news(&mut self, source: IpAddr, at: Instant) -> bool {
        self.0.retain(|_, last| at - *last < TOLD_EVERY);
        if self.0.contains_key(&source) || self.0.len() >= MOST_SOURCES {
            return false;
        }
        self.0.insert(source, at);
        true
    }
}

fn refuse(told: &Mutex<Told>, source: IpAddr, why: &str) {
    if told.lock().unwrap_or_else(PoisonError::into_inner).is_news(source, now()) {
        warn!(%source, "a visitor from {source} {why}");
    }
}

fn shown(bytes: &[u8]) -> String {
    let beginning = &bytes[..bytes.len().min(64)];
    match std::str::from_utf8(beginning) {
        Ok(text) if !text.chars().any(char::is_control) => format!("{text:?}"),
        _ => beginning.iter().fold("0x".to_owned(), |hex, byte| hex + &format!("{byte:02x}")),
    }
}

/// The line of a DTU, until a newer connection takes its place.
struct Dialled {
    stream: Arc<TcpStream>,
    /// What came behind the registration.
    first: Vec<u8>,
    heard: Heard,
    replaced: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl AsyncRead for Dialled {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.replaced.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, "the DTU has dialled in again")));
        }
        if !self.first.is_empty() {
            let most = self.first.len().min(buffer.remaining());
            buffer.put_slice(&self.first[..most]);
            self.first.drain(..most);
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(self.stream.poll_read_ready(context))?;
            match self.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(more) => {
                    buffer.advance(more);
                    if more > 0 {
                        self.heard.at(now());
                    }
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(rustix::net::shutdown(&*self.stream, rustix::net::Shutdown::Write).map_err(Into::into))
    }
}

/// Only for waiting, and for how often something is told.
#[expect(clippy::disallowed_methods, reason = "the runtime's own clock, which tests pause; it dates nothing")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
