//! Signers that strangers wrote, from PyPI and npm, to sign requests in tests: `<target>/foreign/python` is a virtual
//! environment, `<target>/foreign/node` a folder with its `node_modules` and a copy of our scripts (modules resolve
//! from where a script lies). Versions are pinned in `tests/foreign`; what is there already is not fetched again.

use crate::command::{root, run, target};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Tells tests where the folder is.
pub const FOREIGN_ENV: &str = "BEEM_FOREIGN";

/// Fetches what is not there; the folder, or nothing when the repository asks for no signers.
pub fn prepare() -> Result<Option<PathBuf>> {
    let wanted = root().join("tests/foreign");
    let (requirements, package) = (wanted.join("requirements.txt"), wanted.join("package.json"));
    let folder = target()?.join("foreign");
    if requirements.is_file() {
        python(&requirements, &folder.join("python"))?;
    }
    if package.is_file() {
        node(&wanted, &package, &folder.join("node"))?;
    }
    Ok(folder.is_dir().then_some(folder))
}

fn python(requirements: &Path, folder: &Path) -> Result<()> {
    unless_installed(requirements, folder, || {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        run(Command::new(folder.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(requirements))
    })
}

fn node(wanted: &Path, package: &Path, folder: &Path) -> Result<()> {
    unless_installed(package, folder, || {
        fs::create_dir_all(folder)?;
        fs::copy(package, folder.join("package.json"))?;
        run(Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
            .current_dir(folder))
    })?;
    for entry in fs::read_dir(wanted)? {
        let script = entry?.path();
        if let Some(name) = script.file_name()
            && script.extension().is_some_and(|e| e == "mjs" || e == "js")
        {
            fs::copy(&script, folder.join(name))?;
        }
    }
    Ok(())
}

/// Installs, unless the same list was installed there before: a copy of the list is the last thing written.
fn unless_installed(list: &Path, folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let wanted = fs::read(list)?;
    let mark = folder.join(".installed");
    if fs::read(&mark).is_ok_and(|have| have == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    install().with_context(|| format!("cannot install what {} asks for", list.display()))?;
    fs::write(mark, wanted)?;
    Ok(())
}
