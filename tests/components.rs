//! The page of components names the versions that are built, and tests that there are.

use std::{fs, path::Path};

use crate::monitoring::repository;

/// Lists what stands between backquotes in a text, each with what follows it.
fn quoted(text: &str) -> Vec<(&str, &str)> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once('`') {
        let Some((name, after)) = begun.split_once('`') else {
            break;
        };
        found.push((name, after));
        rest = after;
    }
    found
}

/// Reads the version that directly follows a name.
fn version(after: &str) -> Option<&str> {
    let text = after.strip_prefix(' ')?;
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    let version = text[..end.unwrap_or(text.len())].trim_end_matches('.');
    (version.split('.').count() == 3).then_some(version)
}

fn sources(directory: &Path) -> String {
    let mut all = String::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &fs::read_to_string(&path).expect("a text");
        }
    }
    all
}

#[test]
fn the_page_of_components_is_of_what_is_built_and_tested() {
    let page = fs::read_to_string(repository("docs/COMPONENTS.md")).expect("a page");
    let lock = fs::read_to_string(repository("Cargo.lock")).expect("a lock file");
    let tests = sources(&repository("tests"));
    let (mut crates, mut shown) = (0, 0);
    for row in page.lines().filter(|line| line.starts_with("| ")) {
        for (name, after) in quoted(row) {
            if let Some(version) = version(after).filter(|_| !name.contains(' ')) {
                let locked = format!("name = \"{name}\"\nversion = \"{version}\"\n");
                assert!(lock.contains(&locked), "{name} {version} is not what is built");
                crates += 1;
            } else if name.matches('_').count() > 3 {
                assert!(tests.contains(&format!("fn {name}()")), "there is no test {name}");
                shown += 1;
            }
        }
    }
    assert!(crates >= 12 && shown >= 12, "{crates} crates, {shown} tests");
}
