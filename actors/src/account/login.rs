//! Signing in.
//!
//! A password is compared off the actor, so that one account's logins use all cores. No more are
//! compared at once than may still fail: the rest wait until those are decided.

use holdfast_domain::{Refusal, Session, User, UserId, account::LoginAttempts};
use holdfast_store::Credentials;
use ractor::{ActorProcessingErr, ActorRef};
use tracing::Instrument;

use super::{Account, AccountMessage, PARKED_MAX, State};
use crate::{
    command::{LoggedIn, Login, Reply},
    entity::{Context, Fault, Outcome, ReplyTo, done, refused},
    hashing::HashingError,
};

/// Starts to compare a login's password, or parks or refuses the login.
#[expect(clippy::unnecessary_wraps, reason = "the shape of an actor's handler")]
pub(super) fn begin(
    account: &Account,
    myself: &ActorRef<AccountMessage>,
    state: &mut State,
    login: Login,
    reply_to: ReplyTo,
) -> Result<(), ActorProcessingErr> {
    let now = account.context.now();
    if let Err(locked) = state.attempts.admit(0, now) {
        let outcome = refused(locked);
        account.context.shared.metrics.logins.decided(&outcome);
        let _ = reply_to.send(outcome);
        return Ok(());
    }
    if state.attempts.admit(state.comparing, now).is_err() {
        if state.parked.len() >= PARKED_MAX {
            let _ = reply_to.send(Err(Fault::Overloaded));
        } else {
            state.parked.push_back((login, reply_to));
        }
        return Ok(());
    }
    state.comparing += 1;
    // An account that was bound to this address elsewhere is not this address's any more.
    let credentials = state
        .user
        .as_ref()
        .filter(|credentials| credentials.user.email == login.email);
    let against = credentials.cloned().map(Box::new);
    let stored = against
        .as_ref()
        .map(|credentials| credentials.password_hash.clone());
    let (hasher, myself) = (account.context.shared.hasher.clone(), myself.clone());
    let work = async move {
        let is_right = hasher.verify(login.password.clone(), stored).await;
        // Fails only if the account is gone; the caller sees that its reply was dropped.
        let _ = myself.send_message(AccountMessage::Compared {
            login: Box::new(login),
            against,
            is_right,
            reply_to,
        });
    };
    tokio::spawn(work.in_current_span());
    Ok(())
}

/// Tells whether the password was exchanged while a login was compared with the old one.
pub(super) fn is_outdated(state: &State, against: Option<&Credentials>) -> bool {
    match (&state.user, against) {
        (Some(now), Some(then)) => now.password_hash != then.password_hash,
        _ => false,
    }
}

/// Begins the session, or counts the failure.
pub(super) async fn finish(
    account: &Account,
    state: &mut State,
    login: &Login,
    is_right: Result<bool, HashingError>,
) -> Outcome {
    let context = &account.context;
    let user = state.user.as_ref().map(|credentials| credentials.user.clone());
    if let (true, Some(user)) = (is_right?, user.filter(|user| !user.disabled)) {
        return begin_session(context, state, login, &user).await;
    }
    let attempts = state.attempts.fail(context.now());
    context
        .shared
        .store
        .login_attempts_save(&context.lease, UserId(account.id), attempts)
        .await?;
    state.attempts = attempts;
    refused(Refusal::InvalidCredentials)
}

/// Takes up parked logins: compares as many as may be now, and refuses those that never will.
pub(super) fn unpark(
    account: &Account,
    myself: &ActorRef<AccountMessage>,
    state: &mut State,
) -> Result<(), ActorProcessingErr> {
    // Each once: those that cannot go on yet are parked again, and an account that is locked now
    // refuses them all.
    for _ in 0..state.parked.len() {
        if let Some((login, reply_to)) = state.parked.pop_front() {
            begin(account, myself, state, login, reply_to)?;
        }
    }
    Ok(())
}

async fn begin_session(context: &Context, state: &mut State, login: &Login, user: &User) -> Outcome {
    let at = context.now();
    let session = Session {
        id: login.session_id,
        user_id: user.id,
        current: login.refresh,
        used: Vec::new(),
        created_at: at,
        last_used_at: at,
        expires_at: at.plus(context.shared.options.refresh_token_ttl),
        revoked_at: None,
        user_agent: login.user_agent.chars().take(256).collect(),
        ip: login.ip.clone(),
    };
    context
        .shared
        .store
        .session_create(&context.lease, &session)
        .await?;
    state.attempts = LoginAttempts::none();
    done(Reply::LoggedIn(LoggedIn {
        user: user.clone(),
        session_id: session.id,
    }))
}
