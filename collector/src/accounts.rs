//! Who may sign in, and who is signed in.
//!
//! Passwords are argon2id (19 MiB, 2 passes), hashed on blocking threads and at most two at a time, so that a
//! flood of guesses cannot take the memory or the cores from the alarms. A session is 256 random bits in a
//! cookie and SHA-256 of them in the database; it ends after 12 hours unused, after 7 days, on sign-out and on
//! a change of password. A wall screen that shows live alarms is in use, because its stream is.
//!
//! Wrong passwords cost time, per account *and* address, and per address; never per account alone, so nobody
//! elsewhere can lock the only duty officer out. A session that is open is never affected.

mod backoff;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use measurement::Timestamp;
use rand::RngExt;
use tokio::sync::Semaphore;

use crate::journal::Fact;
use crate::store::{Role, Session, Store, StoreError, User};
use backoff::Backoff;

/// A session that is not used for this long ends.
pub const IDLE_MS: i64 = 12 * 3_600_000;
/// A session ends this long after it began.
pub const ABSOLUTE_MS: i64 = 7 * 24 * 3_600_000;
/// How exactly it is known when a session was used last.
const TOUCH_MS: i64 = 60_000;
/// No password is shorter.
pub const SHORTEST_PASSWORD: usize = 12;
/// Longer ones are refused before they are hashed.
const LONGEST_PASSWORD: usize = 1024;
/// The account that the first start makes.
pub const FIRST_ACCOUNT: &str = "admin";
/// Where its password lies until it is changed.
pub const FIRST_PASSWORD_FILE: &str = "administrator-password";

/// Why somebody was not let in, or a change was refused.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    #[error("the user or the password is wrong")]
    WrongPassword,
    #[error("too many wrong passwords; try again in {retry_after_s} s")]
    TooManyTries { retry_after_s: u64 },
    #[error("a password needs {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")]
    BadPassword,
    #[error("the new password is the old one")]
    SamePassword,
    #[error("{0:?} is no user name: 1 to 64 of a-z, 0-9, '.', '_' and '-'")]
    BadAccount(String),
    #[error("the user name {0:?} is taken")]
    Taken(String),
    #[error("there is no user {0:?}")]
    Unknown(String),
    #[error("the role enterprise needs an enterprise, and no other role has one")]
    RoleWithoutEnterprise,
    #[error("cannot hash a password")]
    Hash,
    #[error("cannot write the first password to {path}")]
    PasswordFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The accounts. Cheap to clone.
#[derive(Clone)]
pub struct Accounts {
    store: Store,
    backoff: Arc<Backoff>,
    hashing: Arc<Semaphore>,
    /// Where the first password was written, to be removed when it is changed.
    data_dir: Option<PathBuf>,
}

impl Accounts {
    pub fn new(store: Store, data_dir: Option<PathBuf>) -> Accounts {
        Accounts { store, backoff: Arc::new(Backoff::default()), hashing: Arc::new(Semaphore::new(2)), data_dir }
    }

    /// When nobody may sign in yet: makes the administrator with a random password, writes it to
    /// `administrator-password` (0600) in the data folder, and gives it to be printed once.
    pub async fn first_start(&self, at: Timestamp) -> Result<Option<String>, AccountError> {
        if !self.store.has_no_user().await? {
            return Ok(None);
        }
        let password = random_password();
        if let Some(dir) = &self.data_dir {
            // Before the account exists: a password that nobody can read would lock everybody out.
            let path = dir.join(FIRST_PASSWORD_FILE);
            write_private(&path, &password).map_err(|source| AccountError::PasswordFile { path, source })?;
        }
        let hash = self.hash(password.clone()).await?;
        let user = User {
            account: FIRST_ACCOUNT.to_owned(),
            name: "管理员".to_owned(),
            role: Role::Administrator,
            enterprise: None,
            must_change_password: true,
        };
        Ok(self.store.add_user(&user, hash, "davy", at).await?.then_some(password))
    }

    /// Adds a user.
    pub async fn add(&self, user: &User, password: String, who: &str, at: Timestamp) -> Result<(), AccountError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !(1..=64).contains(&user.account.len()) || !user.account.bytes().all(allowed) {
            return Err(AccountError::BadAccount(user.account.clone()));
        }
        if (user.role == Role::Enterprise) != user.enterprise.is_some() {
            return Err(AccountError::RoleWithoutEnterprise);
        }
        let hash = self.hash(checked(password)?).await?;
        if self.store.add_user(user, hash, who, at).await? { Ok(()) } else { Err(AccountError::Taken(user.account.clone())) }
    }

    /// Signs in: the session's token, to be kept in a cookie, and the user.
    pub async fn sign_in(&self, account: &str, password: String, address: &str, at: Timestamp) -> Result<(String, User), AccountError> {
        self.backoff.try_now(account, address, at).map_err(|retry_after_s| AccountError::TooManyTries { retry_after_s })?;
        let Some(user) = self.check(account, password).await? else {
            let burst = self.backoff.failed(account, address, at);
            if burst {
                let fact = Fact::seen(
                    "user.wrong_password",
                    format!("user/{account}"),
                    format!("来自 {address} 对账号 {account} 的多次错误密码"),
                    format!("several wrong passwords for {account} from {address}"),
                );
                self.store.journal(at, &fact).await?;
            }
            return Err(AccountError::WrongPassword);
        };
        self.backoff.succeeded(account, address);
        let token = random_token();
        let fact = Fact::done(
            "user.signed_in",
            account,
            format!("user/{account}"),
            format!("{account} 从 {address} 登录"),
            format!("{account} signed in from {address}"),
        );
        self.store.add_session(crate::store::digest(&token), account, at, &fact).await?;
        self.store.forget_sessions(at.plus_ms(-ABSOLUTE_MS), at.plus_ms(-IDLE_MS)).await?;
        Ok((token, user))
    }

    /// Whose session this is, unless it has ended.
    pub async fn session(&self, token: &str, at: Timestamp) -> Result<Option<Session>, AccountError> {
        if token.len() != 64 {
            return Ok(None);
        }
        let hash = crate::store::digest(token);
        let Some(session) = self.store.session(&hash).await? else { return Ok(None) };
        let ended = at.since(session.last_seen) > IDLE_MS || at.since(session.created_at) > ABSOLUTE_MS;
        if ended {
            return Ok(None);
        }
        if at.since(session.last_seen) >= TOUCH_MS {
            self.store.touch_session(&hash, at).await?;
        }
        Ok(Some(session))
    }

    /// Signs out.
    pub async fn sign_out(&self, token: &str, at: Timestamp) -> Result<(), AccountError> {
        Ok(self.store.end_session(&crate::store::digest(token), at).await?)
    }

    /// Changes the caller's own password and ends all their sessions; gives the token of a new one.
    pub async fn change_password(
        &self,
        account: &str,
        old: String,
        new: String,
        address: &str,
        at: Timestamp,
    ) -> Result<String, AccountError> {
        if old == new {
            return Err(AccountError::SamePassword);
        }
        let new = checked(new)?;
        self.backoff.try_now(account, address, at).map_err(|retry_after_s| AccountError::TooManyTries { retry_after_s })?;
        if self.check(account, old).await?.is_none() {
            self.backoff.failed(account, address, at);
            return Err(AccountError::WrongPassword);
        }
        let hash = self.hash(new).await?;
        self.store.set_password(account, hash, false, account, at).await?;
        if let Some(dir) = self.data_dir.as_deref().filter(|_| account == FIRST_ACCOUNT) {
            forget_first_password(dir);
        }
        let token = random_token();
        let fact = Fact::done(
            "user.signed_in",
            account,
            format!("user/{account}"),
            format!("{account} 修改密码后重新登录"),
            format!("{account} signed in anew after changing the password"),
        );
        self.store.add_session(crate::store::digest(&token), account, at, &fact).await?;
        Ok(token)
    }

    /// For a person at the console who has lost a password: a new random one, to be changed at the next sign-in.
    /// Ends every session of the account.
    pub async fn reset_password(&self, account: &str, at: Timestamp) -> Result<String, AccountError> {
        let password = random_password();
        let hash = self.hash(password.clone()).await?;
        if !self.store.set_password(account, hash, true, "console", at).await? {
            return Err(AccountError::Unknown(account.to_owned()));
        }
        if let Some(dir) = self.data_dir.as_deref().filter(|_| account == FIRST_ACCOUNT) {
            forget_first_password(dir);
        }
        Ok(password)
    }

    /// The user, when the password is theirs. An unknown account costs the same time as a known one.
    async fn check(&self, account: &str, password: String) -> Result<Option<User>, AccountError> {
        if password.len() > LONGEST_PASSWORD {
            return Ok(None);
        }
        match self.store.user_with_hash(account).await? {
            Some((user, hash)) => Ok(self.verify(password, hash).await?.then_some(user)),
            None => {
                self.hash(password).await?;
                Ok(None)
            }
        }
    }

    async fn hash(&self, password: String) -> Result<String, AccountError> {
        let _turn = self.hashing.acquire().await.map_err(|_| AccountError::Hash)?;
        let hashed = tokio::task::spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string()));
        hashed.await.map_err(|_| AccountError::Hash)?.map_err(|_| AccountError::Hash)
    }

    async fn verify(&self, password: String, hash: String) -> Result<bool, AccountError> {
        let _turn = self.hashing.acquire().await.map_err(|_| AccountError::Hash)?;
        let verified = tokio::task::spawn_blocking(move || Argon2::default().verify_password(password.as_bytes(), hash.as_str()).is_ok());
        verified.await.map_err(|_| AccountError::Hash)
    }
}

fn checked(password: String) -> Result<String, AccountError> {
    let fits = password.chars().count() >= SHORTEST_PASSWORD && password.len() <= LONGEST_PASSWORD;
    if fits { Ok(password) } else { Err(AccountError::BadPassword) }
}

fn random_token() -> String {
    let bytes: [u8; 32] = rand::rng().random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// 20 symbols, 100 bits, in groups that a person can copy.
fn random_password() -> String {
    const SYMBOLS: &[u8; 32] = b"23456789abcdefghjkmnpqrstuvwxyz-";
    let bytes: [u8; 20] = rand::rng().random();
    let symbols: Vec<char> = bytes.iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 31)])).collect();
    symbols.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}

fn write_private(path: &Path, password: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(format!("{password}\n").as_bytes())?;
    file.sync_all()
}

fn forget_first_password(dir: &Path) {
    match std::fs::remove_file(dir.join(FIRST_PASSWORD_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::warn!(%error, "the file with the first password could not be removed")
        }
        _ => {}
    }
}
