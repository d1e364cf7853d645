//! Nodes whose processes die or stand still while people order at the others.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::shoppers::{Shoppers, ask};
use crate::harness::{
    Person, eventually,
    launched::{Launched, LaunchedNode, Site, View},
    random_key,
};

const STOCK: u32 = 1_000_000;

/// A product, the node that owns it, the others, and people at those.
struct Scene {
    up: Launched,
    products: Vec<String>,
    owner: LaunchedNode,
    survivors: Vec<LaunchedNode>,
    /// The admin, at a survivor's operators' listener.
    asker: Person,
    /// At a survivor.
    customer: Person,
    shoppers: Shoppers,
}

impl Scene {
    async fn set(options: &[&str]) -> Self {
        let up = Launched::start_at(Site::new(), options).await;
        let admin = up.admin().await;
        let products = vec![admin.lists("mug", STOCK).await];
        let asker = admin.at(&up.nodes()[0].ops);
        let owner = up.owner_of_product(&asker, &products[0]).await;
        let mut survivors = up.nodes();
        survivors.retain(|node| node.name != owner.name);
        let customer = up.stranger(0).sign_up("customer").await.at(&survivors[0].api);
        let apis: Vec<String> = survivors.iter().map(|node| node.api.clone()).collect();
        let shoppers = Shoppers::start(&customer, &apis, &products);
        shoppers.place(50).await;
        Self {
            asker: asker.at(&survivors[0].ops),
            up,
            products,
            owner,
            survivors,
            customer,
            shoppers,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_killed_by_kill_9_is_taken_over_and_comes_back() {
    let scene = Scene::set(&[]).await;
    scene.owner.process.signal(Signal::SIGKILL);
    scene.shoppers.place(50).await;
    let back = scene.up.is_back(&scene.owner).await;
    assert_eq!((&back.api, &back.ops), (&scene.owner.api, &scene.owner.ops));
    let notice = format!("{} ended (signal: 9 (SIGKILL)); starting it again in ", back.name);
    let remarks = scene.up.remarked();
    assert!(remarks.contains(&notice), "{remarks}");
    scene.shoppers.place(50).await;
    eventually("it owns shards again", || async {
        let view = View::of(&scene.asker).await;
        view.is_owner(view.incarnation_of(&back.name)?).then_some(())
    })
    .await;
    scene.shoppers.place(50).await;
    let ledger = scene.shoppers.stop().await;
    assert!(
        ledger.refusals.is_empty() && ledger.unanswered.is_empty(),
        "clients of survivors saw {:?} {:?}",
        ledger.refusals,
        ledger.unanswered
    );
    for node in [&back].into_iter().chain(&scene.survivors) {
        let customer = scene.customer.at(&node.api);
        ledger.check(&customer, &scene.products, i64::from(STOCK)).await;
    }
    let audit = scene.up.audit();
    assert!(audit.status.success(), "{audit:?}");
}

#[tokio::test]
async fn a_node_that_keeps_dying_is_restarted_more_slowly() {
    let up = Launched::start_at(Site::new(), &["--nodes", "2"]).await;
    let mut waits = Vec::new();
    for _ in 0..5 {
        let before = up.node("n1");
        before.process.signal(Signal::SIGKILL);
        let died = Instant::now();
        eventually("it is started again", || async {
            (up.node("n1").process.pid() != before.process.pid()).then_some(())
        })
        .await;
        waits.push(died.elapsed());
    }
    // A tenth of a second, doubled each time, and at worst halved by jitter. Only the last wait has to
    // be long: how short the first one is, the machine may have spoilt.
    assert!(waits[4] >= Duration::from_millis(800), "{waits:?}");
    let last = up.node("n1");
    eventually("it gets ready when it is left alone", || async {
        up.is_ready(&last).await.then_some(())
    })
    .await;
    assert!(!last.process.is_gone() && up.node("n1").process.pid() == last.process.pid());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_restarts_a_node_that_died_stays_dead_and_the_others_take_over() {
    let scene = Scene::set(&["--no-restart"]).await;
    scene.owner.process.signal(Signal::SIGKILL);
    let notice = format!("{} ended (signal: 9 (SIGKILL)); leaving it so", scene.owner.name);
    eventually("`up` says so", || async {
        scene.up.remarked().contains(&notice).then_some(())
    })
    .await;
    eventually("the product has another owner", || async {
        let view = View::of(&scene.asker).await;
        let owner = view.owner_of_product(&scene.products[0])?;
        (view.name_of(owner)? != scene.owner.name).then_some(())
    })
    .await;
    scene.shoppers.place(50).await;
    let ledger = scene.shoppers.stop().await;
    ledger
        .check(&scene.customer, &scene.products, i64::from(STOCK))
        .await;
    assert!(!scene.up.is_ready(&scene.owner).await);
    assert!(scene.up.node(&scene.owner.name).process.is_gone());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_node_that_wakes_does_not_write_under_its_old_incarnation() {
    let scene = Scene::set(&[]).await;
    let (name, product) = (&scene.owner.name, &scene.products[0]);
    let view = View::of(&scene.asker).await;
    let old = view.incarnation_of(name).expect("it is active").to_owned();
    scene.owner.process.signal(Signal::SIGSTOP);
    // A request that reaches the paused node, which will read it before it knows that it has lost the
    // product.
    let late_key = random_key();
    let late = {
        let customer = scene.customer.at(&scene.owner.api);
        let (key, products) = (late_key.clone(), scene.products.clone());
        tokio::spawn(async move { ask(&customer, &key, &products).await })
    };
    eventually("the others have taken the product over", || async {
        let view = View::of(&scene.asker).await;
        let owner = view.owner_of_product(product)?;
        (view.name_of(&old).is_none() && view.name_of(owner).is_some()).then_some(())
    })
    .await;
    scene.shoppers.place(50).await;
    scene.owner.process.signal(Signal::SIGCONT);
    eventually(
        "it has joined as another incarnation and owns shards again",
        || async {
            let view = View::of(&scene.asker).await;
            let new = view.incarnation_of(name)?;
            (new != old && view.is_owner(new)).then_some(())
        },
    )
    .await;
    assert!(!scene.owner.process.is_gone(), "the process is the same");
    scene.shoppers.place(50).await;
    let mut ledger = scene.shoppers.stop().await;
    let late_id = match late.await.expect("no panic") {
        Ok(answer) if answer.status == 201 => answer.body["id"].as_str().map(str::to_owned),
        Ok(answer) => {
            assert_eq!(answer.verdict(), "503 unavailable", "{answer:?}");
            None
        }
        // Whatever was in progress ended with the old incarnation.
        Err(_) => None,
    };
    match late_id {
        Some(id) => ledger.acknowledged.insert(late_key, id),
        None => ledger
            .unanswered
            .insert(late_key, "the node was paused".to_owned()),
    };
    for node in [&scene.owner].into_iter().chain(&scene.survivors) {
        let customer = scene.customer.at(&node.api);
        ledger.check(&customer, &scene.products, i64::from(STOCK)).await;
    }
    let audit = scene.up.audit();
    assert!(audit.status.success(), "{audit:?}");
}
