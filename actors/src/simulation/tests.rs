use super::*;

#[test]
fn probe() {
    let from: u64 = std::env::var("SIM_FROM").unwrap_or_default().parse().unwrap_or(0);
    let to: u64 = std::env::var("SIM_TO").unwrap_or_default().parse().unwrap_or(5);
    let mut failures = 0;
    for seed in from..to {
        let began = std::time::Instant::now();
        let plan = Plan::of(seed);
        let told = run(&plan, Switches::default(), false);
        let took = began.elapsed();
        if std::env::var("SIM_TIME").is_ok() { println!("seed {seed} {took:?}"); }
        if !told.breaches.is_empty() {
            failures += 1;
            println!("seed {seed} {took:?} {} asks {:?}: {:#?}", plan.asks.len(), plan.faults, told.breaches);
            if std::env::var("SIM_TRACE").is_ok() { println!("{}", explain(plan, Switches::default())); }
        }
    }
    println!("{failures} failures");
}
