//! The command `heapline`.

fn main() {}
