//! Accounts: one actor for each, where logins are counted and credentials change.
//!
//! An account's shard is that of its e-mail address, so that registrations of one address meet at one
//! owner. Logins under an address without an account go to a phantom in the same shard, which counts
//! failures like any other: neither answers nor timing tell whether an address has an account.

mod change;
mod login;
mod register;

use std::collections::VecDeque;

use aws_lc_rs::digest::{SHA256, digest};
use holdfast_domain::{
    Email, Refusal, ShardId, Timestamp, User, UserId, account::LoginAttempts, id::shard_of,
};
use holdfast_store::Credentials;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use uuid::Uuid;

use crate::{
    command::{AccountCommand, Login},
    entity::{Context, Fault, Outcome, ReplyTo, conclude},
    hashing::HashingError,
};

/// Logins of one account that may wait for others to be decided.
const PARKED_MAX: usize = 64;

/// Returns the shard of an address's account.
pub(crate) fn shard_of_email(email: &Email) -> ShardId {
    shard_of(phantom_id(email))
}

/// Makes an id for an account, in the shard of its address.
pub fn mint_user_id(email: &Email, at: Timestamp) -> UserId {
    UserId::mint_in(shard_of_email(email), at, rand::random())
}

/// Returns the id under which logins are counted while an address has no account.
pub(crate) fn phantom_id(email: &Email) -> Uuid {
    let hash = digest(&SHA256, email.as_str().as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_ref()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// What an account receives.
pub(crate) enum AccountMessage {
    /// A request, and where its answer goes.
    Command(AccountCommand, ReplyTo),
    /// A login's password has been compared, against these credentials.
    Compared {
        login: Box<Login>,
        against: Option<Box<Credentials>>,
        is_right: Result<bool, HashingError>,
        reply_to: ReplyTo,
    },
}

impl ractor::Message for AccountMessage {}

/// An account's actor.
pub(crate) struct Account {
    pub(crate) context: Context,
    pub(crate) id: Uuid,
}

/// What an account remembers.
pub(crate) struct State {
    /// The account's row; `None` while there is none.
    user: Option<Credentials>,
    attempts: LoginAttempts,
    /// Logins whose password is being compared.
    comparing: u32,
    /// Logins that wait because those being compared might lock the account.
    parked: VecDeque<(Login, ReplyTo)>,
}

impl State {
    fn user(&self) -> Result<&User, Refusal> {
        self.user
            .as_ref()
            .map(|credentials| &credentials.user)
            .ok_or(Refusal::NotFound)
    }
}

impl Actor for Account {
    type Msg = AccountMessage;
    type State = State;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<AccountMessage>, (): ()) -> Result<State, ActorProcessingErr> {
        let store = &self.context.shared.store;
        let credentials = Box::pin(store.credentials(UserId(self.id))).await?;
        let attempts = Box::pin(store.login_attempts(UserId(self.id))).await?;
        Ok(State {
            user: credentials,
            attempts,
            comparing: 0,
            parked: VecDeque::new(),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<AccountMessage>,
        message: AccountMessage,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        let (outcome, reply_to) = match message {
            AccountMessage::Command(AccountCommand::Login(login), reply_to) => {
                return login::begin(self, &myself, state, login, reply_to);
            }
            AccountMessage::Compared {
                login,
                against,
                is_right,
                reply_to,
            } => {
                state.comparing = state.comparing.saturating_sub(1);
                if login::is_outdated(state, against.as_deref()) {
                    login::begin(self, &myself, state, *login, reply_to)?;
                    return login::unpark(self, &myself, state);
                }
                let outcome = Box::pin(login::finish(self, state, &login, is_right)).await;
                self.context.shared.metrics.logins.decided(&outcome);
                let concluded = conclude(outcome, reply_to);
                login::unpark(self, &myself, state)?;
                return concluded;
            }
            AccountMessage::Command(command, reply_to) => {
                (Box::pin(self.change(state, command)).await, reply_to)
            }
        };
        conclude(outcome, reply_to)
    }
}

impl Account {
    async fn change(&self, state: &mut State, command: AccountCommand) -> Outcome {
        match command {
            AccountCommand::Register(operation, new) => {
                register::handle(&self.context, state, &operation, new).await
            }
            AccountCommand::LogoutAll(by) => change::logout_all(&self.context, &by).await,
            AccountCommand::Rename(by, name, version) => {
                change::rename(&self.context, state, &by, name, version).await
            }
            AccountCommand::ChangePassword(by, change) => {
                change::password(&self.context, state, &by, change).await
            }
            AccountCommand::Change(by, _, change) => {
                change::by_admin(&self.context, state, &by, change).await
            }
            AccountCommand::Login(_) => Err(Fault::Conflict),
        }
    }
}
