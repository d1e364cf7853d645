//! `holdfast user`

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use reqwest::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::database::DatabaseArgs;
use crate::cluster_file::ClusterFile;
use crate::credentials::Credentials;
use crate::setup::Setup;
use crate::shop::{Ask, Shop};
use crate::{password, runtime, telemetry, terminal};

/// Look after accounts.
#[derive(Debug, Args)]
pub struct User {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Create(Create),
}

/// Make an account. Its password comes from `HOLDFAST_PASSWORD` or standard
/// input.
///
/// The first administrator is written to the database, which needs no node.
/// Every other account is made by a running cluster; one that is to be more
/// than a customer, in the name of an administrator: the one in
/// `HOLDFAST_ADMIN_EMAIL` and `HOLDFAST_ADMIN_PASSWORD`, or the one that
/// `holdfast up` made.
#[derive(Debug, Args)]
struct Create {
    /// The address that signs in
    #[arg(long)]
    email: String,
    /// What the account may do
    #[arg(long, value_enum, default_value = "customer")]
    role: AccountRole,
    /// A node's API, as a base URL [default: those of the cluster that
    /// `holdfast up` runs]
    #[arg(long, value_name = "URL")]
    url: Vec<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// What an account may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AccountRole {
    /// Buys.
    Customer,
    /// Buys, and sells own products.
    Seller,
    /// Runs the shop.
    Admin,
}

impl AccountRole {
    const fn name(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Seller => "seller",
            Self::Admin => "admin",
        }
    }
}

impl User {
    /// Does what was asked.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let Action::Create(create) = self.action;
        let credentials = Credentials {
            email: create.email.clone(),
            password: password::ask()?,
        };
        runtime::on_this_thread(async {
            if create.role == AccountRole::Admin && create.first_admin(&credentials).await? {
                terminal::say(format_args!("made the first administrator, {}", create.email));
            } else {
                let id = create.through_the_api(&credentials).await?;
                terminal::say(format_args!(
                    "made {} {} ({id})",
                    create.role.name(),
                    create.email
                ));
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

impl Create {
    /// Writes the account to the database if there is no administrator yet.
    async fn first_admin(&self, credentials: &Credentials) -> anyhow::Result<bool> {
        let (config, url) = self.database.settings()?;
        let setup = Setup::connect(url.reveal(), &config).await?;
        let made = setup.first_admin(credentials).await;
        setup.close().await;
        made
    }

    /// Registers the account, then has an administrator give it its role.
    /// Returns its id.
    async fn through_the_api(&self, credentials: &Credentials) -> anyhow::Result<String> {
        let shop = self.shop()?;
        let admin = match self.role {
            AccountRole::Customer => None,
            // Before the account is made, so that a wrong password leaves none behind.
            _ => Some(log_in(&shop, &Credentials::of_admin(&self.database.data_dir)?).await?),
        };
        let key = Uuid::now_v7().to_string();
        let body = credentials.login();
        let answer = shop
            .ask(&Ask::post("/v1/auth/register", &body).under(&key))
            .await?;
        if answer.status == StatusCode::CONFLICT {
            bail!("{} has an account already", self.email);
        }
        let id = answer.promised("id")?;
        if let Some(admin) = admin {
            let version = answer.body["version"]
                .as_i64()
                .context("an account without a version")?;
            let body = json!({ "role": self.role.name() });
            let ask = Ask::patch(format!("/v1/users/{id}"), version, &body).by(&admin);
            shop.ask(&ask)
                .await?
                .promised("id")
                .context("the account is a customer's still")?;
        }
        Ok(id)
    }

    fn shop(&self) -> anyhow::Result<Shop> {
        if self.url.is_empty() {
            let cluster = ClusterFile::read(&ClusterFile::path_in(&self.database.data_dir))?;
            return Shop::new(cluster.apis());
        }
        Shop::new(
            self.url
                .iter()
                .map(|url| url.trim_end_matches('/').to_owned())
                .collect(),
        )
    }
}

async fn log_in(shop: &Shop, admin: &Credentials) -> anyhow::Result<String> {
    let answer = shop.ask(&Ask::post("/v1/auth/login", &admin.login())).await?;
    if answer.status == StatusCode::UNAUTHORIZED {
        bail!("{} cannot log in with that password", admin.email);
    }
    answer.promised("access_token")
}
