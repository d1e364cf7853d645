use crate::{draft::Draft, shop::Shop};
use std::time::Instant;
#[tokio::test]
async fn bench() {
    let shop = Shop::open().await;
    shop.execute("create extension pg_stat_statements").await;
    let mut products = vec![];
    for n in 0..200 {
        products.push(shop.product(&format!("P{n}"), 100_000).await.id);
    }
    for size in [64usize] {
        for hot in [true] {
            let mut total = std::time::Duration::ZERO;
            let mut client = std::time::Duration::ZERO;
            let rounds = if size == 256 { 40 } else { 100 };
            for r in 0..rounds {
                let t = Instant::now();
                let mut d = Draft::new(&shop);
                // narrow leases to those needed
                for i in 0..size {
                    let p = if hot {
                        products[0]
                    } else {
                        products[(r * size + i) % 200]
                    };
                    d.place(&format!("key-{size}-{hot}-{r}-{i}"), &[(p, 1)]).await;
                }
                let need: std::collections::HashSet<_> =
                    d.batch.stock.iter().map(|s| s.level.product_id.shard()).collect();
                d.batch
                    .leases
                    .retain(|l| need.contains(&l.shard) && l.service != holdfast_store::Service::Sessions);
                client += t.elapsed();
                let t = Instant::now();
                shop.store.lane_commit(&d.batch).await.expect("commits");
                total += t.elapsed();
            }
            eprintln!(
                "size {size} hot {hot}: {:?} per batch, {:.0} orders/s (draft {:?})",
                total / rounds as u32,
                (size * rounds) as f64 / total.as_secs_f64(),
                client / rounds as u32
            );
        }
    }
    let mut c = shop.database.connection().await;
    let rows: Vec<(String, i64, f64, f64)> = sqlx::query_as("select left(regexp_replace(query, '\\s+', ' ', 'g'), 90), calls, mean_exec_time, mean_plan_time from pg_stat_statements where calls >= 100 and calls < 130 order by total_exec_time desc limit 20").fetch_all(&mut c).await.unwrap();
    for r in rows { eprintln!("size {r:?}"); }
    shop.close().await;
}
