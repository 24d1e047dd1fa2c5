//! The rules of ARCHITECTURE.md and CONTRIBUTING.md that a compiler doesn't check.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Source files below `folder` with one of these endings, installed and built things left out.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let path = entry.path();
            let built = ["target", "node_modules", "dist", "web-assets"].contains(&name.as_str());
            if path.is_dir() && !built && !name.starts_with('.') {
                open.push(path);
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn rust() -> Vec<PathBuf> {
    ["crates", "destinations", "xtask", "bench"]
        .iter()
        .filter(|folder| root().join(folder).exists())
        .flat_map(|folder| files(folder, &[".rs"]))
        .collect()
}

fn check(claim: &str, faults: Vec<String>) {
    assert!(faults.is_empty(), "{claim}:\n  {}", faults.join("\n  "));
}

#[test]
fn every_rust_file_opens_with_a_sentence_on_what_it_is() {
    let faults = rust()
        .into_iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| shown(&path));
    check("files without an opening `//!` sentence", faults.collect());
}

#[test]
fn no_rust_file_is_longer_than_600_lines() {
    let faults = rust().into_iter().filter_map(|path| {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        (lines > 600).then(|| format!("{} has {lines}", shown(&path)))
    });
    check("files of more than 600 lines", faults.collect());
}

#[test]
fn nothing_outside_a_destinations_folder_names_it() {
    // The command line's help and the demo show the one destination that there is to show; the
    // console and the page's routes present the catalog's entries to people.
    let may = ["crates/server/src/cli/", "crates/server/src/console/", "crates/server/src/web/"];
    let mut faults = Vec::new();
    for path in files("crates", &[".rs"]) {
        let name = shown(&path);
        let is_source = name.contains("/src/") && !name.contains("/tests");
        if !is_source || may.iter().any(|may| name.starts_with(may)) {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        for (at, line) in code.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            let names_it = line
                .split(|c: char| !c.is_alphanumeric() && c != '-' && c != '_')
                .any(|word| word.eq_ignore_ascii_case("heap") || word.starts_with("heap-web"));
            if names_it && !is_comment {
                faults.push(format!("{name}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    check("code that names a destination", faults);
}

#[test]
fn the_sandbox_depends_on_nothing_of_ours() {
    let manifest = fs::read_to_string(root().join("destinations/heap/sandbox/Cargo.toml")).unwrap();
    let dependencies = manifest.split("[dependencies]").nth(1).unwrap();
    check(
        "the sandbox must not know what it judges",
        dependencies
            .lines()
            .filter(|line| line.starts_with("heapline"))
            .map(str::to_owned)
            .collect(),
    );
}

#[test]
fn pure_crates_depend_on_no_runtime_and_no_input_or_output() {
    let mut faults = Vec::new();
    for manifest in ["crates/action", "crates/delivery", "destinations"] {
        let text = fs::read_to_string(root().join(manifest).join("Cargo.toml")).unwrap();
        let dependencies = text.split("[dependencies]").nth(1).unwrap();
        let dependencies = dependencies.split("[dev-dependencies]").next().unwrap();
        for banned in ["tokio", "reqwest", "hyper", "axum", "rusqlite", "getrandom", "rand"] {
            if dependencies.lines().any(|line| line.starts_with(banned)) {
                faults.push(format!("{manifest} depends on {banned}"));
            }
        }
        if !root().join(manifest).join("clippy.toml").exists() {
            faults.push(format!("{manifest} has no clippy.toml"));
        }
    }
    check("pure crates", faults);
}

#[test]
fn no_test_is_switched_off_and_none_waits_by_sleeping() {
    let mut faults = Vec::new();
    for path in rust().into_iter().filter(|path| !shown(path).starts_with("xtask/tests")) {
        let text = fs::read_to_string(&path).unwrap();
        for (at, line) in text.lines().enumerate() {
            let in_tests = shown(&path).contains("/tests/");
            if line.contains("#[ignore") || (in_tests && line.contains("thread::sleep")) {
                faults.push(format!("{}:{}: {}", shown(&path), at + 1, line.trim()));
            }
        }
    }
    check("tests that are ignored or sleep", faults);
}

#[test]
fn all_files_that_architecture_names_exist() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let named = text.split('`').skip(1).step_by(2).filter(|name| {
        let path = name.split(':').next().unwrap();
        path.contains('/') && !path.contains(['*', ' ', '<', '{']) && !path.starts_with('/')
    });
    let missing = named.filter(|name| !root().join(name.split(':').next().unwrap()).exists());
    check(
        "files that ARCHITECTURE.md names and that aren't there",
        missing.map(str::to_owned).collect(),
    );
}

#[test]
fn all_dependencies_have_licences_that_go_with_ours() {
    let compiler = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let compiler = String::from_utf8(compiler.stdout).unwrap();
    let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", host])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let good = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "BSL-1.0",
        "0BSD",
        "CC0-1.0",
        "Unlicense",
        "CDLA-Permissive-2.0",
        "Apache-2.0 WITH LLVM-exception",
    ];
    let faults = metadata["packages"].as_array().unwrap().iter().filter_map(|package| {
        let licence = package["license"].as_str().unwrap_or("none").replace('/', " OR ");
        // Every part that `AND` joins must be good; of those that `OR` joins, one.
        let fine = licence.split(" AND ").all(|part| {
            part.split(" OR ").any(|one| good.contains(&one.trim_matches(['(', ')', ' '])))
        });
        (!fine).then(|| format!("{} {}: {licence}", package["name"], package["version"]))
    });
    check("dependencies with other licences", faults.collect());
}
