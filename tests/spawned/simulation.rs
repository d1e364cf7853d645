//! `holdfast simulate`, as anybody may run it.

use crate::harness::launched::Site;

#[test]
fn histories_are_run_and_counted() {
    let site = Site::new();
    let output = site.run(&["simulate", "--seeds", "30", "--from", "7"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        said.contains("sound: 30 histories from seed 7 kept every promise"),
        "{said}"
    );
}
