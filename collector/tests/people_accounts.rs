//! Signing in, sessions and the first start.
#![allow(clippy::expect_used, clippy::panic, reason = "a test program: what it cannot do is its failure")]

mod people_support;

use std::os::unix::fs::PermissionsExt;

use collector::accounts::{ABSOLUTE_MS, AccountError, Accounts, FIRST_ACCOUNT, FIRST_PASSWORD_FILE, IDLE_MS};
use collector::store::{Role, User};
use people_support::{NOW, sqlite};

const PASSWORD: &str = "correct horse battery";

fn viewer(account: &str) -> User {
    User { account: account.to_owned(), name: String::new(), role: Role::Viewer, enterprise: None, must_change_password: false }
}

#[tokio::test]
async fn the_first_start_makes_one_administrator_whose_password_lies_in_a_private_file_until_it_is_changed() {
    let (store, _url, dir) = sqlite().await;
    let accounts = Accounts::new(store.clone(), Some(dir.path().to_owned()));
    let password = accounts.first_start(NOW).await.expect("made").expect("a password");
    assert_eq!(accounts.first_start(NOW).await.expect("asked"), None, "only the first start");
    let file = dir.path().join(FIRST_PASSWORD_FILE);
    assert_eq!(std::fs::read_to_string(&file).expect("readable").trim(), password);
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
    let (token, user) = accounts.sign_in(FIRST_ACCOUNT, password.clone(), "127.0.0.1", NOW).await.expect("lets in");
    assert!(user.must_change_password && user.role == Role::Administrator);
    let anew = accounts.change_password(FIRST_ACCOUNT, password.clone(), PASSWORD.to_owned(), "127.0.0.1", NOW).await.expect("changed");
    assert!(!file.exists());
    assert_eq!(accounts.session(&token, NOW).await.expect("asked"), None, "the old session is dead");
    assert!(accounts.session(&anew, NOW).await.expect("asked").is_some_and(|session| !session.user.must_change_password));
    assert!(matches!(accounts.sign_in(FIRST_ACCOUNT, password, "127.0.0.1", NOW).await, Err(AccountError::WrongPassword)));
}

#[tokio::test]
async fn a_session_ends_unused_or_old_and_is_kept_only_as_a_hash() {
    let (store, url, _dir) = sqlite().await;
    let accounts = Accounts::new(store.clone(), None);
    accounts.add(&viewer("duty"), PASSWORD.to_owned(), "admin", NOW).await.expect("added");
    let (token, _) = accounts.sign_in("duty", PASSWORD.to_owned(), "127.0.0.1", NOW).await.expect("lets in");
    assert!(accounts.session(&token, NOW.plus_ms(IDLE_MS)).await.expect("asked").is_some());
    assert!(accounts.session(&token, NOW.plus_ms(2 * IDLE_MS + 1)).await.expect("asked").is_none(), "unused for too long");
    let (token, _) = accounts.sign_in("duty", PASSWORD.to_owned(), "127.0.0.1", NOW).await.expect("lets in");
    let mut at = NOW;
    while at.since(NOW) < ABSOLUTE_MS {
        assert!(accounts.session(&token, at).await.expect("asked").is_some());
        at = at.plus_ms(IDLE_MS / 2);
    }
    assert!(accounts.session(&token, NOW.plus_ms(ABSOLUTE_MS + 1)).await.expect("asked").is_none(), "too old, though used");
    store.close().await.expect("closes");
    let file = url.trim_start_matches("sqlite://").to_owned();
    let bytes = std::fs::read(file).expect("readable");
    for secret in [token.as_bytes(), PASSWORD.as_bytes()] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret));
    }
}

#[tokio::test]
async fn an_attacker_elsewhere_does_not_keep_the_duty_officer_out() {
    let (store, _url, _dir) = sqlite().await;
    let accounts = Accounts::new(store.clone(), None);
    accounts.add(&viewer("duty"), PASSWORD.to_owned(), "admin", NOW).await.expect("added");
    let mut slowed = 0;
    for _ in 0..12 {
        match accounts.sign_in("duty", "guess guess guess".to_owned(), "10.0.0.66", NOW).await {
            Err(AccountError::TooManyTries { .. }) => slowed += 1,
            other => assert!(matches!(other, Err(AccountError::WrongPassword)), "{other:?}"),
        }
    }
    assert_eq!(slowed, 9, "three tries are free");
    accounts.sign_in("duty", PASSWORD.to_owned(), "10.0.0.1", NOW).await.expect("lets in from the control room");
    assert_eq!(store.journal_page(None, 9, Some("user.wrong_password")).await.expect("read").entries.len(), 1);
}

#[tokio::test]
async fn an_account_needs_a_usable_name_password_and_role() {
    let (store, _url, _dir) = sqlite().await;
    let accounts = Accounts::new(store, None);
    let add = |user: User, password: &str| {
        let (accounts, password) = (accounts.clone(), password.to_owned());
        async move { accounts.add(&user, password, "admin", NOW).await }
    };
    assert!(matches!(add(viewer("duty"), "short").await, Err(AccountError::BadPassword)));
    assert!(matches!(add(viewer("Duty Officer"), PASSWORD).await, Err(AccountError::BadAccount(_))));
    assert!(matches!(add(User { role: Role::Enterprise, ..viewer("duty") }, PASSWORD).await, Err(AccountError::RoleWithoutEnterprise)));
    add(viewer("duty"), PASSWORD).await.expect("added");
    assert!(matches!(add(viewer("duty"), PASSWORD).await, Err(AccountError::Taken(_))));
    assert!(matches!(accounts.sign_in("nobody", PASSWORD.to_owned(), "127.0.0.1", NOW).await, Err(AccountError::WrongPassword)));
}

#[tokio::test]
async fn a_password_lost_by_the_administrator_is_replaced_at_the_console() {
    let (store, _url, dir) = sqlite().await;
    let accounts = Accounts::new(store.clone(), Some(dir.path().to_owned()));
    let first = accounts.first_start(NOW).await.expect("made").expect("a password");
    let (token, _) = accounts.sign_in(FIRST_ACCOUNT, first.clone(), "127.0.0.1", NOW).await.expect("lets in");
    let second = accounts.reset_password(FIRST_ACCOUNT, NOW).await.expect("replaced");
    assert_eq!(accounts.session(&token, NOW).await.expect("asked"), None);
    assert!(matches!(accounts.sign_in(FIRST_ACCOUNT, first, "127.0.0.1", NOW).await, Err(AccountError::WrongPassword)));
    let (_, user) = accounts.sign_in(FIRST_ACCOUNT, second, "127.0.0.1", NOW).await.expect("lets in");
    assert!(user.must_change_password);
    assert!(matches!(accounts.reset_password("nobody", NOW).await, Err(AccountError::Unknown(_))));
    let told = store.journal_page(None, 9, Some("user.password_changed")).await.expect("read").entries;
    assert_eq!((told.len(), told[0].who.as_str()), (1, "console"));
}
