//! Drives the console in a browser. Needs Node and Chromium, which `cargo xtask setup` installs.

use std::path::Path;
use std::process::Command;

#[test]
fn a_person_gets_on_with_the_console() {
    drive("console.test.mjs");
}

#[test]
fn what_pages_say_is_shown_as_their_word() {
    drive("pages.test.mjs");
}

#[test]
fn only_who_may_is_let_in_and_lost_visitors_find_back() {
    drive("doors.test.mjs");
}

#[test]
fn the_keyboard_alone_is_enough() {
    drive("keyboard.test.mjs");
}

#[test]
fn scripts_are_not_needed() {
    drive("plain.test.mjs");
}

fn drive(tests: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/console");
    assert!(
        folder.join("node_modules").is_dir(),
        "the console's tests need their packages: run `cargo xtask setup`"
    );
    let run = Command::new("node")
        .args(["--test", tests])
        .env("HEAPLINE", env!("CARGO_BIN_EXE_heapline"))
        .current_dir(&folder)
        .output()
        .expect("node runs");
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}
