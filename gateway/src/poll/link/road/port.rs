//! A serial port, opened and closed where it may take its time. open(2) asks the adapter and close(2) waits up to half a
//! minute for bytes that it does not take; the runtime has one thread, which asks every bus.
//!
//! A path has one seat: whoever opens it waits until the port that was open before is closed, because a port is had
//! exclusively. So a sick adapter holds one thread, however often its bus tries again.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio_serial::{SerialPortBuilder, SerialStream};

/// An open port and its seat; `None` only while it is dropped.
#[derive(Debug)]
pub struct Port(Option<(SerialStream, Seat)>);

type Seat = OwnedMutexGuard<()>;

/// Opens a port again and again.
#[derive(Debug)]
pub struct Opening {
    path: String,
    settings: SerialPortBuilder,
    under_way: tokio::sync::Mutex<Option<JoinHandle<io::Result<Port>>>>,
}

impl Opening {
    /// Of the first port, by name, that this path means and that opens.
    pub fn new(path: String, settings: SerialPortBuilder) -> Opening {
        Opening { path, settings, under_way: tokio::sync::Mutex::default() }
    }

    /// The port. Who waits no longer finds it at the next try: an adapter may take longer than an answer may.
    pub async fn port(&self) -> io::Result<Port> {
        let mut under_way = self.under_way.lock().await;
        let opened = under_way.get_or_insert_with(|| tokio::spawn(open(self.path.clone(), self.settings.clone()))).await;
        *under_way = None;
        opened.map_err(io::Error::other)?
    }
}

async fn open(path: String, settings: SerialPortBuilder) -> io::Result<Port> {
    let seat = seat(&path).lock_owned().await;
    let opened = tokio::task::spawn_blocking(move || Ok(Port(Some((first(&path, &settings)?, seat)))));
    opened.await.map_err(io::Error::other)?
}

/// The seat of a path, the same for every bus and every reload of the site file.
fn seat(path: &str) -> Arc<tokio::sync::Mutex<()>> {
    static SEATS: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>> = Mutex::new(BTreeMap::new());
    let mut seats = SEATS.lock().unwrap_or_else(PoisonError::into_inner);
    seats.retain(|_, seat| Arc::strong_count(seat) > 1);
    seats.entry(path.to_owned()).or_default().clone()
}

fn first(path: &str, settings: &SerialPortBuilder) -> io::Result<SerialStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, format!("no port is named {path}"));
    for path in ports(path) {
        match SerialStream::open(&settings.clone().path(path.to_string_lossy())) {
            Ok(port) => return Ok(port),
            Err(error) => failed = explained(&path, error),
        }
    }
    Err(failed)
}

/// A port that is there, and that a service is not let have by its unit, says only that this is not permitted.
fn explained(path: &Path, error: tokio_serial::Error) -> io::Error {
    // The crate has no kind for EPERM; these are its words.
    if error.description != "Operation not permitted" {
        return error.into();
    }
    let why = format!(
        "the service may not use {}: its kind of device stands in no DeviceAllow= of the unit; add it by `systemctl edit davy-gateway`",
        path.display()
    );
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// The ports that a path means now, in order of their names.
fn ports(path: &str) -> Vec<PathBuf> {
    let Some(pattern) = path.strip_suffix('*') else { return vec![PathBuf::from(path)] };
    let (folder, beginning) = pattern.rsplit_once('/').unwrap_or((".", pattern));
    let folder = if folder.is_empty() { Path::new("/") } else { Path::new(folder) };
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let begins = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(beginning));
    let mut ports: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(begins).collect();
    ports.sort_unstable();
    ports
}

impl Port {
    fn stream(self: Pin<&mut Self>) -> io::Result<Pin<&mut SerialStream>> {
        let open = self.get_mut().0.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        Ok(Pin::new(&mut open.0))
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        let open = self.0.take();
        // Without a runtime nobody is held up.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn_blocking(move || drop(open));
        }
    }
}

impl AsyncRead for Port {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Port {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream()?.poll_write(context, bytes)
    }
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_flush(context)
    }
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
