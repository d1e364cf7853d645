//! Changing an account: its name, its password, its role, its sessions.

use holdfast_domain::{FieldError, Operation, Refusal, User, account};
use holdfast_store::{Credentials, StoreError};

use super::State;
use crate::{
    command::{By, PasswordChange, Reply, UserChange},
    entity::{Context, Fault, Outcome, done, refused},
    operations,
};

/// Edits the display name.
pub(super) async fn rename(
    context: &Context,
    state: &mut State,
    by: &By,
    name: String,
    expected_version: i64,
) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    if let Err(error) = account::check_display_name(&name) {
        return refused(Refusal::Invalid(vec![error]));
    }
    save(context, state, by, Some(expected_version), |user| {
        user.display_name = name;
    })
    .await
}

/// Changes role and standing, as an admin says.
pub(super) async fn by_admin(context: &Context, state: &mut State, by: &By, change: UserChange) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    if state
        .user
        .as_ref()
        .is_some_and(|credentials| credentials.user.id == by.caller.user_id)
    {
        // The last admin must not lock everybody out by a slip.
        return refused(Refusal::Invalid(vec![FieldError::new(
            "/",
            "admins cannot change their own account",
        )]));
    }
    save(context, state, by, change.expected_version, |user| {
        user.role = change.role.unwrap_or(user.role);
        user.disabled = change.disabled.unwrap_or(user.disabled);
    })
    .await
}

async fn save(
    context: &Context,
    state: &mut State,
    by: &By,
    expected_version: Option<i64>,
    edit: impl FnOnce(&mut User),
) -> Outcome {
    let before = match state.user() {
        Ok(user) => user.clone(),
        Err(refusal) => return refused(refusal),
    };
    if expected_version.is_some_and(|expected| expected != before.version) {
        return refused(Refusal::VersionMismatch {
            current_version: before.version,
        });
    }
    let mut user = before.clone();
    edit(&mut user);
    user.version += 1;
    let record = operations::record(context, &by.operation, &Ok(Reply::User(user.clone())));
    match context
        .shared
        .store
        .user_update(&context.lease, Some(&record), &user, context.now())
        .await
    {
        Ok(()) => {
            if let Some(Credentials { user: stored, .. }) = &mut state.user {
                *stored = user.clone();
            }
            done(Reply::User(user))
        }
        Err(error) => repeated_or(context, &by.operation, error).await,
    }
}

/// Exchanges the password; the sessions other than the caller's end.
pub(super) async fn password(
    context: &Context,
    state: &mut State,
    by: &By,
    change: PasswordChange,
) -> Outcome {
    let operation = operations::with_secrets(context, &by.operation, &[&change.current, &change.new]);
    if let Some(answer) = operations::find(&context.desk(), &operation).await? {
        return Ok(answer);
    }
    let Some(Credentials { user, password_hash }) = &state.user else {
        return refused(Refusal::NotFound);
    };
    if let Err(locked) = state.attempts.admit(state.comparing, context.now()) {
        return refused(locked);
    }
    if let Err(error) = account::check_password("/new_password", &change.new, user.email.as_str()) {
        return refused(Refusal::Invalid(vec![error]));
    }
    let hasher = &context.shared.hasher;
    if !hasher.verify(change.current, Some(password_hash.clone())).await? {
        let attempts = state.attempts.fail(context.now());
        context
            .shared
            .store
            .login_attempts_save(&context.lease, user.id, attempts)
            .await?;
        state.attempts = attempts;
        return refused(Refusal::InvalidCredentials);
    }
    let password_hash = hasher.hash(change.new).await?;
    let record = operations::record(context, &operation, &Ok(Reply::Ended));
    let save = holdfast_store::PasswordChange {
        user_id: user.id,
        expected_version: user.version,
        password_hash,
        keep_session: Some(by.caller.session_id),
        at: context.now(),
    };
    match context
        .shared
        .store
        .password_set(&context.lease, Some(&record), &save)
        .await
    {
        Ok(_) => {
            if let Some(credentials) = &mut state.user {
                credentials.password_hash = save.password_hash;
            }
            done(Reply::Ended)
        }
        Err(error) => repeated_or(context, &operation, error).await,
    }
}

/// Ends every session.
pub(super) async fn logout_all(context: &Context, by: &By) -> Outcome {
    if let Some(answer) = operations::find(&context.desk(), &by.operation).await? {
        return Ok(answer);
    }
    let record = operations::record(context, &by.operation, &Ok(Reply::Ended));
    let (user, at) = (by.caller.user_id, context.now());
    let store = &context.shared.store;
    match store
        .sessions_revoke_all(&context.lease, Some(&record), user, None, at)
        .await
    {
        Ok(_) => done(Reply::Ended),
        Err(error) => repeated_or(context, &by.operation, error).await,
    }
}

async fn repeated_or(context: &Context, operation: &Operation, error: StoreError) -> Outcome {
    match error {
        StoreError::OperationExists => operations::find(&context.desk(), operation)
            .await?
            .ok_or(Fault::Conflict),
        StoreError::Version(_) => Err(Fault::Conflict),
        other => Err(other.into()),
    }
}
