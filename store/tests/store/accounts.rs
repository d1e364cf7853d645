//! Accounts, credentials, and the keys of the cluster.

use std::collections::BTreeSet;

use holdfast_domain::{Role, User, UserId, account::LoginAttempts};
use holdfast_store::{
    AccessChange, AccessCursor, NewAccount, PageRequest, PasswordChange, Stale, StoreError,
    testing::TestDatabase,
};

use crate::shop::{NOW, Shop, account, later, operation, session_of};

#[tokio::test]
async fn an_account_is_found_by_its_id_and_by_its_address() {
    let shop = Shop::open().await;
    let ada = account("ada", Role::Customer);
    shop.register(&ada).await;
    assert_eq!(
        shop.store.user(ada.user.id).await.expect("reads"),
        Some(ada.user.clone())
    );
    let found = shop.store.user_by_email(&ada.user.email).await.expect("reads");
    assert_eq!(found, Some(ada.user.clone()));
    let credentials = shop
        .store
        .credentials(ada.user.id)
        .await
        .expect("reads")
        .expect("an account");
    assert_eq!(credentials.password_hash, ada.password_hash);
    assert!(
        !format!("{credentials:?} {ada:?}").contains("argon2"),
        "hashes do not get into logs"
    );
    shop.close().await;
}

#[tokio::test]
async fn an_address_has_one_account() {
    let shop = Shop::open().await;
    let ada = account("ada", Role::Customer);
    shop.register(&ada).await;
    let twin = account("ada", Role::Customer);
    let error = shop
        .store
        .user_register(shop.account_lease(twin.user.id), None, &twin)
        .await
        .expect_err("the address is taken");
    assert!(matches!(error, StoreError::EmailTaken), "{error:?}");
    assert_eq!(shop.store.user(twin.user.id).await.expect("reads"), None);
    shop.close().await;
}

#[tokio::test]
async fn a_repeated_registration_is_known_by_its_operation() {
    let shop = Shop::open().await;
    let ada = account("ada", Role::Customer);
    let registration = operation("POST /v1/auth/register", "register-ada");
    let lease = shop.account_lease(ada.user.id);
    shop.store
        .user_register(lease, Some(&registration), &ada)
        .await
        .expect("registers");
    let error = shop
        .store
        .user_register(lease, Some(&registration), &ada)
        .await
        .expect_err("was done before");
    assert!(matches!(error, StoreError::OperationExists), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn an_edit_of_a_stale_version_is_refused_and_names_the_current_one() {
    let shop = Shop::open().await;
    let lease = shop.account_lease(shop.buyer.id);
    let edited = User {
        display_name: "Ada L.".into(),
        version: 2,
        ..shop.buyer.clone()
    };
    shop.store
        .user_update(lease, None, &edited, NOW)
        .await
        .expect("edits");
    assert_eq!(
        shop.store.user(edited.id).await.expect("reads"),
        Some(edited.clone())
    );
    let Err(StoreError::Version(rows)) = shop.store.user_update(lease, None, &edited, NOW).await else {
        panic!("the version is stale");
    };
    let version = Some(2);
    assert_eq!(
        rows,
        [Stale::User {
            user_id: edited.id,
            version
        }]
    );
    shop.close().await;
}

#[tokio::test]
async fn a_new_role_is_told_to_all_nodes() {
    let shop = Shop::open().await;
    let promoted = User {
        role: Role::Seller,
        version: 2,
        ..shop.buyer.clone()
    };
    shop.store
        .user_update(shop.account_lease(shop.buyer.id), None, &promoted, NOW)
        .await
        .expect("edits");
    let told = shop
        .store
        .access_changes(AccessCursor::START)
        .await
        .expect("reads")
        .changes;
    let (user_id, role, at) = (promoted.id, Role::Seller, NOW);
    assert_eq!(told, [AccessChange::RoleChanged { user_id, role, at }]);
    shop.close().await;
}

#[tokio::test]
async fn disabling_an_account_ends_its_sessions_and_bars_new_ones() {
    let shop = Shop::open().await;
    let lease = shop.account_lease(shop.buyer.id);
    let session = session_of(&shop.buyer);
    shop.store
        .session_create(lease, &session)
        .await
        .expect("signs in");
    let disabled = User {
        disabled: true,
        version: 2,
        ..shop.buyer.clone()
    };
    shop.store
        .user_update(lease, None, &disabled, NOW)
        .await
        .expect("disables");
    let told = shop
        .store
        .access_changes(AccessCursor::START)
        .await
        .expect("reads")
        .changes;
    let (session_id, at) = (session.id, NOW);
    assert_eq!(told, [AccessChange::SessionEnded { session_id, at }]);
    let ended = shop
        .store
        .session(session.id)
        .await
        .expect("reads")
        .expect("a session");
    assert_eq!(ended.revoked_at, Some(NOW));
    let error = shop
        .store
        .session_create(lease, &session_of(&shop.buyer))
        .await
        .expect_err("may not sign in");
    assert!(matches!(error, StoreError::NotFound), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let shop = Shop::open().await;
    let lease = shop.account_lease(shop.buyer.id);
    let [this, other] = [session_of(&shop.buyer), session_of(&shop.buyer)];
    shop.store.session_create(lease, &this).await.expect("signs in");
    shop.store.session_create(lease, &other).await.expect("signs in");
    let change = PasswordChange {
        user_id: shop.buyer.id,
        expected_version: 1,
        password_hash: "$argon2id$new".to_owned(),
        keep_session: Some(this.id),
        at: NOW,
    };
    let ended = shop.store.password_set(lease, None, &change).await.expect("sets");
    assert_eq!(ended, [other.id]);
    let credentials = shop
        .store
        .credentials(shop.buyer.id)
        .await
        .expect("reads")
        .expect("an account");
    assert_eq!(credentials.password_hash, "$argon2id$new");
    assert_eq!(
        credentials.user.version, 1,
        "a password is not part of what is edited"
    );
    shop.close().await;
}

#[tokio::test]
async fn failed_logins_are_kept_until_a_login_succeeds() {
    let shop = Shop::open().await;
    let lease = shop.account_lease(shop.buyer.id);
    let attempts = LoginAttempts::none().fail(NOW).fail(NOW);
    assert_eq!(
        shop.store.login_attempts(shop.buyer.id).await.expect("reads"),
        LoginAttempts::none()
    );
    shop.store
        .login_attempts_save(lease, shop.buyer.id, attempts)
        .await
        .expect("saves");
    let more = attempts.fail(NOW);
    shop.store
        .login_attempts_save(lease, shop.buyer.id, more)
        .await
        .expect("saves");
    assert_eq!(
        shop.store.login_attempts(shop.buyer.id).await.expect("reads"),
        more
    );
    shop.store
        .session_create(lease, &session_of(&shop.buyer))
        .await
        .expect("signs in");
    assert_eq!(
        shop.store.login_attempts(shop.buyer.id).await.expect("reads"),
        LoginAttempts::none()
    );
    shop.close().await;
}

#[tokio::test]
async fn pages_of_accounts_are_stable_under_inserts() {
    let shop = Shop::open().await;
    for n in 0..5 {
        shop.register(&account(&format!("early-{n}"), Role::Customer))
            .await;
    }
    let mut seen = Vec::new();
    let mut request = PageRequest::first(2);
    loop {
        let page = shop.store.users_list(&request).await.expect("lists");
        seen.extend(page.items.iter().map(|user| user.display_name.clone()));
        shop.register(&account(&format!("late-{}", seen.len()), Role::Customer))
            .await;
        match page.next {
            Some(key) => request.after = Some(key),
            None => break,
        }
    }
    assert_eq!(
        seen,
        [
            "early-4", "early-3", "early-2", "early-1", "early-0", "buyer", "seller"
        ]
    );
    shop.close().await;
}

#[tokio::test]
async fn racing_bootstraps_make_one_administrator() {
    let database = TestDatabase::create().await;
    let store = database.store().await;
    let attempts = ["one", "two", "three"].map(|name| {
        let (store, admin) = (store.clone(), account(name, Role::Admin));
        tokio::spawn(async move { store.admin_bootstrap(&admin).await.expect("answers") })
    });
    let mut made = 0;
    for attempt in attempts {
        made += u32::from(attempt.await.expect("ends"));
    }
    assert_eq!(made, 1);
    let users = store
        .users_list(&PageRequest::first(10))
        .await
        .expect("lists")
        .items;
    assert_eq!(
        users.iter().map(|user| user.role).collect::<Vec<_>>(),
        [Role::Admin]
    );
}

#[tokio::test]
async fn the_first_administrator_needs_an_address_of_its_own() {
    let shop = Shop::open().await;
    let admin = NewAccount {
        user: User {
            id: UserId::mint(later(), [4; 10]),
            role: Role::Admin,
            ..shop.buyer.clone()
        },
        ..account("unused", Role::Admin)
    };
    let error = shop
        .store
        .admin_bootstrap(&admin)
        .await
        .expect_err("the address is taken");
    assert!(matches!(error, StoreError::EmailTaken), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn racing_nodes_agree_on_one_signing_key() {
    let shop = Shop::open().await;
    let racers = ["a", "b", "c"].map(|kid| {
        let store = shop.store.clone();
        tokio::spawn(async move {
            store
                .signing_key_ensure(kid, "-----BEGIN", NOW)
                .await
                .expect("answers")
        })
    });
    let mut seen = BTreeSet::new();
    for racer in racers {
        let keys = racer.await.expect("ends");
        assert_eq!(keys.len(), 1);
        assert!(
            !format!("{keys:?}").contains("BEGIN"),
            "private keys do not get into logs"
        );
        seen.insert(keys[0].kid.clone());
    }
    assert_eq!(seen.len(), 1);
    assert_eq!(shop.store.signing_keys().await.expect("lists").len(), 1);
    shop.close().await;
}
