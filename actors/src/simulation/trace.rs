//! What happened in a history, in words, for those who read a failing one.

use parking_lot::Mutex;

use super::executor::Executor;

/// Lines that are kept: a history that goes wrong for ever must not eat the memory.
const LINES_MAX: usize = 20_000;

/// A history's trace; nothing is put into words if nobody wants to read it.
pub(super) struct Trace(Option<Mutex<Vec<String>>>);

impl Trace {
    pub(super) fn new(is_wanted: bool) -> Self {
        Self(is_wanted.then(Mutex::default))
    }

    /// Notes what happened.
    pub(super) fn note(&self, executor: &Executor, what: impl FnOnce() -> String) {
        if let Some(lines) = &self.0 {
            let at = executor.now();
            let lines = &mut *lines.lock();
            if lines.len() < LINES_MAX {
                lines.push(format!("{:>10.3} ms  {}", at.as_secs_f64() * 1_000.0, what()));
            }
        }
    }

    /// Returns what was noted.
    pub(super) fn take(&self) -> Vec<String> {
        self.0
            .as_ref()
            .map(|lines| std::mem::take(&mut *lines.lock()))
            .unwrap_or_default()
    }
}
