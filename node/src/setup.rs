//! What a database needs before the first node starts: the schema, and an
//! administrator.

use anyhow::{Context, anyhow};
use holdfast_domain::account::check_password;
use holdfast_domain::{Email, Event, EventId, EventKind, JsonObject, Role, User};
use holdfast_store::{NewAccount, Store, StoreOptions};

use crate::config::Config;
use crate::credentials::Credentials;

/// A database that is being made ready.
#[derive(Debug)]
pub struct Setup {
    store: Store,
    config: Config,
}

impl Setup {
    /// Connects to the database at `url`.
    pub async fn connect(url: &str, config: &Config) -> anyhow::Result<Self> {
        let options = StoreOptions {
            max_connections: 2,
            application_name: "holdfast-setup".to_owned(),
            ..StoreOptions::default()
        };
        let store = Store::connect(url, options)
            .await
            .context("cannot connect to the database")?;
        Ok(Self {
            store,
            config: config.clone(),
        })
    }

    /// Applies the migrations that are missing. Several may do so at once.
    ///
    /// After a logical dump was restored, also puts its events where this
    /// server's transactions can follow them; tells how many it moved.
    pub async fn migrate(&self) -> anyhow::Result<u64> {
        self.store
            .migrate()
            .await
            .context("cannot migrate the database")?;
        let is_ahead = self.store.event_feed_is_ahead().await;
        if !is_ahead.context("cannot find out where the events are from")? {
            return Ok(0);
        }
        let moved = self.store.event_feed_rebase().await;
        moved.context("cannot move the events of another server")
    }

    /// Makes an administrator if there is none, and tells whether it did.
    pub async fn first_admin(&self, credentials: &Credentials) -> anyhow::Result<bool> {
        let email = Email::parse(&credentials.email)
            .map_err(|error| anyhow!("the e-mail address {} {}", credentials.email, error.message))?;
        let password = credentials.password.reveal();
        check_password("/password", password, email.as_str())
            .map_err(|error| anyhow!("the password {}", error.message))?;
        let hashing = crate::node::hashing_options(&self.config);
        let password_hash =
            holdfast_actors::hash_password(password, hashing).context("cannot hash the password")?;
        let at = self
            .store
            .server_time()
            .await
            .context("cannot read the database's clock")?;
        let user = User {
            id: holdfast_actors::mint_user_id(&email, at),
            email,
            display_name: String::new(),
            role: Role::Admin,
            // Whoever can start the cluster is taken at their word.
            email_verified: true,
            disabled: false,
            created_at: at,
            version: 1,
        };
        let mut data = serde_json::Map::new();
        data.insert("email".to_owned(), user.email.as_str().into());
        data.insert("display_name".to_owned(), user.display_name.clone().into());
        let registered = Event {
            id: EventId::mint(at, rand::random()),
            kind: EventKind::UserRegistered,
            subject: user.id.0,
            sequence: user.version,
            at,
            actor_id: Some(user.id.0),
            data: JsonObject::from(data),
            trace_id: None,
        };
        let account = NewAccount {
            user,
            password_hash,
            registered,
        };
        self.store
            .admin_bootstrap(&account)
            .await
            .context("cannot make an administrator")
    }

    /// Closes the connections.
    pub async fn close(self) {
        self.store.close().await;
    }
}
