//! A signed-in person at a collector's API, as the pages speak to it.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The password a test gives the administrator.
pub const PASSWORD: &str = "a-lamp-in-the-dark-1815";

/// A session of the administrator.
pub struct Room {
    http: reqwest::Client,
    base: String,
}

impl Room {
    /// Signs in with the first password and changes it to [`PASSWORD`], or with [`PASSWORD`] when that was done before.
    pub async fn enter(base: &str, first_password: Option<&str>) -> Result<Room> {
        let room = Room { http: crate::http_client(), base: base.trim_end_matches('/').to_owned() };
        let password = first_password.unwrap_or(PASSWORD);
        room.post("session", json!({"user": "admin", "password": password})).await?;
        if first_password.is_some() {
            room.post("session/password", json!({"old": password, "new": PASSWORD})).await?;
        }
        Ok(room)
    }

    /// Asks.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(self.url(path)).send().await?;
        told(path, answer).await
    }

    /// Orders.
    pub async fn post(&self, path: &str, body: Value) -> Result<Value> {
        let answer = self.http.post(self.url(path)).header("origin", &self.base).json(&body).send().await?;
        told(path, answer).await
    }

    /// Replaces.
    pub async fn put(&self, path: &str, body: Value) -> Result<Value> {
        let answer = self.http.put(self.url(path)).header("origin", &self.base).json(&body).send().await?;
        told(path, answer).await
    }

    /// Asks again and again until `look` finds what it wants.
    pub async fn until<T>(&self, what: &str, limit: Duration, path: &str, mut look: impl FnMut(&Value) -> Option<T>) -> Result<T> {
        let mut last = Value::Null;
        for _ in 0..(limit.as_millis() / 200).max(1) {
            match self.get(path).await {
                Ok(answer) => match look(&answer) {
                    Some(found) => return Ok(found),
                    None => last = answer,
                },
                Err(error) => last = json!(error.to_string()),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let mut said = last.to_string();
        said.truncate(said.char_indices().nth(2000).map_or(said.len(), |(at, _)| at));
        bail!("not so within {limit:?}: {what}; {path} says {said}")
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.base)
    }
}

async fn told(path: &str, answer: reqwest::Response) -> Result<Value> {
    let status = answer.status();
    let text = answer.text().await.with_context(|| format!("no whole answer to {path}"))?;
    if !status.is_success() {
        bail!("{path} is answered {status}: {text}");
    }
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}
