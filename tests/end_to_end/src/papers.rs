//! Certificates for a test: an authority, what it signs, and the mistakes that people make with them.

use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};

/// An authority and the folder that its papers lie in.
pub struct Authority {
    folder: PathBuf,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new authority, whose certificate is written as `ca.pem`.
    pub fn found(folder: &Path) -> Result<Authority> {
        let mut params = CertificateParams::new(vec![])?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate whose issuer has its own name for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, format!("authority {:08x}", rand::random::<u32>()));
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let authority = Authority { folder: folder.to_owned(), issuer };
        authority.write("ca.pem", &authority.issuer.pem())?;
        Ok(authority)
    }

    /// Its certificate.
    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    /// Writes `{name}.pem` and `{name}.key`: a new certificate for this host name or address.
    pub fn issue(&self, name: &str, made_out_to: &str) -> Result<()> {
        let (certificate, key) = self.sign(made_out_to, (2020, 2040))?;
        self.write(&format!("{name}.key"), &key)?;
        self.write(&format!("{name}.pem"), &certificate)
    }

    /// The same, over since 2021.
    pub fn issue_expired(&self, name: &str, made_out_to: &str) -> Result<()> {
        let (certificate, key) = self.sign(made_out_to, (2020, 2021))?;
        self.write(&format!("{name}.key"), &key)?;
        self.write(&format!("{name}.pem"), &certificate)
    }

    /// The certificate and the key, in PEM.
    pub fn sign(&self, made_out_to: &str, years: (i32, i32)) -> Result<(String, String)> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec![made_out_to.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, made_out_to);
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        Ok((params.signed_by(&key, &self.issuer)?.pem(), key.serialize_pem()))
    }

    /// Writes a file beside the others, whole at once.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(new, self.folder.join(name))?)
    }
}
