//! Builds again when the files for pages were made anew: rust-embed doesn't see new ones.

fn main() {
    println!("cargo::rerun-if-changed=web-assets");
}
