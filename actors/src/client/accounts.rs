//! Accounts and sessions.

use holdfast_domain::{Caller, Refusal, Session, SessionId, User, UserId};
use holdfast_store::{Page, PageRequest};

use super::Client;
use crate::{
    Error,
    access::Standing,
    command::{
        AccountCommand, By, CallContext, Done, LoggedIn, Login, Mutation, NewUser, PasswordChange, Refresh,
        Request, SessionCommand, UserChange,
    },
};

fn by(caller: &Caller, mutation: &Mutation) -> By {
    By {
        caller: *caller,
        operation: mutation.operation.clone(),
    }
}

impl Client {
    /// Makes an account.
    ///
    /// # Errors
    /// [`Refusal::EmailTaken`].
    pub async fn user_register(&self, mutation: &Mutation, new: NewUser) -> Result<Done<User>, Error> {
        let command = AccountCommand::Register(mutation.operation.clone(), new.clone());
        self.change(Request::Account(new.id.0, command), mutation).await
    }

    /// Checks a password and begins a session.
    ///
    /// # Errors
    /// [`Refusal::InvalidCredentials`], [`Refusal::AccountLocked`].
    pub async fn login(&self, context: &CallContext, login: Login) -> Result<LoggedIn, Error> {
        let account = match self.shared.store.user_by_email(&login.email).await? {
            Some(user) => user.id.0,
            None => crate::account::phantom_id(&login.email),
        };
        let request = Request::Account(account, AccountCommand::Login(login));
        Ok(self.ask(request, context, None).await?.value)
    }

    /// Exchanges a refresh token; returns the account as it stands.
    ///
    /// # Errors
    /// [`Refusal::InvalidRefreshToken`], [`Refusal::RefreshTokenReused`].
    pub async fn session_refresh(&self, context: &CallContext, refresh: Refresh) -> Result<User, Error> {
        let request = Request::Session(SessionCommand::Refresh(refresh));
        let result = self.ask(request, context, None).await;
        if let Err(Error::Refused {
            refusal: Refusal::RefreshTokenReused { session_id },
            ..
        }) = &result
        {
            self.shared.access.session_ended(*session_id, self.now());
        }
        Ok(result?.value)
    }

    /// Ends one of the caller's sessions.
    ///
    /// # Errors
    /// [`Refusal::NotFound`]: it is not the caller's.
    pub async fn session_end(
        &self,
        context: &CallContext,
        caller: &Caller,
        id: SessionId,
    ) -> Result<(), Error> {
        let request = Request::Session(SessionCommand::End(id, caller.user_id));
        self.ask::<()>(request, context, None).await?;
        self.shared.access.session_ended(id, self.now());
        Ok(())
    }

    /// Ends every session of the caller.
    pub async fn session_end_all(&self, mutation: &Mutation, caller: &Caller) -> Result<Done<()>, Error> {
        let command = AccountCommand::LogoutAll(by(caller, mutation));
        let done = self
            .change(Request::Account(caller.user_id.0, command), mutation)
            .await?;
        self.shared.refresh_access().await;
        Ok(done)
    }

    /// Reads an account.
    ///
    /// # Errors
    /// [`Refusal::NotFound`].
    pub async fn user(&self, id: UserId) -> Result<User, Error> {
        self.shared
            .store
            .user(id)
            .await?
            .ok_or_else(|| Refusal::NotFound.into())
    }

    /// Edits the caller's display name.
    ///
    /// # Errors
    /// [`Refusal::VersionMismatch`].
    pub async fn user_rename(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        display_name: String,
        expected_version: i64,
    ) -> Result<Done<User>, Error> {
        let command = AccountCommand::Rename(by(caller, mutation), display_name, expected_version);
        self.change(Request::Account(caller.user_id.0, command), mutation)
            .await
    }

    /// Exchanges the caller's password and ends their other sessions.
    ///
    /// # Errors
    /// [`Refusal::InvalidCredentials`]: the current password is wrong; counts as a failed login.
    pub async fn password_change(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        change: PasswordChange,
    ) -> Result<Done<()>, Error> {
        let command = AccountCommand::ChangePassword(by(caller, mutation), change);
        let done = self
            .change(Request::Account(caller.user_id.0, command), mutation)
            .await?;
        self.shared.refresh_access().await;
        Ok(done)
    }

    /// Lists the caller's live sessions, newest first.
    pub async fn sessions(
        &self,
        caller: &Caller,
        page: &PageRequest<SessionId>,
    ) -> Result<Page<Session, SessionId>, Error> {
        Ok(self
            .shared
            .store
            .sessions_of(caller.user_id, self.now(), page)
            .await?)
    }

    /// Lists accounts, newest first.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`]: the caller is no admin.
    pub async fn users(
        &self,
        caller: &Caller,
        page: &PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, Error> {
        caller.require_admin()?;
        Ok(self.shared.store.users_list(page).await?)
    }

    /// Changes another account's role or bars it.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`], [`Refusal::NotFound`], [`Refusal::VersionMismatch`].
    pub async fn user_change(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        id: UserId,
        change: UserChange,
    ) -> Result<Done<User>, Error> {
        caller.require_admin()?;
        let command = AccountCommand::Change(by(caller, mutation), id, change);
        let done: Done<User> = self.change(Request::Account(id.0, command), mutation).await?;
        self.shared.refresh_access().await;
        Ok(done)
    }

    /// Tells whether a verified token's session still stands, and what its user may do now.
    ///
    /// Answered from memory that is at most a second behind; when it is further behind, from the
    /// database.
    ///
    /// # Errors
    /// [`Refusal::SessionEnded`].
    pub async fn access(&self, caller: &Caller) -> Result<Caller, Error> {
        match self.shared.access.standing(caller) {
            Standing::Holds(role) => Ok(Caller { role, ..*caller }),
            Standing::Ended => Err(Refusal::SessionEnded.into()),
            Standing::Unknown => self.access_from_store(caller).await,
        }
    }

    async fn access_from_store(&self, caller: &Caller) -> Result<Caller, Error> {
        let session = self.shared.store.session(caller.session_id).await?;
        let user = self.shared.store.user(caller.user_id).await?;
        match (session, user) {
            (Some(session), Some(user)) if session.revoked_at.is_none() && !user.disabled => Ok(Caller {
                role: user.role,
                ..*caller
            }),
            _ => Err(Refusal::SessionEnded.into()),
        }
    }

    /// Returns the signing keys that the nodes share, as `(kid, PKCS#8 PEM)`, newest first.
    ///
    /// Makes the first one if there is none.
    pub async fn signing_keys(&self) -> Result<Vec<(String, String)>, Error> {
        crate::signing::shared_keys(&self.shared.store, self.now()).await
    }
}
