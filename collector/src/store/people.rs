//! Users and their sessions, as rows. What a password or a token is, `accounts.rs` knows.

use measurement::Timestamp;
use sea_orm::ActiveValue::Set;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ActiveModelTrait, ColumnTrait, EntityTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder};

use super::entity::{sessions, users};
use super::{Result, Store, failed, unreadable};
use crate::journal::Fact;
use crate::registry::EnterpriseId;

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything, and the only one who admits users, gateways and endpoints.
    Administrator,
    /// Sees every enterprise, registers points, sets limits, acknowledges.
    Regulator,
    /// Sees its own enterprise only, and acknowledges its alarms.
    Enterprise,
    /// Sees every enterprise, changes nothing.
    Viewer,
}

impl Role {
    pub const ALL: [Role; 4] = [Role::Administrator, Role::Regulator, Role::Enterprise, Role::Viewer];

    /// Its name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Administrator => "administrator",
            Role::Regulator => "regulator",
            Role::Enterprise => "enterprise",
            Role::Viewer => "viewer",
        }
    }

    pub fn from_name(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// A person who may sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub account: String,
    pub name: String,
    pub role: Role,
    /// Only for [`Role::Enterprise`].
    pub enterprise: Option<EnterpriseId>,
    pub must_change_password: bool,
}

/// A person who is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub user: User,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
}

impl Store {
    /// Every user.
    pub async fn users(&self) -> Result<Vec<User>> {
        let rows = users::Entity::find().order_by_asc(users::Column::Account).all(&self.read).await.map_err(failed("read the users"))?;
        rows.into_iter().map(user).collect()
    }

    /// True when nobody may sign in yet.
    pub(crate) async fn has_no_user(&self) -> Result<bool> {
        Ok(users::Entity::find().count(&self.read).await.map_err(failed("read the users"))? == 0)
    }

    /// A user and the hash of their password.
    pub(crate) async fn user_with_hash(&self, account: &str) -> Result<Option<(User, String)>> {
        let row = users::Entity::find_by_id(account).one(&self.read).await.map_err(failed("read the user"))?;
        row.map(|row| Ok((user(row.clone())?, row.password_hash))).transpose()
    }

    /// Adds a user; false when the account is taken.
    pub(crate) async fn add_user(&self, new: &User, password_hash: String, who: &str, at: Timestamp) -> Result<bool> {
        let mut act = self.begin().await?;
        if users::Entity::find_by_id(&new.account).one(&act.tx).await.map_err(failed("read the user"))?.is_some() {
            return Ok(false);
        }
        let row = users::ActiveModel {
            account: Set(new.account.clone()),
            name: Set(new.name.clone()),
            role: Set(new.role.name().to_owned()),
            enterprise_id: Set(new.enterprise.map(|id| id.0)),
            password_hash: Set(password_hash),
            must_change: Set(new.must_change_password),
            created_at: Set(at.0),
        };
        users::Entity::insert(row).exec_without_returning(&act.tx).await.map_err(failed("add a user"))?;
        let (account, role) = (&new.account, new.role.name());
        let fact = Fact::done(
            "user.added",
            who,
            format!("user/{account}"),
            format!("新增用户 {account}({role})"),
            format!("added the user {account} ({role})"),
        );
        act.tell(at, &fact).await?;
        act.commit().await?;
        Ok(true)
    }

    /// Gives a user another password, and ends every session of theirs.
    pub(crate) async fn set_password(
        &self,
        account: &str,
        password_hash: String,
        must_change: bool,
        who: &str,
        at: Timestamp,
    ) -> Result<bool> {
        let mut act = self.begin().await?;
        let Some(row) = users::Entity::find_by_id(account).one(&act.tx).await.map_err(failed("read the user"))? else { return Ok(false) };
        let mut change = row.into_active_model();
        (change.password_hash, change.must_change) = (Set(password_hash), Set(must_change));
        change.update(&act.tx).await.map_err(failed("change a password"))?;
        let theirs = sessions::Entity::delete_many().filter(sessions::Column::Account.eq(account));
        theirs.exec(&act.tx).await.map_err(failed("end the sessions"))?;
        let fact = Fact::done(
            "user.password_changed",
            who,
            format!("user/{account}"),
            format!("{who} 修改了用户 {account} 的密码"),
            format!("{who} changed the password of the user {account}"),
        );
        act.tell(at, &fact).await?;
        act.commit().await?;
        Ok(true)
    }

    /// Keeps a session, and journals who signed in.
    pub(crate) async fn add_session(&self, token_hash: String, account: &str, at: Timestamp, fact: &Fact) -> Result<()> {
        let mut act = self.begin().await?;
        let row = sessions::ActiveModel {
            token_hash: Set(token_hash),
            account: Set(account.to_owned()),
            created_at: Set(at.0),
            last_seen: Set(at.0),
        };
        sessions::Entity::insert(row).exec_without_returning(&act.tx).await.map_err(failed("keep a session"))?;
        act.tell(at, fact).await?;
        act.commit().await
    }

    /// The session with this token hash, and its user as they are now.
    pub(crate) async fn session(&self, token_hash: &str) -> Result<Option<Session>> {
        let Some(row) = sessions::Entity::find_by_id(token_hash).one(&self.read).await.map_err(failed("read the session"))? else {
            return Ok(None);
        };
        let Some((user, _)) = self.user_with_hash(&row.account).await? else { return Ok(None) };
        Ok(Some(Session { user, created_at: Timestamp(row.created_at), last_seen: Timestamp(row.last_seen) }))
    }

    /// Notes that a session is in use.
    pub(crate) async fn touch_session(&self, token_hash: &str, at: Timestamp) -> Result<()> {
        let act = self.begin().await?;
        let change = sessions::Entity::update_many()
            .col_expr(sessions::Column::LastSeen, Expr::value(at.0))
            .filter(sessions::Column::TokenHash.eq(token_hash));
        change.exec(&act.tx).await.map_err(failed("note a session"))?;
        act.commit().await
    }

    /// Ends a session.
    pub(crate) async fn end_session(&self, token_hash: &str, at: Timestamp) -> Result<()> {
        let mut act = self.begin().await?;
        let row = sessions::Entity::find_by_id(token_hash).one(&act.tx).await.map_err(failed("read the session"))?;
        let Some(row) = row else { return Ok(()) };
        sessions::Entity::delete_by_id(token_hash).exec(&act.tx).await.map_err(failed("end a session"))?;
        let account = row.account;
        let fact =
            Fact::done("user.signed_out", &account, format!("user/{account}"), format!("{account} 退出"), format!("{account} signed out"));
        act.tell(at, &fact).await?;
        act.commit().await
    }

    /// Forgets sessions created before one time or unused since another.
    pub(crate) async fn forget_sessions(&self, created_before: Timestamp, unused_since: Timestamp) -> Result<()> {
        let act = self.begin().await?;
        let old = sessions::Column::CreatedAt.lt(created_before.0).or(sessions::Column::LastSeen.lt(unused_since.0));
        sessions::Entity::delete_many().filter(old).exec(&act.tx).await.map_err(failed("forget old sessions"))?;
        act.commit().await
    }
}

fn user(row: users::Model) -> Result<User> {
    Ok(User {
        role: Role::from_name(&row.role).ok_or_else(|| unreadable("role", row.role))?,
        account: row.account,
        name: row.name,
        enterprise: row.enterprise_id.map(EnterpriseId),
        must_change_password: row.must_change,
    })
}
