//! A real Chromium, driven over WebDriver (chromedriver, from Debian) with plain HTTP.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// One browser window. Closed, with its driver, when dropped.
pub struct Browser {
    _driver: Child,
    http: reqwest::Client,
    session: String,
}

impl Browser {
    /// Opens a window of 1440 × 900. `None`, said loudly, where Chromium cannot be had.
    pub async fn open() -> Result<Option<Browser>> {
        if !Path::new("/usr/bin/chromedriver").exists() {
            println!("SKIPPED: no /usr/bin/chromedriver (Debian package chromium-driver), so no page was looked at");
            return Ok(None);
        }
        let mut driver = Command::new("/usr/bin/chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .context("chromedriver starts")?;
        let mut lines = BufReader::new(driver.stdout.take().context("its output")?).lines();
        let port: u16 = loop {
            let line = lines.next_line().await?.context("chromedriver stopped before it named its port")?;
            if let Some((_, rest)) = line.split_once("started successfully on port ") {
                break rest.trim_end_matches('.').trim().parse().context("the port chromedriver named")?;
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let http = crate::http_client();
        let arguments = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--use-angle=swiftshader",
            "--enable-unsafe-swiftshader",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1440,900",
            "--force-device-scale-factor=1",
            "--lang=zh-CN",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": arguments}}}});
        let base = format!("http://127.0.0.1:{port}/session");
        let answer: Value = http.post(&base).json(&wanted).send().await?.json().await?;
        let id = answer["value"]["sessionId"].as_str().with_context(|| format!("chromedriver opened no window: {answer}"))?;
        Ok(Some(Browser { _driver: driver, http, session: format!("{base}/{id}") }))
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let answer: Value = self.http.post(format!("{}/{path}", self.session)).json(&body).send().await?.json().await?;
        if answer["value"]["error"].is_string() {
            bail!("{path}: {}", answer["value"]["message"].as_str().unwrap_or("?").lines().next().unwrap_or("?"));
        }
        Ok(answer["value"].clone())
    }

    /// Goes to an address.
    pub async fn go(&self, url: &str) -> Result<()> {
        self.post("url", json!({"url": url})).await.map(drop)
    }

    /// Runs a function body in the page and gives what it returns.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.post("execute/sync", json!({"script": script, "args": []})).await
    }

    /// Types into the element that a CSS selector names, the way a person does.
    pub async fn type_into(&self, selector: &str, text: &str) -> Result<()> {
        let element = self.find(selector).await?;
        self.post(&format!("element/{element}/value"), json!({"text": text})).await.map(drop)
    }

    /// Clicks the element that a CSS selector names.
    pub async fn click(&self, selector: &str) -> Result<()> {
        let element = self.find(selector).await?;
        self.post(&format!("element/{element}/click"), json!({})).await.map(drop)
    }

    async fn find(&self, selector: &str) -> Result<String> {
        let wanted = json!({"using": "css selector", "value": selector});
        let mut last = None;
        for _ in 0..100 {
            match self.post("element", wanted.clone()).await {
                Ok(found) => {
                    let id = found.as_object().and_then(|o| o.values().next()).and_then(Value::as_str);
                    return Ok(id.context("an element without a name")?.to_owned());
                }
                Err(error) => last = Some(error),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bail!("no element {selector} within 10 s: {}", last.map(|e| e.to_string()).unwrap_or_default())
    }

    /// Looks until the function body returns something true, and gives it.
    pub async fn until(&self, what: &str, limit: Duration, script: &str) -> Result<Value> {
        let looks = (limit.as_millis() / 100).max(1);
        for _ in 0..looks {
            let seen = self.run(script).await?;
            if !(seen.is_null() || seen == json!(false) || seen == json!("") || seen == json!(0)) {
                return Ok(seen);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let body = self.run("return document.body.innerText.slice(0, 1500)").await?;
        bail!("not seen within {limit:?}: {what}. The page says:\n{}", body.as_str().unwrap_or(""))
    }

    /// Keeps a picture of the window among the artefacts and gives its path.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let answer: Value = self.http.get(format!("{}/screenshot", self.session)).send().await?.json().await?;
        let picture = base64(answer["value"].as_str().context("no picture")?)?;
        let path = crate::artefacts().join(format!("{name}.png"));
        std::fs::write(&path, picture)?;
        Ok(path)
    }
}

/// Standard base64 without line breaks, as WebDriver sends pictures.
fn base64(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for c in text.bytes().filter(|c| *c != b'=') {
        let digit = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => bail!("0x{c:02X} is not base64"),
        };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Ok(bytes)
}
