//! The registry and the journal on disk: SQLite in a file by default, PostgreSQL by URL, the same schema.
//!
//! Every change is one [`Act`]: one transaction, alone (one writer, `BEGIN IMMEDIATE`), with its journal entries
//! chained in it. After its commit the journal's anchor is renewed and, when the registry changed, the next
//! snapshot is published, in this order and before the next act may begin. Reading goes through its own pool.

mod adopt;
mod alarms;
mod entity;
mod gateways;
mod journal;
mod ledger;
mod migration;
mod outbox;
mod people;
mod points;
mod record;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use measurement::Timestamp;
use sea_orm::sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ActiveValue, ColumnTrait, ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    EntityTrait, PaginatorTrait, QueryFilter, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
};
use sea_orm_migration::MigratorTrait;
use tokio::sync::{Mutex, OwnedMutexGuard, watch};

use crate::journal::anchor::{self, AnchorError};
use crate::journal::{Entry, Fact, Head};
use crate::registry::{Registry, Snapshot};

pub use alarms::{AlarmFilter, Delivery, RecordedEpisode, Told};
pub(crate) use gateways::digest;
pub use gateways::{Credentials, EnrolError, EnrolmentCode, GatewayId, NewGateway};
pub use journal::{JournalPage, Verdict};
pub use ledger::{LedgerDelta, LedgerRow, cause_name, day_of};
pub use outbox::{Endpoint, LateNotices, Letter, NewEndpoint};
pub use people::{Role, Session, User};
pub use points::{EditError, NewEnterprise, NewPoint};
pub use record::{Judged, LevelChange};

/// What can go wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot open the database {url}")]
    Open {
        url: String,
        #[source]
        source: DbErr,
    },
    #[error("cannot bring the database's schema up to date")]
    Migrate(#[source] DbErr),
    #[error("the database failed to {what}")]
    Database {
        what: &'static str,
        #[source]
        source: DbErr,
    },
    #[error(transparent)]
    Anchor(#[from] AnchorError),
    #[error("the database holds a {what} that this program cannot read: {value}")]
    Unreadable { what: &'static str, value: String },
    #[error("a rule pack that comes with this program is not usable")]
    Pack(#[from] risk::PackError),
}

/// The store's results.
pub type Result<T> = std::result::Result<T, StoreError>;

fn failed(what: &'static str) -> impl Fn(DbErr) -> StoreError {
    move |source| StoreError::Database { what, source }
}

fn unreadable(what: &'static str, value: impl Into<String>) -> StoreError {
    StoreError::Unreadable { what, value: value.into() }
}

/// The store. Cheap to clone; all clones are the same store.
#[derive(Clone)]
pub struct Store {
    read: DatabaseConnection,
    write: DatabaseConnection,
    writer: Arc<Mutex<Writer>>,
    registry: Arc<watch::Sender<Snapshot>>,
    packs: Arc<Vec<risk::Pack>>,
    late: Arc<watch::Sender<LateNotices>>,
}

/// What the one writer knows.
struct Writer {
    anchor: Option<PathBuf>,
    /// Anchors that the journal contradicted when it was opened; kept for ever.
    scars: Vec<Head>,
}

impl Store {
    /// Opens or makes the database: `sqlite://path` or `postgres://…`. With SQLite the journal's anchor lies
    /// beside the database file.
    pub async fn open(url: &str) -> Result<Store> {
        let anchor = sqlite_path(url).map(|path| path.with_file_name("journal-anchor"));
        Store::open_with(url, anchor).await
    }

    /// The same, with the anchor's place given: for PostgreSQL the collector's own data folder.
    pub async fn open_with(url: &str, anchor: Option<PathBuf>) -> Result<Store> {
        let wrong = |source| StoreError::Open { url: without_password(url), source };
        let write = Database::connect(options(url, 1)).await.map_err(wrong)?;
        migration::Steps::up(&write, None).await.map_err(StoreError::Migrate)?;
        let read = Database::connect(options(url, 4)).await.map_err(wrong)?;
        let head = journal::head(&write).await?;
        let mut scars = Vec::new();
        for old in anchor.as_deref().map(anchor::read).transpose()?.unwrap_or_default() {
            if !journal::confirms(&write, old).await? {
                tracing::error!(count = old.count, entries = head.count, "the journal contradicts its anchor: it was cut or rewritten");
                scars.push(old);
            }
        }
        let store = Store {
            read,
            write,
            writer: Arc::new(Mutex::new(Writer { anchor, scars })),
            registry: Arc::new(watch::Sender::new(Arc::new(Registry::default()))),
            packs: Arc::new(risk::shipped()?),
            late: Arc::new(watch::Sender::new(LateNotices::default())),
        };
        store.publish().await?;
        Ok(store)
    }

    /// The registry as it is now.
    pub fn registry(&self) -> Snapshot {
        self.registry.borrow().clone()
    }

    /// Every snapshot from now on; slow readers see only the newest.
    pub fn watch_registry(&self) -> watch::Receiver<Snapshot> {
        self.registry.subscribe()
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<()> {
        self.read.ping().await.map_err(failed("answer"))
    }

    /// Which database this is, for the status page.
    pub fn kind(&self) -> &'static str {
        if self.write.get_database_backend() == DbBackend::Sqlite { "sqlite" } else { "postgresql" }
    }

    /// Writes a consistent copy of a SQLite database into a new file.
    pub async fn copy_into(&self, path: &Path) -> Result<()> {
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO ?", [path.display().to_string().into()]);
        self.read.execute_raw(statement).await.map_err(failed("copy itself"))?;
        Ok(())
    }

    /// How many rows each table has that a backup must bring back.
    pub async fn count_rows(&self) -> Result<BTreeMap<String, u64>> {
        use entity::*;
        let mut counts = BTreeMap::new();
        macro_rules! count {
            ($($table:ident),+) => {$(
                let rows = $table::Entity::find().count(&self.read).await.map_err(failed("count its rows"))?;
                counts.insert(stringify!($table).to_owned(), rows);
            )+};
        }
        count!(
            enterprises,
            risk_points,
            gateways,
            channels,
            episodes,
            transitions,
            journal,
            outbox,
            webhooks,
            users,
            ledger,
            ledger_gaps,
            gaps
        );
        Ok(counts)
    }

    /// Closes every connection, so that the file may be moved.
    pub async fn close(self) -> Result<()> {
        self.read.close_by_ref().await.map_err(failed("close"))?;
        self.write.close_by_ref().await.map_err(failed("close"))
    }

    /// Begins a change. Nothing else is written until it is committed or dropped.
    async fn begin(&self) -> Result<Act> {
        let writer = self.writer.clone().lock_owned().await;
        let options = TransactionOptions { sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate), ..Default::default() };
        let tx = self.write.begin_with_options(options).await.map_err(failed("begin"))?;
        if tx.get_database_backend() == DbBackend::Postgres {
            // Two collectors on one database write one after the other.
            tx.execute_unprepared("LOCK TABLE journal IN EXCLUSIVE MODE").await.map_err(failed("lock the journal"))?;
        }
        // Read under the lock and never remembered: an act whose commit went unanswered cannot fork the chain.
        let head = journal::head(&tx).await?;
        Ok(Act { store: self.clone(), head, writer, tx, registry_changed: false })
    }

    /// Reads the registry and publishes it.
    async fn publish(&self) -> Result<()> {
        let registry = points::load(&self.write).await?;
        self.registry.send_replace(Arc::new(registry));
        Ok(())
    }
}

/// One change: a transaction with the journal entries that tell of it.
struct Act {
    store: Store,
    writer: OwnedMutexGuard<Writer>,
    tx: DatabaseTransaction,
    head: Head,
    registry_changed: bool,
}

impl Act {
    /// Appends a fact to the journal, in this transaction.
    async fn tell(&mut self, at: Timestamp, fact: &Fact) -> Result<()> {
        self.tell_all(at, std::slice::from_ref(fact)).await
    }

    /// Appends facts to the journal, in this transaction.
    async fn tell_all(&mut self, at: Timestamp, facts: &[Fact]) -> Result<()> {
        // SQLite allows 32766 parameters a statement; an entry has eight.
        for some in facts.chunks(1000) {
            let mut rows = Vec::with_capacity(some.len());
            for fact in some {
                let entry = Entry::following(self.head, at, fact);
                self.head = Head::after(&entry);
                rows.push(journal::row(&entry));
            }
            entity::journal::Entity::insert_many(rows).exec_without_returning(&self.tx).await.map_err(failed("append to the journal"))?;
        }
        Ok(())
    }

    /// Makes the change true, renews the anchor and publishes the registry when it changed. Runs to its end
    /// even when the request that asked for it is gone.
    async fn commit(self) -> Result<()> {
        let done = tokio::spawn(async move {
            let Act { store, writer, tx, head, registry_changed } = self;
            tx.commit().await.map_err(failed("commit"))?;
            // The change is true from here on; what fails now is told, but must not make anybody repeat it.
            if let Some(path) = &writer.anchor {
                let anchors: Vec<Head> = writer.scars.iter().copied().chain([head]).collect();
                if let Err(error) = anchor::write(path, &anchors) {
                    tracing::error!(error = &error as &dyn std::error::Error, "the journal's anchor is behind");
                }
            }
            if registry_changed && let Err(error) = store.publish().await {
                tracing::error!(error = &error as &dyn std::error::Error, "the registry changed but could not be read again");
            }
            Ok(())
        });
        done.await
            .unwrap_or_else(|_| Err(StoreError::Database { what: "commit", source: DbErr::Custom("the commit was abandoned".to_owned()) }))
    }
}

fn options(url: &str, connections: u32) -> ConnectOptions {
    let mut options =
        ConnectOptions::new(if url.starts_with("sqlite:") && !url.contains('?') { format!("{url}?mode=rwc") } else { url.to_owned() });
    options
        .max_connections(connections)
        .sqlx_logging(false)
        .connect_timeout(Duration::from_secs(10))
        .acquire_timeout(Duration::from_secs(10));
    options.map_sqlx_sqlite_opts(|sqlite| {
        sqlite
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10))
    });
    options
}

/// The file of a SQLite URL.
pub fn sqlite_path(url: &str) -> Option<&Path> {
    let path = url.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    path.split('?').next().filter(|path| !path.is_empty() && *path != ":memory:").map(Path::new)
}

/// A URL as it may be logged.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rfind('@')) {
        (Some((scheme, _)), Some(at)) => format!("{scheme}://…{}", &url[at..]),
        _ => url.to_owned(),
    }
}

/// Reads one remembered value.
async fn remembered(db: &impl ConnectionTrait, name: &str) -> Result<Option<String>> {
    let row = entity::state::Entity::find().filter(entity::state::Column::Name.eq(name)).one(db).await.map_err(failed("read its state"))?;
    Ok(row.map(|row| row.value))
}

/// Remembers one value.
async fn remember(db: &impl ConnectionTrait, name: &str, value: String) -> Result<()> {
    let row = entity::state::ActiveModel { name: ActiveValue::Set(name.to_owned()), value: ActiveValue::Set(value) };
    let newest = sea_orm::sea_query::OnConflict::column(entity::state::Column::Name).update_column(entity::state::Column::Value).to_owned();
    entity::state::Entity::insert(row).on_conflict(newest).exec_without_returning(db).await.map_err(failed("write its state"))?;
    Ok(())
}
