//! Making an account.

use holdfast_domain::{Event, EventId, EventKind, JsonObject, Operation, Refusal, Role, User};
use holdfast_store::{Credentials, NewAccount, StoreError};
use serde_json::json;

use super::State;
use crate::{
    command::{NewUser, Reply},
    entity::{Context, Fault, Outcome, done},
    operations,
};

pub(super) async fn handle(
    context: &Context,
    state: &mut State,
    operation: &Operation,
    new: NewUser,
) -> Outcome {
    let operation = &operations::with_secrets(context, operation, &[&new.password]);
    if let Some(answer) = operations::find(&context.desk(), operation).await? {
        return Ok(answer);
    }
    let password_hash = context.shared.hasher.hash(new.password).await?;
    let at = context.now();
    let user = User {
        id: new.id,
        email: new.email,
        display_name: new.display_name,
        role: Role::Customer,
        email_verified: false,
        disabled: false,
        created_at: at,
        version: 1,
    };
    let record = operations::record(context, operation, &Ok(Reply::User(user.clone())));
    let account = NewAccount {
        registered: registered(&user),
        user: user.clone(),
        password_hash,
    };
    match context
        .shared
        .store
        .user_register(&context.lease, Some(&record), &account)
        .await
    {
        Ok(()) => {
            state.user = Some(Credentials {
                user: account.user,
                password_hash: account.password_hash,
            });
            done(Reply::User(user))
        }
        Err(StoreError::EmailTaken) => match operations::find(&context.desk(), operation).await? {
            Some(answer) => Ok(answer),
            None => operations::refuse(&context.desk(), operation, Refusal::EmailTaken).await,
        },
        Err(StoreError::OperationExists) => operations::find(&context.desk(), operation)
            .await?
            .ok_or(Fault::Conflict),
        Err(error) => Err(error.into()),
    }
}

fn registered(user: &User) -> Event {
    let data = match json!({ "email": user.email, "display_name": user.display_name }) {
        serde_json::Value::Object(map) => JsonObject::from(map),
        _ => JsonObject::empty(),
    };
    Event {
        id: EventId::mint(user.created_at, rand::random()),
        kind: EventKind::UserRegistered,
        subject: user.id.0,
        sequence: user.version,
        at: user.created_at,
        actor_id: Some(user.id.0),
        data,
        trace_id: crate::trace::current_id(),
    }
}
