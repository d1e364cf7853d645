//! Children that do not outlive this process.
//!
//! Invariant: a child spawned here gets its signal when this process ends,
//! however it ends. Linux alone offers that; elsewhere a child of a launcher
//! that was killed has to be stopped by hand.

// `pre_exec` is unsafe because only async-signal-safe calls may stand between
// fork and exec; `prctl` and `getppid` are such calls, and nothing allocates.
#![allow(unsafe_code)]

use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Mutex, PoisonError};
use std::thread;

use nix::sys::signal::Signal;

struct Request {
    command: Command,
    answer: SyncSender<io::Result<Child>>,
}

static SPAWNER: Mutex<Option<SyncSender<Request>>> = Mutex::new(None);

/// Spawns `command`; the kernel sends the child `signal` when this process
/// ends.
///
/// `PR_SET_PDEATHSIG` follows the *thread* that forked, not its process: a
/// child forked on a runtime's worker or on a test's thread would be signalled
/// when that thread ends. So all forks happen on one thread that never ends.
///
/// # Errors
/// As [`Command::spawn`].
pub fn spawn_bound(mut command: Command, signal: Signal) -> io::Result<Child> {
    bind(&mut command, signal);
    let (answer, answered) = mpsc::sync_channel(1);
    spawner()?.send(Request { command, answer }).map_err(|_| gone())?;
    answered.recv().map_err(|_| gone())?
}

fn spawner() -> io::Result<SyncSender<Request>> {
    let mut spawner = SPAWNER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(spawner) = &*spawner {
        return Ok(spawner.clone());
    }
    let (sender, requests) = mpsc::sync_channel::<Request>(1);
    thread::Builder::new().name("spawner".to_owned()).spawn(move || {
        for Request { mut command, answer } in requests {
            // Nobody waits any more: dropping the child leaves it to its
            // death signal.
            let _ = answer.send(command.spawn());
        }
    })?;
    Ok(spawner.insert(sender).clone())
}

fn gone() -> io::Error {
    io::Error::other("the spawning thread has ended")
}

#[cfg(target_os = "linux")]
fn bind(command: &mut Command, signal: Signal) {
    use std::os::unix::process::CommandExt;

    let parent = nix::unistd::getpid();
    // SAFETY: both calls are async-signal-safe; the closure does not allocate
    // and touches nothing but its two captured integers.
    unsafe {
        // The standard library runs this after it has changed the user, which
        // would clear the setting.
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            // The parent may have died before the call above.
            if nix::unistd::getppid() == parent {
                Ok(())
            } else {
                Err(nix::errno::Errno::ESRCH.into())
            }
        });
    }
}

#[cfg(not(target_os = "linux"))]
fn bind(_command: &mut Command, _signal: Signal) {}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::thread;

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::spawn_bound;

    #[test]
    fn a_child_outlives_the_thread_that_asked_for_it() {
        let asked = thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("30").stdin(Stdio::null());
            spawn_bound(command, Signal::SIGKILL).unwrap()
        });
        let mut child = asked.join().unwrap();
        assert!(child.try_wait().unwrap().is_none());
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_program_that_does_not_exist_is_an_error() {
        let error = spawn_bound(Command::new("/no/such/program"), Signal::SIGKILL).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
