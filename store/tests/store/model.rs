//! The model in memory is true: it answers as Postgres does, and ends up with the same rows.
//!
//! Scripts of random calls run on both: orders placed on what no longer stands, keys and batches used
//! again, shards that change hands, nodes declared dead that go on writing, and batches with faults.

mod blemish;
mod call;
mod contents;
mod dice;
mod guards;
mod script;
mod sketch;
mod source;
mod world;

use std::{collections::BTreeSet, ops::Range};

use holdfast_store::{
    Store,
    model::{Guards, Model},
    testing::TestDatabase,
};

use self::{call::Call, script::Author, world::World};

/// The scripts that are tried; two at a time, because most of the time is spent waiting.
const SEEDS: [Range<u64>; 2] = [0..6, 6..12];
/// How long a script is.
const CALLS: usize = 160;
/// How many shorter scripts are tried when one has failed.
const ATTEMPTS: usize = 60;

#[tokio::test]
async fn the_model_answers_as_postgres_does() {
    let world = World::new();
    let opened = world.database().await;
    let [some, others] = SEEDS.map(|seeds| try_all(&world, &opened, seeds));
    let (mut reached, others) = tokio::join!(some, others);
    reached.extend(others);
    let kinds = ["Already", "Now", "duplicate", "fenced", "rejected", "stale"];
    assert!(reached.iter().eq(kinds), "scripts reach {reached:?} only");
}

/// Tries scripts, and returns the kinds of answers that batches got.
async fn try_all(world: &World, opened: &TestDatabase, seeds: Range<u64>) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    for seed in seeds {
        let calls = write(world, seed, &mut reached);
        if let Err(difference) = perform(world, opened, &calls).await {
            let (calls, difference) = shrink(world, opened, calls, difference).await;
            panic!("seed {seed} fails after {calls:#?}\n{difference}");
        }
    }
    reached
}

/// Writes a script, following the model, and notes the kinds of answers that batches get.
fn write(world: &World, seed: u64, reached: &mut BTreeSet<String>) -> Vec<Call> {
    let mut model = world.model(Guards::default());
    let mut author = Author::new(world, seed);
    let mut calls = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let call = author.next(&model);
        let answer = call.on_model(&mut model, world::PAST);
        if matches!(call, Call::Commit(_)) {
            reached.extend(answer.split(' ').next().map(str::to_owned));
        }
        calls.push(call);
    }
    calls
}

/// Runs a script on both; returns the first difference.
async fn perform(world: &World, opened: &TestDatabase, calls: &[Call]) -> Result<(), String> {
    let database = opened.copy().await;
    let store = database.store().await;
    let mut model = world.model(Guards::default());
    let result = side_by_side(world, &mut model, &database, &store, calls).await;
    store.close().await;
    result
}

async fn side_by_side(
    world: &World,
    model: &mut Model,
    database: &TestDatabase,
    store: &Store,
    calls: &[Call],
) -> Result<(), String> {
    let now = store.server_time().await.expect("answers");
    for (n, call) in calls.iter().enumerate() {
        let modelled = call.on_model(model, now);
        let stored = call.on_store(store, database.url()).await;
        if modelled != stored {
            return Err(format!("call {n}:\n model {modelled}\n store {stored}"));
        }
    }
    let mut connection = database.connection().await;
    contents::compare(world, model, store, &mut connection).await
}

/// Leaves calls out as long as the rest still shows a difference.
async fn shrink(
    world: &World,
    opened: &TestDatabase,
    mut calls: Vec<Call>,
    mut difference: String,
) -> (Vec<Call>, String) {
    let mut width = calls.len() / 2;
    let mut at = 0;
    for _ in 0..ATTEMPTS {
        if at >= calls.len() {
            if width == 1 {
                break;
            }
            (width, at) = (width / 2, 0);
        }
        let mut fewer = calls.clone();
        fewer.drain(at..calls.len().min(at + width));
        match perform(world, opened, &fewer).await {
            Ok(()) => at += width,
            Err(other) => (calls, difference) = (fewer, other),
        }
    }
    (calls, difference)
}
