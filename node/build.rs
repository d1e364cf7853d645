//! Tells the program what it was built with, and of which commit if whoever builds it says so.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=HOLDFAST_COMMIT");
    println!("cargo:rerun-if-env-changed=RUSTC");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.ok().and_then(|said| String::from_utf8(said.stdout).ok());
    // `rustc 1.95.0 (hash date)`: the number alone.
    let version = version
        .as_deref()
        .and_then(|text| text.split_whitespace().nth(1))
        .unwrap_or("unknown");
    println!("cargo:rustc-env=HOLDFAST_RUSTC={version}");
    let commit = std::env::var("HOLDFAST_COMMIT").unwrap_or_default();
    let commit = commit.trim();
    let commit = if commit.is_empty() { "unknown" } else { commit };
    println!("cargo:rustc-env=HOLDFAST_COMMIT={commit}");
}
