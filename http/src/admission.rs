//! What a node lets in, and what it turns away at once.
//!
//! Kinds of requests that wait for different things have a [`Gate`] each, so that orders which pile up
//! starve no reads. A request is decided on when its head is there: what is refused costs neither its
//! body nor its token a look.

mod core;

use std::sync::Arc;
use std::time::{Duration, Instant};

use holdfast_actors::budget::{Class, Subject};
use holdfast_actors::metrics::{Kind as Metric, Registrar, Sample};
use parking_lot::Mutex;
use prometheus::Registry;
use warp::http::StatusCode;

use self::core::{Decision, Gate, GateOptions, Outcome};
use crate::{metrics::approximately, options::EdgeOptions, problem::Problem};

/// What requests wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// What is read.
    Reads,
    /// The lane, to be durable.
    Changes,
    /// As changes, but sent by strangers as well: whether they are signed shows later.
    Reports,
    /// A password, to be hashed: that has a queue of its own.
    SignIns,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Reads, Self::Changes, Self::Reports, Self::SignIns];

    const fn of(class: Option<Class>) -> Self {
        match class {
            Some(Class::Reads) | None => Self::Reads,
            Some(Class::Orders | Class::Writes) => Self::Changes,
            Some(Class::Webhooks) => Self::Reports,
            Some(Class::Register | Class::Login) => Self::SignIns,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Changes => "changes",
            Self::Reports => "reports",
            Self::SignIns => "sign-ins",
        }
    }
}

/// The gates of a node's API.
pub(crate) struct Admission {
    gates: [Mutex<Gate<Subject>>; Kind::ALL.len()],
    began: Instant,
}

impl Admission {
    /// Lets in as the settings say.
    pub(crate) fn new(options: &EdgeOptions) -> Self {
        let gate = |kind| {
            Mutex::new(Gate::new(GateOptions {
                max: options.max_in_flight,
                target: (kind != Kind::SignIns).then_some(options.target_delay),
                overload_after: options.overload_after,
            }))
        };
        Self {
            gates: Kind::ALL.map(gate),
            began: Instant::now(),
        }
    }

    /// Lets a request of `caller` in until what is returned is dropped, or says when to come back.
    pub(crate) fn enter(&self, class: Option<Class>, caller: Subject) -> Result<Entered<'_>, Problem> {
        let gate = self.gate(Kind::of(class));
        let at = self.began.elapsed();
        let decision = gate.lock().arrive(at, &caller);
        match decision {
            Decision::Admitted => Ok(Entered {
                admission: self,
                gate,
                caller,
                at,
                outcome: Outcome::Other,
            }),
            Decision::Refused { retry_after_s, .. } => Err(Problem::overloaded(retry_after_s)),
        }
    }

    /// Shows what the gates do.
    pub(crate) fn watch(self: &Arc<Self>, registry: &Registry) -> prometheus::Result<()> {
        let registrar = Registrar::new(registry);
        let admission = Arc::clone(self);
        registrar.sampled(
            Metric::Counter,
            "holdfast_admission_requests_total",
            "Requests by kind and by whether they were let in.",
            &["kind", "decision"],
            move || {
                let of_kind = |kind: Kind| {
                    let state = admission.gate(kind).lock().state(admission.began.elapsed());
                    [
                        ("admitted", state.admitted),
                        ("full", state.full),
                        ("share", state.share),
                    ]
                    .map(|(decision, count)| {
                        Sample::labelled([kind.as_str(), decision], approximately(count))
                    })
                };
                Kind::ALL.into_iter().flat_map(of_kind).collect()
            },
        )?;
        let gauge = |name, help, value: fn(&core::GateState) -> f64| {
            let admission = Arc::clone(self);
            registrar.sampled(Metric::Gauge, name, help, &["kind"], move || {
                let of_kind = |kind: Kind| {
                    let state = admission.gate(kind).lock().state(admission.began.elapsed());
                    Sample::labelled([kind.as_str()], value(&state))
                };
                Kind::ALL.map(of_kind).into()
            })
        };
        gauge(
            "holdfast_admission_limit",
            "Requests that may be in progress.",
            |state| approximately(state.limit as u64),
        )?;
        gauge(
            "holdfast_admission_in_progress",
            "Requests that are in progress.",
            |state| approximately(state.in_progress as u64),
        )?;
        gauge(
            "holdfast_admission_delay_seconds",
            "The least delay of the last tenth of a second in which there were answers.",
            |state| state.delay.as_secs_f64(),
        )
    }

    fn gate(&self, kind: Kind) -> &Mutex<Gate<Subject>> {
        &self.gates[kind as usize]
    }
}

/// A request that is in progress.
pub(crate) struct Entered<'a> {
    admission: &'a Admission,
    gate: &'a Mutex<Gate<Subject>>,
    caller: Subject,
    /// When it came, on the gates' clock.
    at: Duration,
    outcome: Outcome,
}

impl Entered<'_> {
    /// Notes what was answered.
    pub(crate) fn answered(mut self, status: StatusCode) {
        // A refusal that rests on what is stored has taken the same way as what it refuses.
        let is_served = status.is_success()
            || matches!(
                status,
                StatusCode::NOT_MODIFIED
                    | StatusCode::PAYMENT_REQUIRED
                    | StatusCode::CONFLICT
                    | StatusCode::PRECONDITION_FAILED
            );
        if is_served {
            self.outcome = Outcome::Served;
        }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let now = self.admission.began.elapsed();
        let delay = now.saturating_sub(self.at);
        self.gate.lock().end(now, &self.caller, delay, self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(max_in_flight: usize) -> Admission {
        Admission::new(&EdgeOptions {
            max_in_flight,
            ..EdgeOptions::default()
        })
    }

    fn caller(number: u8) -> Subject {
        Subject::Caller([number; 16])
    }

    #[test]
    fn orders_that_pile_up_starve_no_reads() {
        let admission = admission(2);
        let orders: Vec<_> = (0..2)
            .map(|number| admission.enter(Some(Class::Orders), caller(number)))
            .collect();
        assert!(orders.iter().all(Result::is_ok));
        assert!(admission.enter(Some(Class::Writes), caller(3)).is_err());
        assert!(admission.enter(Some(Class::Reads), caller(3)).is_ok());
        assert!(admission.enter(Some(Class::Login), caller(3)).is_ok());
    }

    #[test]
    fn whoever_is_answered_or_goes_away_makes_room() {
        let admission = admission(1);
        let first = admission.enter(None, caller(1)).expect("room");
        assert!(admission.enter(None, caller(2)).is_err());
        first.answered(StatusCode::OK);
        let second = admission.enter(None, caller(2)).expect("room");
        drop(second);
        assert!(admission.enter(None, caller(3)).is_ok());
    }

    #[test]
    fn the_metrics_tell_who_was_let_in_and_who_was_not() {
        let admission = Arc::new(admission(1));
        let registry = Registry::new();
        admission.watch(&registry).expect("the first");
        let _held = admission.enter(Some(Class::Orders), caller(1)).expect("room");
        assert!(admission.enter(Some(Class::Orders), caller(2)).is_err());
        let text = prometheus::TextEncoder::new()
            .encode_to_string(&registry.gather())
            .expect("text");
        for line in [
            r#"holdfast_admission_requests_total{kind="changes",decision="admitted"} 1"#,
            r#"holdfast_admission_requests_total{kind="changes",decision="full"} 1"#,
            r#"holdfast_admission_in_progress{kind="changes"} 1"#,
            r#"holdfast_admission_limit{kind="reads"} 1"#,
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
