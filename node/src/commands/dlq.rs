//! `holdfast dlq`

use std::process::ExitCode;
use std::str::FromStr;

use anyhow::Context;
use clap::{Args, Subcommand, value_parser};
use holdfast_domain::EventId;
use holdfast_store::{DeadLetter, DeadLetterFilter, DeadLetterKey, PageRequest, Store, StoreOptions};
use serde_json::Value;
use uuid::Uuid;

use super::database::DatabaseArgs;
use crate::{runtime, telemetry, terminal};

/// Letters that are moved or deleted by one statement.
const PORTION: u32 = 500;
/// Characters of an error that fit into a table.
const ERROR_CHARS: usize = 60;

/// Look after dead letters: events with which a consumer could do nothing.
#[derive(Debug, Args)]
pub struct Dlq {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    List(List),
    Show(Show),
    Retry(Retry),
    Drop(DropLetters),
}

/// List dead letters, those of the newest events first.
#[derive(Debug, Args)]
struct List {
    /// Only those of this consumer: order-mail or stock-alerts
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = value_parser!(u32).range(1..=200))]
    limit: u32,
    /// Go on after this one, which the list before has named
    #[arg(long, value_name = "EVENT/CONSUMER")]
    after: Option<Position>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Show an event and what stood against it.
#[derive(Debug, Args)]
struct Show {
    /// The event's id
    event: Uuid,
    /// Only that of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Give dead letters back to the nodes, which try them again at once.
#[derive(Debug, Args)]
struct Retry {
    #[command(flatten)]
    chosen: Chosen,
}

/// Delete dead letters: nothing will come of these events any more.
#[derive(Debug, Args)]
struct DropLetters {
    #[command(flatten)]
    chosen: Chosen,
}

/// Which dead letters.
#[derive(Debug, Args)]
struct Chosen {
    /// The events' ids
    #[arg(required_unless_present = "all", conflicts_with = "all", num_args = 1..=100)]
    events: Vec<Uuid>,
    /// All that there are now
    #[arg(long)]
    all: bool,
    /// Only those of this consumer
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Where a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Position(DeadLetterKey);

impl FromStr for Position {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (event_id, consumer) = text.split_once('/').ok_or("expected EVENT/CONSUMER")?;
        let event_id = event_id
            .parse()
            .map_err(|_| "expected an event's id before the /")?;
        Ok(Self(DeadLetterKey {
            event_id: EventId(event_id),
            consumer: consumer.to_owned(),
        }))
    }
}

impl Dlq {
    /// Fails if a letter that was named does not exist.
    pub fn run(self) -> anyhow::Result<ExitCode> {
        telemetry::init("warn")?;
        let found = runtime::on_this_thread(async {
            match self.action {
                Action::List(list) => list.run().await,
                Action::Show(show) => show.run().await,
                Action::Retry(Retry { chosen }) => chosen.run("retried", Store::dead_letters_retry).await,
                Action::Drop(DropLetters { chosen }) => chosen.run("dropped", Store::dead_letters_drop).await,
            }
        })?;
        Ok(if found {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

impl List {
    async fn run(self) -> anyhow::Result<bool> {
        let store = connect(&self.database).await?;
        let filter = DeadLetterFilter {
            consumer: self.consumer,
            event_id: None,
        };
        let request = PageRequest {
            limit: self.limit,
            after: self.after.map(|Position(key)| key),
        };
        let page = store
            .dead_letters(&filter, &request)
            .await
            .context("cannot list the dead letters")?;
        let waiting = store
            .consumer_tasks_waiting(filter.consumer.as_deref())
            .await
            .context("cannot count the tasks")?;
        store.close().await;
        let mut table = terminal::table(["event", "kind", "consumer", "attempts", "last failed", "error"]);
        for letter in &page.items {
            table.add_row([
                letter.event_id.to_string(),
                plain(&letter.kind),
                plain(&letter.consumer),
                letter.attempts.to_string(),
                letter.last_failed_at.to_string(),
                shortened(&plain(&letter.error)),
            ]);
        }
        terminal::say(table);
        terminal::say(format_args!(
            "{}; {waiting} more events wait to be dealt with",
            counted(page.items.len() as u64)
        ));
        if let Some(DeadLetterKey { event_id, consumer }) = page.next {
            terminal::say(format_args!("there are more: --after {event_id}/{consumer}"));
        }
        Ok(true)
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<bool> {
        let store = connect(&self.database).await?;
        let filter = DeadLetterFilter {
            consumer: self.consumer,
            event_id: Some(EventId(self.event)),
        };
        let page = store
            .dead_letters(&filter, &PageRequest::first(10))
            .await
            .context("cannot read the dead letter")?;
        store.close().await;
        for letter in &page.items {
            show(letter)?;
        }
        if page.items.is_empty() {
            terminal::remark(format_args!("there is no dead letter of event {}", self.event));
        }
        Ok(!page.items.is_empty())
    }
}

impl Chosen {
    /// Does something with the chosen letters, portion by portion.
    async fn run(
        self,
        done: &str,
        act: impl AsyncFn(
            &Store,
            &DeadLetterFilter,
            holdfast_domain::Timestamp,
            u32,
        ) -> Result<u64, holdfast_store::StoreError>,
    ) -> anyhow::Result<bool> {
        let store = connect(&self.database).await?;
        // What dies meanwhile, again perhaps, is not meant.
        let now = store.server_time().await.context("cannot read the time")?;
        let filters: Vec<DeadLetterFilter> = if self.all {
            vec![DeadLetterFilter {
                consumer: self.consumer,
                event_id: None,
            }]
        } else {
            let of = |event| DeadLetterFilter {
                consumer: self.consumer.clone(),
                event_id: Some(EventId(event)),
            };
            self.events.iter().copied().map(of).collect()
        };
        let (mut total, mut all_found) = (0, true);
        for filter in filters {
            let mut count = 0;
            loop {
                let some = act(&store, &filter, now, PORTION)
                    .await
                    .context("cannot change the dead letters")?;
                count += some;
                if some < u64::from(PORTION) {
                    break;
                }
            }
            if let (0, Some(event_id)) = (count, filter.event_id) {
                terminal::remark(format_args!("there is no dead letter of event {event_id}"));
                all_found = false;
            }
            total += count;
        }
        store.close().await;
        terminal::say(format_args!("{done} {}", counted(total)));
        Ok(all_found)
    }
}

async fn connect(database: &DatabaseArgs) -> anyhow::Result<Store> {
    let (_, url) = database.settings()?;
    let options = StoreOptions {
        max_connections: 1,
        application_name: "holdfast-dlq".to_owned(),
        ..StoreOptions::default()
    };
    Store::connect(url.reveal(), options)
        .await
        .context("cannot connect to the database")
}

fn show(letter: &DeadLetter) -> anyhow::Result<()> {
    let event: Value = serde_json::from_str(&letter.event).context("the event is no JSON")?;
    for (name, value) in [
        ("event", letter.event_id.to_string()),
        ("kind", plain(&letter.kind)),
        ("consumer", plain(&letter.consumer)),
        ("subject", letter.subject.to_string()),
        ("attempts", letter.attempts.to_string()),
        ("first failed", letter.first_failed_at.to_string()),
        ("last failed", letter.last_failed_at.to_string()),
        ("error", plain(&letter.error)),
    ] {
        terminal::say(format_args!("{name:<12}  {value}"));
    }
    terminal::say(format_args!("{event:#}\n"));
    Ok(())
}

/// Writes text from elsewhere, such as a mail relay's answer, on one line that moves no cursor.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(ERROR_CHARS) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn counted(letters: u64) -> String {
    match letters {
        1 => "1 dead letter".to_owned(),
        count => format!("{count} dead letters"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{Dlq, Position, plain, shortened};

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        _dlq: Dlq,
    }

    const ID: &str = "01a2031e-34ea-7bb2-bb3f-15327aa5f631";

    #[test]
    fn letters_are_named_or_all_are_meant() {
        let parses = |arguments: &[&str]| Command::try_parse_from([&["dlq"], arguments].concat()).is_ok();
        assert!(parses(&["retry", ID, ID]));
        assert!(parses(&["drop", "--all", "--consumer", "order-mail"]));
        assert!(!parses(&["drop"]));
        assert!(!parses(&["drop", "--consumer", "order-mail"]));
        assert!(!parses(&["retry", "--all", ID]));
        assert!(!parses(&["retry", "everything"]));
        assert!(!parses(&["list", "--limit", "201"]));
    }

    #[test]
    fn a_list_goes_on_where_the_one_before_said() {
        let Position(key) = format!("{ID}/order-mail").parse().unwrap();
        assert_eq!(
            (key.event_id.to_string().as_str(), key.consumer.as_str()),
            (ID, "order-mail")
        );
        assert!("order-mail".parse::<Position>().is_err());
        assert!("1/order-mail".parse::<Position>().is_err());
    }

    #[test]
    fn what_others_said_moves_no_cursor() {
        assert_eq!(plain("550\u{1b}[2J no\r\n"), "550 [2J no  ");
        assert_eq!(shortened(&"é".repeat(61)), format!("{}...", "é".repeat(60)));
    }
}
