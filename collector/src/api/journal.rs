//! The journal: reading it, and proving that it is what was written.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::IntoParams;

use super::ApiState;
use super::body::Asked;
use super::error::Answer;
use super::shapes::{Journal, JournalEntry, JournalVerdict};
use crate::journal::Entry;
use crate::store::Verdict;

#[derive(Deserialize, IntoParams)]
pub struct JournalQuery {
    /// Only entries with a smaller number.
    pub before: Option<u64>,
    /// At most 1000.
    pub limit: Option<u64>,
    /// Only of this kind: `alarm.raised`, `gap.declared` …
    pub kind: Option<String>,
}

/// Journal entries, newest first.
#[utoipa::path(get, path = "/api/v1/journal", tag = "journal", params(JournalQuery), responses((status = 200, body = Journal)))]
pub async fn journal(State(state): State<ApiState>, Asked(query): Asked<JournalQuery>) -> Answer<Json<Journal>> {
    let kind = query.kind.as_deref().filter(|kind| !kind.is_empty());
    let page = state.store.journal_page(query.before, query.limit.unwrap_or(100).clamp(1, 1000), kind).await?;
    Ok(Json(Journal { entries: page.entries.into_iter().map(entry).collect(), head: page.head.hash.hex() }))
}

/// Walk the whole hash chain and hold it against its anchor.
#[utoipa::path(get, path = "/api/v1/journal/verify", tag = "journal", responses((status = 200, body = JournalVerdict)))]
pub async fn verify(State(state): State<ApiState>) -> Answer<Json<JournalVerdict>> {
    Ok(Json(verdict(&state.store.verify_journal().await?)))
}

/// The verdict in words.
pub fn verdict(verdict: &Verdict) -> JournalVerdict {
    let entries = verdict.head.count;
    let (message_zh, message_en) = match &verdict.finding {
        None => {
            (format!("日志完整:{entries} 条,哈希链与锚点一致"), format!("the journal is whole: {entries} entries, chain and anchor agree"))
        }
        Some(finding) => finding.sentences(),
    };
    JournalVerdict {
        ok: verdict.finding.is_none(),
        entries,
        first_bad: verdict.finding.as_ref().map(|finding| finding.first_bad()),
        message_zh,
        message_en,
    }
}

fn entry(entry: Entry) -> JournalEntry {
    JournalEntry {
        number: entry.number,
        at: entry.at.0,
        kind: entry.kind,
        about: entry.about,
        who: entry.who,
        text_zh: entry.text_zh,
        text_en: entry.text_en,
        hash: entry.hash.hex(),
    }
}
