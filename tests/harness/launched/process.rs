//! Processes, never mistaken for later ones that got the same pid.

use std::{
    fs,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How often an end that cannot be awaited is looked for.
const POLL: Duration = Duration::from_millis(10);

/// A process, which may have ended.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    pid: i32,
    /// When it started, in the kernel's ticks; unknown where there is no `/proc`.
    born: Option<u64>,
}

/// What `/proc` says of a process.
struct Stat {
    is_running: bool,
    parent: i32,
    born: u64,
}

impl Process {
    /// Names the process that has this pid now.
    pub(crate) fn of(pid: u32) -> Self {
        Self::with_pid(i32::try_from(pid).expect("a pid"))
    }

    fn with_pid(pid: i32) -> Self {
        assert!(pid > 1, "{pid} is nobody's to signal");
        Self {
            pid,
            born: Stat::of(pid).map(|stat| stat.born),
        }
    }

    /// Returns the pid.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Tells whether it has ended. One that waits to be reaped has.
    pub(crate) fn is_gone(&self) -> bool {
        match self.born {
            Some(born) => Stat::of(self.pid).is_none_or(|stat| stat.born != born || !stat.is_running),
            None => kill(Pid::from_raw(self.pid), None).is_err(),
        }
    }

    /// Sends a signal, unless the process has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        if !self.is_gone() {
            // It may end just now, and then needs no signal.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }

    /// Lists its children, their children and so on; none where there is no `/proc`.
    pub(crate) fn descendants(&self) -> Vec<Self> {
        let all: Vec<(i32, i32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Stat::of(pid)?.parent)))
            .collect();
        let mut family = vec![self.pid];
        let mut looked_at = 0;
        while let Some(parent) = family.get(looked_at).copied() {
            family.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            looked_at += 1;
        }
        family.into_iter().skip(1).map(Self::with_pid).collect()
    }
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // Before the last bracket is the program's name, which may hold anything.
        let (_, rest) = text.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            is_running: !matches!(*fields.first()?, "Z" | "X"),
            parent: fields.get(1)?.parse().ok()?,
            born: fields.get(19)?.parse().ok()?,
        })
    }
}

/// Waits until `look` finds something, for `limit` at most, where nothing can be awaited: while
/// something is dropped, say.
pub(super) fn wait_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() > deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

/// Waits until a child has ended, for `limit` at most.
pub(super) fn wait_for_end(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    wait_for(limit, || child.try_wait().expect("a child of ours"))
}
