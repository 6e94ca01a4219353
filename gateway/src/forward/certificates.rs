//! What proves who the broker is, and who we are: the files that the site names, read, checked and watched.
//!
//! The broker's certificate must be signed by the site's authority, in date, and made out to the name in the
//! broker's address; there is no way to switch that off and no way back to plain text. Renewed files are found by
//! their content; a pair that does not fit is refused while the connection goes on with the one before.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use measurement::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::{ClientConfig, RootCertStore};
use telemetry::ClockQuality;

use super::BrokerConfig;
use crate::clock::{BUILD_FLOOR, Clock};

/// Days before the end of our own certificate on which a person is told.
const WARNING_DAYS: [i64; 4] = [1, 7, 14, 30];
const DAY_MS: i64 = 86_400_000;

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// TLS without an authority.
    #[error("the broker's address asks for TLS: name the authority's certificate in broker.ca")]
    NoAuthority,
    /// A file that cannot be read.
    #[error("cannot read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    /// A file that holds something else, or nothing yet.
    #[error("{path} holds no {what} in PEM form: {why}")]
    Content { path: PathBuf, what: &'static str, why: String },
    /// A pair that does not belong together.
    #[error("certificate {certificate} and key {key} do not fit: {why}")]
    Pair { certificate: PathBuf, key: PathBuf, why: String },
}

/// A set of files that fits.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// What a connection is made with.
    pub tls: Arc<ClientConfig>,
    /// When our own certificate ends, if we have one.
    pub ends: Option<Timestamp>,
    content: u64,
}

impl Certificates {
    /// Reads the files that the site names.
    pub fn load(broker: &BrokerConfig, clock: &Clock) -> Result<Certificates, CertificateError> {
        let ca = broker.ca.as_ref().ok_or(CertificateError::NoAuthority)?;
        let authority = read(ca)?;
        let mut everything = authority.clone();
        let mut roots = RootCertStore::empty();
        for certificate in chain(ca, &authority)? {
            roots.add(certificate).map_err(|error| wrong(ca, "certificate", error.to_string()))?;
        }
        let clock = OurTime { clock: clock.clone(), laid_down: laid_down(broker) };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_details(provider, Arc::new(clock))
            .with_safe_default_protocol_versions()
            .map_err(|error| wrong(ca, "usable certificate", error.to_string()))?
            .with_root_certificates(roots);
        let (tls, ends) = match &broker.client_certificate {
            None => (builder.with_no_client_auth(), None),
            Some((certificate, key)) => {
                let (ours, secret) = (read(certificate)?, read(key)?);
                everything.extend_from_slice(&ours);
                everything.extend_from_slice(&secret);
                let ours = chain(certificate, &ours)?;
                let ends = ours.first().and_then(|ours| end_of(ours));
                let secret = PrivateKeyDer::from_pem_slice(&secret).map_err(|error| wrong(key, "private key", error.to_string()))?;
                // This compares the key with the certificate.
                let tls = builder.with_client_auth_cert(ours, secret).map_err(|error| CertificateError::Pair {
                    certificate: certificate.clone(),
                    key: key.clone(),
                    why: error.to_string(),
                })?;
                (tls, ends)
            }
        };
        Ok(Certificates { tls: Arc::new(tls), ends, content: telemetry::topic::fnv1a_64(&everything) })
    }

    /// True when the other set was read from the same bytes.
    pub fn same_as(&self, other: &Certificates) -> bool {
        self.content == other.content
    }
}

/// Notices the days on which the end of our own certificate is to be told.
#[derive(Debug, Default)]
pub struct EndWatch {
    told: Option<(Timestamp, i64)>,
}

impl EndWatch {
    /// The sentence to be said now, when one is due that was not said before.
    pub fn due(&mut self, ends: Timestamp, now: Timestamp) -> Option<String> {
        let days = (ends.0.saturating_sub(now.0)).div_euclid(DAY_MS);
        let step = if days < 0 { 0 } else { *WARNING_DAYS.iter().find(|step| days < **step)? };
        let is_new = self.told.is_none_or(|(of, told)| of != ends || step < told);
        self.told = Some((ends, step));
        is_new.then(|| warning(ends, now)).flatten()
    }
}

/// What a person should know of the end of our own certificate, if anything.
pub fn warning(ends: Timestamp, now: Timestamp) -> Option<String> {
    match ends.0.saturating_sub(now.0).div_euclid(DAY_MS) {
        days if days < 0 => Some("our own certificate has expired: the broker will refuse us".to_owned()),
        0 => Some("our own certificate expires within a day".to_owned()),
        days if days < WARNING_DAYS[3] => Some(format!("our own certificate expires in {days} days")),
        _ => None,
    }
}

/// TLS asks our clock. One that lost its time must not lock us out of the only place it could be told from: one that
/// nobody vouches for is never taken for earlier than [`BUILD_FLOOR`], nor than the files of the certificates were
/// laid down. A broker's certificate that was issued since then is refused until the clock is right again.
struct OurTime {
    clock: Clock,
    laid_down: Timestamp,
}

impl std::fmt::Debug for OurTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OurTime")
    }
}

impl rustls::time_provider::TimeProvider for OurTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now = match self.clock.quality() {
            ClockQuality::Untrusted => self.clock.wall().max(BUILD_FLOOR).max(self.laid_down),
            _ => self.clock.wall(),
        };
        Some(UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(now.0).ok()?)))
    }
}

/// When the newest of the files was written, by the clock of then.
fn laid_down(broker: &BrokerConfig) -> Timestamp {
    let ours = broker.client_certificate.iter().flat_map(|(certificate, key)| [certificate, key]);
    let written = |path: &PathBuf| {
        let since = std::fs::metadata(path).ok()?.modified().ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_millis()).ok().map(Timestamp)
    };
    broker.ca.iter().chain(ours).filter_map(written).max().unwrap_or(Timestamp(0))
}

fn read(path: &Path) -> Result<Vec<u8>, CertificateError> {
    std::fs::read(path).map_err(|source| CertificateError::Read { path: path.to_owned(), source })
}

fn chain(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match chain {
        Ok(chain) if chain.is_empty() => Err(wrong(path, "certificate", "nothing of that kind is in it".to_owned())),
        Ok(chain) => Ok(chain),
        Err(error) => Err(wrong(path, "certificate", error.to_string())),
    }
}

fn wrong(path: &Path, what: &'static str, why: String) -> CertificateError {
    CertificateError::Content { path: path.to_owned(), what, why }
}

fn end_of(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(Timestamp(parsed.validity().not_after.timestamp().saturating_mul(1000)))
}

#[cfg(test)]
mod tests;
