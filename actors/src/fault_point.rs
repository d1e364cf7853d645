//! Fault points: where a test may stop the work of one node, to crash the node there or to let others
//! overtake it.
//!
//! Only tests switch the feature `fault-points` on; without it a point is nothing at all.

#[cfg(feature = "fault-points")]
mod gate;
#[cfg(feature = "fault-points")]
mod points;

#[cfg(feature = "fault-points")]
pub use gate::{OpenGate, UnknownGate};
#[cfg(feature = "fault-points")]
pub use points::{FaultPoint, FaultPoints, Held};

/// Marks a point of a desk's work, at which a test may stop it.
macro_rules! fault_point {
    ($desk:expr, $point:ident) => {
        #[cfg(feature = "fault-points")]
        $desk.ports.reach($crate::FaultPoint::$point).await;
    };
}

pub(crate) use fault_point;
