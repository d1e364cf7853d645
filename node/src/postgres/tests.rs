use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::{Phase, Postgres, PostgresOptions};

/// A directory that the user who runs the server can enter.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
    directory
}

fn options(directory: &TempDir) -> PostgresOptions {
    PostgresOptions {
        durable: false,
        max_connections: 10,
        ..PostgresOptions::new(directory.path())
    }
}

fn start(directory: &TempDir) -> (Postgres, Vec<Phase>) {
    let mut phases = Vec::new();
    let postgres = Postgres::start_reporting(options(directory), &mut |phase| phases.push(phase)).unwrap();
    (postgres, phases)
}

fn initialised(phases: &[Phase]) -> bool {
    phases.iter().any(|phase| matches!(phase, Phase::Initialising(_)))
}

fn answers(postgres: &Postgres) -> bool {
    UnixStream::connect(postgres.home.socket()).is_ok()
}

fn send(postgres: &Postgres, signal: Signal) {
    kill(Pid::from_raw(postgres.pid().try_into().unwrap()), signal).unwrap();
}

fn wait_until_exited(postgres: &mut Postgres) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while postgres.exited().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the server still runs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_server_starts_stops_and_starts_again_on_the_same_files() {
    let directory = directory();
    let (postgres, phases) = start(&directory);
    assert!(initialised(&phases));
    assert!(answers(&postgres));
    let url = postgres.url().to_owned();
    let socket = postgres.home.socket();
    postgres.stop(Duration::from_secs(5)).unwrap();
    assert!(UnixStream::connect(&socket).is_err());

    let (postgres, phases) = start(&directory);
    assert!(!initialised(&phases));
    assert_eq!(postgres.url(), url);
    assert!(answers(&postgres));
}

#[test]
fn a_killed_server_restarts_on_the_same_socket() {
    let directory = directory();
    let (mut postgres, _) = start(&directory);
    send(&postgres, Signal::SIGKILL);
    wait_until_exited(&mut postgres);
    // Orphans of the old server hold its shared memory for a moment.
    let deadline = Instant::now() + Duration::from_secs(10);
    while let Err(error) = postgres.restart() {
        assert!(Instant::now() < deadline, "{error}");
    }
    assert!(answers(&postgres));
}

#[test]
fn a_pid_file_whose_pid_is_another_program_does_not_stop_the_server() {
    let directory = directory();
    let (mut postgres, _) = start(&directory);
    let file = postgres.home.data().join("postmaster.pid");
    let left_behind = fs::read_to_string(&file).unwrap();
    send(&postgres, Signal::SIGINT);
    wait_until_exited(&mut postgres);
    let (_, rest) = left_behind.split_once('\n').unwrap();
    fs::write(&file, format!("{}\n{rest}", std::process::id())).unwrap();
    postgres.restart().unwrap();
    assert!(answers(&postgres));
}

#[test]
fn an_interrupted_initdb_is_done_anew() {
    let directory = directory();
    let (postgres, _) = start(&directory);
    let data = postgres.home.data();
    drop(postgres);
    fs::rename(&data, data.with_extension("partial")).unwrap();
    let (postgres, phases) = start(&directory);
    assert!(initialised(&phases));
    assert!(answers(&postgres));
}

#[test]
fn the_directory_of_the_server_is_closed_to_others() {
    let directory = directory();
    let (postgres, _) = start(&directory);
    let mode = fs::metadata(postgres.directory()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_data_directory_the_server_cannot_reach_is_linked_to_one_it_can() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let closed = TempDir::new().unwrap();
    fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
    let data_dir = closed.path().join("data");
    let options = PostgresOptions {
        data_dir: data_dir.clone(),
        ..options(&closed)
    };
    let postgres = Postgres::start(options.clone()).unwrap();
    let place = postgres.directory().to_path_buf();
    assert_eq!(fs::read_link(data_dir.join("postgres")).unwrap(), place);
    drop(postgres);
    let postgres = Postgres::start(options).unwrap();
    assert_eq!(postgres.directory(), place);
    drop(postgres);
    fs::remove_dir_all(place.parent().unwrap()).unwrap();
}
