//! Installs what the project needs beside Rust: Node and Python packages, and Chromium; makes the
//! files for pages.
//!
//! Everything is pinned by a lock file in the folder that needs it. A folder whose lock file hasn't
//! changed since the last set-up is left alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell::{has, root, run_in};

const PLUGIN: &str = "destinations/heap_web/plugin";
const WEB_CLIENTS: &str = "crates/server/web-clients";
const CONSOLE: &str = "crates/server/console-assets";

/// Sets up all that `demo` and `test` need.
pub(crate) fn all() -> Result<()> {
    system_package("node", "nodejs")?;
    system_package("npm", "npm")?;
    let bench = root().join("bench");
    for folder in folders_with("package-lock.json")? {
        if !folder.starts_with(&bench) {
            node_packages(&folder)?;
        }
    }
    for folder in folders_with("requirements.txt")? {
        python_packages(&folder)?;
    }
    build_web_assets()?;
    chromium()
}

/// Makes the files that the server hands to pages, and installs what that takes. They are built
/// into the program, so this comes before the build.
pub(crate) fn web_assets() -> Result<()> {
    system_package("node", "nodejs")?;
    system_package("npm", "npm")?;
    for folder in [PLUGIN, WEB_CLIENTS, CONSOLE] {
        node_packages(&root().join(folder))?;
    }
    build_web_assets()
}

fn build_web_assets() -> Result<()> {
    for folder in [PLUGIN, WEB_CLIENTS, CONSOLE] {
        run_in(&root().join(folder), "npm run --silent build")?;
    }
    Ok(())
}

/// Sets up what `bench` needs: the files for pages, the public implementations that planning and the
/// page plugin are compared with, and the browser in which the latter are.
pub(crate) fn bench() -> Result<()> {
    web_assets()?;
    for folder in ["bench/node", "bench/page"] {
        node_packages(&root().join(folder))?;
    }
    chromium()
}

/// Installs Debian's Chromium where there is none: the browser tests drive it.
fn chromium() -> Result<()> {
    system_package("chromium", "chromium")
}

fn node_packages(folder: &Path) -> Result<()> {
    once(folder, "package-lock.json", &folder.join("node_modules"), || {
        // Not `npm ci`: it wants entries in the lock file for platforms that a registry may lack.
        run_in(
            folder,
            "npm install --no-save --no-audit --no-fund --ignore-scripts --loglevel=error",
        )
    })
}

fn python_packages(folder: &Path) -> Result<()> {
    let venv = folder.join(".venv");
    once(folder, "requirements.txt", &venv, || {
        system_package("python3", "python3-venv")?;
        run_in(folder, "python3 -m venv --clear .venv")?;
        run_in(
            folder,
            ".venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt",
        )
    })
}

/// Runs `install` unless `target` was made from this very lock file.
fn once(
    folder: &Path,
    lock: &str,
    target: &Path,
    install: impl FnOnce() -> Result<()>,
) -> Result<()> {
    let lock = fs::read(folder.join(lock))?;
    let stamp = target.join(".installed-from");
    if fs::read(&stamp).is_ok_and(|from| from == lock) {
        return Ok(());
    }
    install()?;
    fs::write(&stamp, lock).with_context(|| format!("cannot write {}", stamp.display()))
}

fn system_package(program: &str, package: &str) -> Result<()> {
    if has(program) {
        return Ok(());
    }
    if !has("apt-get") {
        bail!("`{program}` is missing; install it (Debian's package is `{package}`) and run again");
    }
    run_in(&root(), "apt-get update -qq")?;
    run_in(&root(), &format!("apt-get install -y -qq --no-install-recommends {package}"))
}

/// Folders of the checkout that hold a file called `name`, without installed packages.
fn folders_with(name: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let file_name = entry.file_name();
            let file_name = file_name.to_string_lossy();
            if entry.file_type()?.is_dir() {
                if !file_name.starts_with('.')
                    && file_name != "node_modules"
                    && file_name != "target"
                {
                    open.push(entry.path());
                }
            } else if file_name == name {
                found.push(folder.clone());
            }
        }
    }
    found.sort();
    Ok(found)
}
