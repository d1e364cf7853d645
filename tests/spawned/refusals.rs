//! What `holdfast` refuses, and what it says to whoever has to put it right.

use std::{fs, net::TcpListener, process::Output};

use crate::harness::launched::{Launched, Site};

/// Expects a command to fail; returns what it remarked.
#[track_caller]
fn refused(output: &Output) -> String {
    let remarks = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    remarks
}

#[tokio::test]
async fn a_second_up_on_the_same_directory_is_refused_and_says_who_holds_it() {
    let up = Launched::start_at(Site::new(), &["--nodes", "1"]).await;
    let other = Site::new();
    let mut arguments = other.up(&["--nodes", "1"]);
    let data_dir = up.site().data_dir();
    // Its own ports, and the first one's directory.
    arguments[2] = data_dir.to_str().expect("a plain path").to_owned();
    let remarks = refused(&up.site().run(&arguments));
    let expected = format!(
        "{} is in use by another `holdfast up` (pid {})",
        data_dir.display(),
        up.up().pid()
    );
    assert!(remarks.contains(&expected), "{remarks}");
    assert!(up.is_ready(&up.node("n1")).await, "the first is not disturbed");
    let product = up.admin().await.lists("mug", 1).await;
    let buyer = up.stranger(0).sign_up("buyer").await;
    buyer.orders(&[(&product, 1)]).await.expect(201);
}

#[test]
fn a_port_in_use_is_named_before_anything_starts() {
    let site = Site::new();
    let port = site.base_port() + 1_001;
    let _holder = TcpListener::bind(("127.0.0.1", port)).expect("a free port");
    let remarks = refused(&site.run(&site.up(&[])));
    let expected = format!("port {port} is in use, and the ops listener of n2 was to listen there");
    assert!(remarks.contains(&expected), "{remarks}");
    assert_eq!(remarks.lines().count(), 1, "{remarks}");
    let made = fs::read_dir(site.data_dir()).expect("a directory");
    let made: Vec<_> = made
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name != "run" && name != "logs")
        .collect();
    assert!(made.is_empty(), "{made:?}");
}

#[test]
fn a_setting_that_does_not_exist_is_refused_with_file_line_and_field() {
    let site = Site::new();
    let file = site.path("shop.toml");
    fs::write(&file, "# Ours.\n[limits]\nenabled = false\nmax_in_fligth = 3\n").expect("a file");
    let check = [
        "config",
        "check",
        "--config",
        file.to_str().expect("a plain path"),
    ];
    let remarks = refused(&site.run(&check));
    let place = format!("{}:4:1: limits.max_in_fligth: ", file.display());
    assert!(remarks.contains(&place), "{remarks}");
    // `up` reads the same file in the same way, before it touches anything.
    let remarks = refused(&site.run(&site.up(&["--config", check[3]])));
    assert!(remarks.contains(&place), "{remarks}");
    assert!(!site.data_dir().exists());

    fs::write(&file, "[limits]\nmax_in_flight = 3\n").expect("a file");
    let checked = site.run(&check);
    assert!(checked.status.success(), "{checked:?}");
    let mut misspelt = site.command(&check);
    misspelt.env("HOLDFAST_LIMITS__MAX_IN_FLIGTH", "3");
    let remarks = refused(&misspelt.output().expect("the program starts"));
    assert!(remarks.contains("HOLDFAST_LIMITS__MAX_IN_FLIGTH: "), "{remarks}");
}
