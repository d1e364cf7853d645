//! Sessions, and the feed by which all nodes learn that one has ended.

use std::time::Duration;

use holdfast_domain::{
    Session, SessionId,
    session::{Rotation, TokenHash},
};
use holdfast_store::{AccessChange, AccessCursor, PageRequest, Stale, StoreError};
use sqlx::Connection;

use crate::shop::{NOW, Shop, entropy, session_of};

async fn sign_in(shop: &Shop) -> Session {
    let session = session_of(&shop.buyer);
    shop.store
        .session_create(shop.account_lease(shop.buyer.id), &session)
        .await
        .expect("signs in");
    session
}

fn ended(changes: &[AccessChange]) -> Vec<SessionId> {
    changes
        .iter()
        .filter_map(|change| match change {
            AccessChange::SessionEnded { session_id, .. } => Some(*session_id),
            AccessChange::RoleChanged { .. } => None,
        })
        .collect()
}

#[tokio::test]
async fn signing_in_again_after_a_lost_answer_is_signing_in_once() {
    let shop = Shop::open().await;
    let session = sign_in(&shop).await;
    let lease = shop.account_lease(shop.buyer.id);
    shop.store
        .session_create(lease, &session)
        .await
        .expect("is the same");
    let forged = Session {
        current: TokenHash([2; 32]),
        ..session.clone()
    };
    let error = shop
        .store
        .session_create(lease, &forged)
        .await
        .expect_err("is another");
    assert!(matches!(error, StoreError::Version(_)), "{error:?}");
    assert_eq!(
        shop.store.session(session.id).await.expect("reads"),
        Some(session)
    );
    shop.close().await;
}

#[tokio::test]
async fn a_token_is_rotated_once() {
    let shop = Shop::open().await;
    let session = sign_in(&shop).await;
    let lease = shop.account_lease(shop.buyer.id);
    let ttl = Duration::from_mins(1);
    let rotated = session.rotate(session.current, TokenHash([2; 32]), NOW, ttl);
    let Ok(Rotation::Rotated(next)) = rotated else {
        panic!("{rotated:?}");
    };
    shop.store
        .session_save(lease, &next, session.current)
        .await
        .expect("rotates");
    assert_eq!(
        shop.store.session(session.id).await.expect("reads"),
        Some(next.clone())
    );
    let Err(StoreError::Version(rows)) = shop.store.session_save(lease, &next, session.current).await else {
        panic!("the token was used");
    };
    let session_id = session.id;
    assert_eq!(rows, [Stale::Session { session_id }]);
    shop.close().await;
}

#[tokio::test]
async fn a_session_that_has_ended_stays_so_and_is_told() {
    let shop = Shop::open().await;
    let session = sign_in(&shop).await;
    let lease = shop.account_lease(shop.buyer.id);
    let over = session.revoke(NOW);
    shop.store
        .session_save(lease, &over, session.current)
        .await
        .expect("ends");
    let told = shop
        .store
        .access_changes(AccessCursor::START)
        .await
        .expect("reads");
    assert_eq!(ended(&told.changes), [session.id]);
    let error = shop
        .store
        .session_save(lease, &session, session.current)
        .await
        .expect_err("has ended");
    assert!(matches!(error, StoreError::Version(_)), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn all_sessions_but_one_can_be_ended() {
    let shop = Shop::open().await;
    let sessions = [sign_in(&shop).await, sign_in(&shop).await, sign_in(&shop).await];
    let lease = shop.account_lease(shop.buyer.id);
    let kept = sessions[1].id;
    let over = shop
        .store
        .sessions_revoke_all(lease, None, shop.buyer.id, Some(kept), NOW)
        .await
        .expect("ends");
    assert_eq!(over, [sessions[0].id, sessions[2].id]);
    let told = shop
        .store
        .access_changes(AccessCursor::START)
        .await
        .expect("reads");
    assert_eq!(ended(&told.changes), over);
    let request = PageRequest::first(10);
    let live = shop
        .store
        .sessions_of(shop.buyer.id, NOW, &request)
        .await
        .expect("lists");
    assert_eq!(live.items, [sessions[1].clone()]);
    shop.close().await;
}

#[tokio::test]
async fn a_late_commit_is_not_missed_by_the_feed() {
    let shop = Shop::open().await;
    let [late, early] = [sign_in(&shop).await, sign_in(&shop).await];
    let lease = shop.account_lease(shop.buyer.id);

    // The one begins first and commits last.
    let mut connection = shop.database.connection().await;
    let mut slow = connection.begin().await.expect("begins");
    sqlx::query("INSERT INTO access_change (kind, subject, at) VALUES ('session_ended', $1, now())")
        .bind(late.id.0)
        .execute(&mut *slow)
        .await
        .expect("inserts");
    shop.store
        .session_save(lease, &early.revoke(NOW), early.current)
        .await
        .expect("ends");

    let first = shop
        .store
        .access_changes(AccessCursor::START)
        .await
        .expect("reads");
    assert_eq!(ended(&first.changes), [early.id]);
    slow.commit().await.expect("commits");
    let second = shop.store.access_changes(first.next).await.expect("reads");
    assert!(ended(&second.changes).contains(&late.id), "{second:?}");

    // What was read is not read for ever: only until no older transaction runs on the server.
    let mut cursor = second.next;
    tokio::time::timeout(Duration::from_secs(10), async {
        loop {
            let read = shop.store.access_changes(cursor).await.expect("reads");
            if read.changes.is_empty() {
                break;
            }
            cursor = read.next;
        }
    })
    .await
    .expect("the feed is read to its end");
    shop.close().await;
}

#[tokio::test]
async fn a_session_lives_in_its_users_shard() {
    let shop = Shop::open().await;
    let mut session = session_of(&shop.buyer);
    let elsewhere = holdfast_domain::ShardId(shop.buyer.id.shard().0.wrapping_add(1));
    session.id = SessionId::mint_in(elsewhere, NOW, entropy());
    let error = shop
        .store
        .session_create(shop.account_lease(shop.buyer.id), &session)
        .await
        .expect_err("is refused");
    assert!(matches!(error, StoreError::Rejected(_)), "{error:?}");
    shop.close().await;
}

#[tokio::test]
async fn what_has_served_its_time_is_forgotten() {
    let shop = Shop::open().await;
    sign_in(&shop).await;
    shop.execute(
        "INSERT INTO access_change (kind, subject, at)
         SELECT 'session_ended', gen_random_uuid(), now() - age * interval '1 minute'
         FROM generate_series(1, 30, 2) AS age;
         INSERT INTO operation (principal, route, key, fingerprint, outcome, at)
         SELECT gen_random_uuid(), 'POST /', 'the-very-key', decode(repeat('00', 32), 'hex'), '{}',
                now() - age * interval '1 hour'
         FROM generate_series(1, 60, 2) AS age;
         INSERT INTO login_attempt (account_id, failures, window_started_at)
         SELECT gen_random_uuid(), 1, now() - age * interval '1 minute' FROM generate_series(1, 90, 2) AS age;
         INSERT INTO session (session_id, user_id, refresh_hash, used_hashes, created_at, last_used_at,
                              expires_at, user_agent, ip)
         SELECT overlay(session_id::text placing lpad(age::text, 8, '0') from 1)::uuid, user_id, refresh_hash,
                used_hashes, created_at, last_used_at, now() - age * interval '1 hour', '', ''
         FROM session, generate_series(1, 48, 2) AS age",
    )
    .await;
    assert_eq!(
        shop.store.access_changes_purge(3).await.expect("purges"),
        3,
        "no more than asked"
    );
    assert_eq!(shop.store.access_changes_purge(1_000).await.expect("purges"), 5);
    assert_eq!(shop.count("access_change").await, 7);
    assert_eq!(shop.store.operations_purge(1_000).await.expect("purges"), 6);
    assert_eq!(shop.count("operation").await, 24);
    assert_eq!(shop.store.login_attempts_purge(1_000).await.expect("purges"), 15);
    assert_eq!(shop.count("login_attempt").await, 30);
    assert_eq!(shop.store.sessions_purge(1_000).await.expect("purges"), 12);
    assert_eq!(shop.count("session").await, 13);
    shop.close().await;
}
