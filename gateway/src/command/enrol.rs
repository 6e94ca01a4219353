//! `enrol`: a one-time code from the collector's page becomes this gateway's credentials, in a new site file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use super::{say, tell};
use crate::Usage;

#[derive(clap::Args)]
pub struct Enrol {
    /// The collector's address, as in the browser.
    #[arg(long)]
    url: String,
    /// The one-time code.
    #[arg(long)]
    code: String,
    /// This gateway's name: 1 to 32 of a-z, 0-9 and '-'.
    #[arg(long)]
    gateway: String,
    /// The new site file.
    #[arg(long, default_value = "site.toml")]
    site: PathBuf,
}

#[derive(serde::Deserialize)]
struct Admission {
    url: String,
    user: String,
    password: String,
    root: String,
}

/// Does it. An existing file is never written over.
pub async fn enrol(Enrol { url, code, gateway, site: path }: Enrol, as_json: bool) -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    telemetry::topic::GatewayId::new(&gateway).map_err(|error| Usage(error.to_string()))?;
    if path.exists() {
        return Err(Usage(format!("{} is there already; name another file with --site", path.display())).into());
    }
    let address = format!("{}/api/v1/enrol", url.trim_end_matches('/'));
    let body = json!({ "code": code, "gateway": gateway });
    let answer = reqwest::Client::new().post(&address).json(&body).send().await.with_context(|| format!("cannot reach {address}"))?;
    let status = answer.status();
    let text = answer.text().await.unwrap_or_default();
    anyhow::ensure!(status.is_success(), "the collector refuses the code ({status}): {text}");
    let admission: Admission = serde_json::from_str(&text).context("the collector's answer is no admission")?;
    let is_tls = admission.url.starts_with("mqtts://");
    let authority = if is_tls { "ca = \"ca.pem\"   # put the broker's authority beside this file\n" } else { "" };
    let site = format!(
        "gateway = \"{gateway}\"\n\n[broker]\nurl = \"{}\"\n{authority}user = \"{}\"\npassword = \"{}\"\nroot = \"{}\"\n\n# Now add your buses; see gateway/README.md.\n",
        admission.url, admission.user, admission.password, admission.root
    );
    write_secret(&path, &site).with_context(|| format!("cannot write {}", path.display()))?;
    if as_json {
        return tell(&json!({ "site": path.display().to_string(), "gateway": gateway, "broker": admission.url }));
    }
    say(format_args!("{} written. Add your buses to it, then: davy-gateway run {}", path.display(), path.display()))
}

/// The file holds a password: nobody else may read it.
fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}
