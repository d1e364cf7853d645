//! Accounts and sessions.

use holdfast_actors::{
    Error,
    client::{Page, PageRequest},
    command::{CallContext, Done, LoggedIn, Login, Mutation, NewUser, PasswordChange, Refresh, UserChange},
};
use holdfast_domain::{Caller, Email, Role, Session, SessionId, User, UserId, session::TokenHash};

use super::{NOW, Shop, VERSION};

impl Shop {
    pub(crate) async fn user_register(&self, mutation: &Mutation, new: NewUser) -> Result<Done<User>, Error> {
        let made = User {
            email: new.email,
            display_name: new.display_name,
            ..user(new.id)
        };
        self.done(mutation, made)
    }

    pub(crate) async fn login(&self, _: &CallContext, login: Login) -> Result<LoggedIn, Error> {
        let logged_in = LoggedIn {
            user: user(UserId::mint(NOW, [1; 10])),
            session_id: login.session_id,
        };
        self.with(|state| state.login = Some(login));
        self.answer(logged_in)
    }

    pub(crate) async fn session_refresh(&self, _: &CallContext, _: Refresh) -> Result<User, Error> {
        self.answer(user(UserId::mint(NOW, [1; 10])))
    }

    pub(crate) async fn session_end(&self, _: &CallContext, _: &Caller, _: SessionId) -> Result<(), Error> {
        self.answer(())
    }

    pub(crate) async fn session_end_all(&self, mutation: &Mutation, _: &Caller) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn user(&self, id: UserId) -> Result<User, Error> {
        self.answer(user(id))
    }

    pub(crate) async fn user_rename(
        &self,
        mutation: &Mutation,
        caller: &Caller,
        display_name: String,
        expected_version: i64,
    ) -> Result<Done<User>, Error> {
        let version = expected_version + 1;
        self.done(
            mutation,
            User {
                display_name,
                version,
                ..user(caller.user_id)
            },
        )
    }

    pub(crate) async fn password_change(
        &self,
        mutation: &Mutation,
        _: &Caller,
        _: PasswordChange,
    ) -> Result<Done<()>, Error> {
        self.done(mutation, ())
    }

    pub(crate) async fn sessions(
        &self,
        caller: &Caller,
        page: &PageRequest<SessionId>,
    ) -> Result<Page<Session, SessionId>, Error> {
        let session = Session {
            id: caller.session_id,
            user_id: caller.user_id,
            current: TokenHash([0; 32]),
            used: Vec::new(),
            created_at: NOW,
            last_used_at: NOW,
            expires_at: NOW,
            revoked_at: None,
            user_agent: "a test".to_owned(),
            ip: "127.0.0.1".to_owned(),
        };
        self.page(page, session, caller.session_id)
    }

    pub(crate) async fn users(
        &self,
        caller: &Caller,
        page: &PageRequest<UserId>,
    ) -> Result<Page<User, UserId>, Error> {
        self.page(page, user(caller.user_id), caller.user_id)
    }

    pub(crate) async fn user_change(
        &self,
        mutation: &Mutation,
        _: &Caller,
        id: UserId,
        change: UserChange,
    ) -> Result<Done<User>, Error> {
        let user = user(id);
        let (role, disabled) = (
            change.role.unwrap_or(user.role),
            change.disabled.unwrap_or(user.disabled),
        );
        self.done(
            mutation,
            User {
                role,
                disabled,
                ..user
            },
        )
    }
}

fn user(id: UserId) -> User {
    User {
        id,
        email: Email::parse("ada@example.com").expect("an address"),
        display_name: "Ada".to_owned(),
        role: Role::Customer,
        email_verified: false,
        disabled: false,
        created_at: NOW,
        version: VERSION,
    }
}
