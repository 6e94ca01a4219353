//! The journal's rows: reading pages, finding the end, walking the chain.

use measurement::Timestamp;
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use super::entity::journal::{ActiveModel, Column, Entity, Model};
use super::{Result, Store, failed, unreadable};
use crate::journal::anchor;
use crate::journal::verify::{Finding, Verifier};
use crate::journal::{Entry, Hash, Head};

/// Some entries, newest first, and the head of the whole journal.
#[derive(Debug, Clone)]
pub struct JournalPage {
    pub entries: Vec<Entry>,
    pub head: Head,
}

/// What walking the chain showed.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub head: Head,
    pub finding: Option<Finding>,
}

impl Store {
    /// Appends one fact that belongs to no other change.
    pub async fn journal(&self, at: Timestamp, fact: &crate::journal::Fact) -> Result<()> {
        let mut act = self.begin().await?;
        act.tell(at, fact).await?;
        act.commit().await
    }

    /// Entries before a number (or the newest), at most 1000, of one kind or of all.
    pub async fn journal_page(&self, before: Option<u64>, limit: u64, kind: Option<&str>) -> Result<JournalPage> {
        let head = head(&self.read).await?;
        let mut query = Entity::find();
        if let Some(before) = before {
            query = query.filter(Column::Number.lt(i64::try_from(before).unwrap_or(i64::MAX)));
        }
        if let Some(kind) = kind {
            query = query.filter(Column::Kind.eq(kind));
        }
        let rows = query.order_by_desc(Column::Number).limit(limit.min(1000)).all(&self.read).await.map_err(failed("read the journal"))?;
        Ok(JournalPage { entries: rows.into_iter().map(entry).collect::<Result<_>>()?, head })
    }

    /// Walks the whole chain and holds it against the anchors.
    pub async fn verify_journal(&self) -> Result<Verdict> {
        let anchors = {
            // Under the writer's lock, so that no commit lies between the anchor and the journal read after it.
            let writer = self.writer.lock().await;
            writer.anchor.as_deref().map(anchor::read).transpose()?.unwrap_or_default()
        };
        let mut verifier = Verifier::new(anchors);
        let mut after = i64::MIN;
        loop {
            let page = Entity::find().filter(Column::Number.gt(after)).order_by_asc(Column::Number).limit(1000);
            let rows = page.all(&self.read).await.map_err(failed("read the journal"))?;
            let Some(last) = rows.last() else { break };
            after = last.number;
            for row in rows {
                let number = u64::try_from(row.number).unwrap_or(0);
                match entry(row) {
                    Ok(entry) => verifier.take(&entry),
                    // A hash that is no hash is a changed entry, not a program error.
                    Err(_) => return Ok(Verdict { head: head_or_genesis(verifier), finding: Some(Finding::Content { number }) }),
                }
            }
        }
        let (head, finding) = verifier.finish();
        Ok(Verdict { head, finding })
    }
}

fn head_or_genesis(verifier: Verifier) -> Head {
    verifier.finish().0
}

/// Where the journal ends.
pub(super) async fn head(db: &impl ConnectionTrait) -> Result<Head> {
    let last = Entity::find().order_by_desc(Column::Number).limit(1).one(db).await.map_err(failed("read the journal"))?;
    // A last hash that cannot be read must not stop alarms from being recorded; verification names it.
    Ok(last.map_or_else(Head::genesis, |row| Head {
        count: u64::try_from(row.number).unwrap_or(0),
        hash: Hash::from_hex(&row.hash).unwrap_or_else(Hash::genesis),
    }))
}

/// Whether the journal once ended like this.
pub(super) async fn confirms(db: &impl ConnectionTrait, anchor: Head) -> Result<bool> {
    if anchor.count == 0 {
        return Ok(anchor == Head::genesis());
    }
    let number = i64::try_from(anchor.count).unwrap_or(i64::MAX);
    let row = Entity::find_by_id(number).one(db).await.map_err(failed("read the journal"))?;
    Ok(row.is_some_and(|row| row.hash == anchor.hash.hex()))
}

pub(super) fn row(entry: &Entry) -> ActiveModel {
    ActiveModel {
        number: Set(i64::try_from(entry.number).unwrap_or(i64::MAX)),
        at: Set(entry.at.0),
        kind: Set(entry.kind.clone()),
        about: Set(entry.about.clone()),
        who: Set(entry.who.clone()),
        text_zh: Set(entry.text_zh.clone()),
        text_en: Set(entry.text_en.clone()),
        hash: Set(entry.hash.hex()),
    }
}

fn entry(row: Model) -> Result<Entry> {
    let hash = Hash::from_hex(&row.hash).ok_or_else(|| unreadable("journal hash", row.hash.clone()))?;
    Ok(Entry {
        number: u64::try_from(row.number).unwrap_or(0),
        at: Timestamp(row.at),
        kind: row.kind,
        about: row.about,
        who: row.who,
        text_zh: row.text_zh,
        text_en: row.text_en,
        hash,
    })
}
