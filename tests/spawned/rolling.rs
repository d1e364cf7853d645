//! Nodes that are drained, and restarted one after another, while people order at those that stay up.

use nix::sys::signal::Signal;

use super::shoppers::{Ledger, Shoppers};
use crate::harness::{
    eventually,
    launched::{Launched, View},
};

const STOCK: u32 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarting_every_node_in_turn_fails_no_request_and_loses_no_order() {
    let up = Launched::start().await;
    let admin = up.admin().await;
    let products = vec![admin.lists("mug", STOCK).await, admin.lists("bowl", STOCK).await];
    let customer = up.stranger(0).sign_up("customer").await;
    let mut all = Ledger::default();
    for restarted in up.nodes() {
        let others: Vec<_> = up
            .nodes()
            .into_iter()
            .filter(|node| node.name != restarted.name)
            .collect();
        let asker = admin.at(&others[0].ops);
        up.owner_of_product(&asker, &products[0]).await;
        let apis: Vec<String> = others.iter().map(|node| node.api.clone()).collect();
        let shoppers = Shoppers::start(&customer, &apis, &products);
        shoppers.place(50).await;
        restarted.process.signal(Signal::SIGTERM);
        shoppers.place(50).await;
        let back = up.is_back(&restarted).await;
        eventually("it owns shards again", || async {
            let view = View::of(&asker).await;
            view.is_owner(view.incarnation_of(&back.name)?).then_some(())
        })
        .await;
        shoppers.place(50).await;
        all.append(shoppers.stop().await);
        let notice = format!("{} ended (exit status: 0); starting it again in ", back.name);
        let remarks = up.remarked();
        assert!(remarks.contains(&notice), "{remarks}");
    }
    assert!(
        all.refusals.is_empty() && all.unanswered.is_empty(),
        "clients of nodes that stayed up saw {:?} {:?}",
        all.refusals,
        all.unanswered
    );
    for node in up.nodes() {
        all.check(&customer.at(&node.api), &products, i64::from(STOCK))
            .await;
    }
    let audit = up.audit();
    assert!(audit.status.success(), "{audit:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_drained_from_the_command_line_owns_nothing_until_it_is_started_anew() {
    let up = Launched::start().await;
    let admin = up.admin().await;
    let mug = admin.lists("mug", STOCK).await;
    let asker = admin.at(&up.nodes()[0].ops);
    up.owner_of_product(&asker, &mug).await;
    let drained = up.node("n2");
    let data_dir = up.site().data_dir();
    let drain = |name: &str| {
        let arguments = [
            "drain".as_ref(),
            name.as_ref(),
            "--data-dir".as_ref(),
            data_dir.as_os_str(),
        ];
        up.site().run(&arguments)
    };
    let done = drain("n2");
    assert!(done.status.success(), "{done:?}");
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "n2 owns nothing any more\n"
    );
    let unknown = drain("n9");
    assert!(!unknown.status.success());
    let reason = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(reason.contains("no node `n9` has joined the cluster"), "{reason}");
    assert!(!up.is_ready(&drained).await && !drained.process.is_gone());
    let customer = up.stranger(1).sign_up("customer").await;
    customer.orders(&[(&mug, 1)]).await.expect(201);
    drained.process.signal(Signal::SIGTERM);
    let back = up.is_back(&drained).await;
    eventually("it owns shards again", || async {
        let view = View::of(&asker).await;
        view.is_owner(view.incarnation_of(&back.name)?).then_some(())
    })
    .await;
}
