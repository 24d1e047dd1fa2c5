//! Embeds the console's files: named by what they hold, compressed once, here.
//!
//! The style sheet is plain CSS and always there. The script and the fonts are built by
//! `cargo xtask setup` into `console-assets/dist`; without them the console works by plain HTML.

use std::fmt::Write;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

const BUILT: [(&str, &str); 3] = [
    ("console.js", "text/javascript; charset=utf-8"),
    ("sans.woff2", "font/woff2"),
    ("mono.woff2", "font/woff2"),
];

fn main() -> std::io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    let out = PathBuf::from(env::var("OUT_DIR").expect("Cargo sets it"));
    let assets = root.join("console-assets");
    // rust-embed doesn't see when the files for pages were made anew.
    println!("cargo::rerun-if-changed=web-assets");
    println!("cargo::rerun-if-changed={}", assets.join("css").display());
    println!("cargo::rerun-if-changed={}", assets.join("dist").display());
    println!("cargo::rerun-if-changed={}", assets.join("icon.svg").display());

    let mut code = String::from("static FILES: &[File] = &[\n");
    let mut css = style_sheet(&assets.join("css"))?;
    for (name, kind) in BUILT {
        let Ok(bytes) = fs::read(assets.join("dist").join(name)) else { continue };
        let address = add(&mut code, &out, name, kind, &bytes)?;
        css = css.replace(&format!("/assets/{name}"), &address);
    }
    add(&mut code, &out, "console.css", "text/css; charset=utf-8", css.as_bytes())?;
    let icon = fs::read(assets.join("icon.svg"))?;
    add(&mut code, &out, "icon.svg", "image/svg+xml", &icon)?;
    code.push_str("];\n");
    fs::write(out.join("assets.rs"), code)
}

/// All style sheets of the folder, in the order of their names.
fn style_sheet(folder: &Path) -> std::io::Result<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        println!("cargo::rerun-if-changed={}", path.display());
        paths.push(path);
    }
    paths.sort();
    let texts: Result<Vec<String>, _> = paths.iter().map(fs::read_to_string).collect();
    Ok(texts?.join("\n"))
}

/// Adds one file to the table and gives the address that it has on the server.
fn add(
    code: &mut String,
    out: &Path,
    name: &str,
    kind: &str,
    bytes: &[u8],
) -> std::io::Result<String> {
    let hash = Sha256::digest(bytes);
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    let (stem, end) = name.split_once('.').expect("every name has an end");
    let hashed = format!("{stem}-{hash}.{end}");
    fs::write(out.join(&hashed), bytes)?;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    fs::write(out.join(format!("{hashed}.gz")), gzip.finish()?)?;
    let path = out.join(&hashed);
    let path = path.display();
    writeln!(
        code,
        "    File {{ name: {name:?}, hashed: {hashed:?}, kind: {kind:?}, \
         bytes: include_bytes!({:?}), gzip: include_bytes!({:?}) }},",
        path.to_string(),
        format!("{path}.gz"),
    )
    .expect("writing to memory cannot fail");
    Ok(format!("/assets/{hashed}"))
}
