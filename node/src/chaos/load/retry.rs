//! Asking until there is an answer, as a client should: the same request,
//! under the same key, at another node each time.

use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;
use tokio::time::sleep;

use super::Clock;
use crate::chaos::history::{Attempt, Reply};
use crate::shop::{Answer, Ask, Shop};

/// How long a client tries in all before it gives up.
const GIVES_UP_AFTER: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

/// Asks, at `first` first. Returns every attempt and the final answer, if
/// there was one.
pub(super) async fn ask(
    shop: &Shop,
    clock: Clock,
    rng: &mut StdRng,
    first: usize,
    ask: &Ask<'_>,
) -> (Vec<Attempt>, Option<Answer>) {
    let deadline = clock.now() + GIVES_UP_AFTER;
    let mut attempts = Vec::new();
    let mut node = first;
    let mut pause = FIRST_PAUSE;
    loop {
        let began = clock.now();
        let answer = shop.attempt(node, ask).await;
        let reply = match &answer {
            Ok(answer) => Reply::Status(answer.status.as_u16()),
            Err(error) if error.is_timeout() => Reply::TimedOut,
            Err(_) => Reply::Broken,
        };
        attempts.push(Attempt {
            node,
            began,
            ended: clock.now(),
            reply,
        });
        match answer {
            Ok(answer) if answer.is_final() && !reply.is_error() => return (attempts, Some(answer)),
            _ if clock.now() > deadline => return (attempts, None),
            _ => {}
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        if shop.nodes() > 1 {
            node = (node + rng.random_range(1..shop.nodes())) % shop.nodes();
        }
    }
}
