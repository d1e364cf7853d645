//! Inflicting faults, one after the other or two at a time, for as long as the
//! load lasts.

use std::time::Duration;

use futures_util::future::join_all;
use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::menu::Menu;
#[cfg(feature = "fault-points")]
use super::misjudge::misjudge;
use super::{Fault, FaultKind, Infliction, Site, Victim, database, nodes, releases};
use crate::terminal;

/// What load without faults looks like has to be seen, too.
const CALM: Duration = Duration::from_secs(2);
/// How much later than the first the second fault of a pair strikes.
const APART_MIN: Duration = Duration::from_millis(20);
const APART_MAX: Duration = Duration::from_secs(1);

/// Which faults, and for how long.
#[derive(Clone, Debug)]
pub(in crate::chaos) struct Plan {
    pub(in crate::chaos) kinds: Vec<FaultKind>,
    pub(in crate::chaos) in_pairs: bool,
    /// How long the load lasts.
    pub(in crate::chaos) duration: Duration,
}

/// Inflicts faults until the load ends. None begins whose cause would outlast
/// it by the length drawn; a restart has none, and may.
///
/// Returns them with whatever did not recover, in words.
pub(in crate::chaos) async fn run(site: &Site, plan: &Plan, rng: StdRng) -> (Vec<Infliction>, Vec<String>) {
    let calm = CALM.min(plan.duration / 6);
    // A third of the time for the longest fault leaves room for what comes
    // before and after.
    let mut menu = Menu::new(&plan.kinds, site.names.len(), plan.duration / 3, rng);
    let mut inflictions = Vec::new();
    let mut unrecovered = Vec::new();
    loop {
        sleep(calm).await;
        let faults = menu.next(plan.in_pairs);
        let longest = faults.iter().map(|fault| fault.lasts).max();
        let Some(longest) = longest.filter(|longest| site.clock.now() + *longest + calm < plan.duration)
        else {
            return (inflictions, unrecovered);
        };
        let apart = longest.mul_f64(0.2).clamp(APART_MIN, APART_MAX);
        let served = faults.iter().enumerate().map(|(index, fault)| async move {
            if index > 0 {
                sleep(apart).await;
            }
            inflict(site, fault).await
        });
        for (infliction, failure) in join_all(served).await {
            terminal::remark(format_args!(
                "{:>6.1} s  {:<12}  {}; served again {} ms after its end",
                infliction.began.as_secs_f64(),
                infliction.kind.name(),
                infliction.detail,
                infliction.recovered.saturating_sub(infliction.ended).as_millis(),
            ));
            unrecovered.extend(failure.map(|failure| format!("{}: {failure:#}", infliction.detail)));
            inflictions.push(infliction);
        }
        if !unrecovered.is_empty() {
            return (inflictions, unrecovered);
        }
    }
}

async fn inflict(site: &Site, fault: &Fault) -> (Infliction, Option<anyhow::Error>) {
    let began = site.clock.now();
    let mut victims = Vec::new();
    let done = match fault.kind {
        FaultKind::Kill => nodes::kill(site, fault.node).await,
        FaultKind::Pause => nodes::pause(site, fault.node, fault.lasts).await,
        FaultKind::PauseSent => nodes::pause_sent(site, fault.node, fault.lasts).await,
        FaultKind::OneWay | FaultKind::TwoWay | FaultKind::Isolate | FaultKind::NoDatabase => {
            nodes::partition(site, fault).await;
            Ok(())
        }
        FaultKind::DatabaseKill => database::restart(site, Signal::SIGKILL, Duration::ZERO).await,
        FaultKind::DatabaseFast => database::restart(site, Signal::SIGINT, Duration::ZERO).await,
        FaultKind::DatabaseImmediate => database::restart(site, Signal::SIGQUIT, Duration::ZERO).await,
        FaultKind::DatabaseStop => database::restart(site, Signal::SIGINT, fault.lasts).await,
        FaultKind::Pool => database::crowd(site, fault.node, fault.lasts).await,
        FaultKind::SlowDisk => database::slow_disk(site, fault.lasts).await,
        #[cfg(feature = "fault-points")]
        FaultKind::Misjudge => misjudge(site, fault).await,
        FaultKind::Rolling => nodes::roll(site, &mut victims).await,
        FaultKind::Upgrade => releases::change(site, fault.node).await,
        FaultKind::Clock => nodes::shift_clock(site, fault).await,
    };
    // A death has no end that could be told from its recovery.
    let ended = match fault.kind {
        FaultKind::Kill => began,
        _ => site.clock.now(),
    };
    let served = match done {
        Ok(()) => site.until_served().await,
        Err(error) => Err(error),
    };
    let (recovered, failure) = match served {
        Ok(at) => (at, None),
        Err(error) => (site.clock.now(), Some(error)),
    };
    victims.extend(fault.struck().into_iter().map(|node| Victim {
        node,
        from: began,
        to: recovered,
    }));
    let infliction = Infliction {
        kind: fault.kind,
        detail: fault.describe(&site.names),
        began,
        ended,
        recovered,
        victims,
    };
    (infliction, failure)
}
