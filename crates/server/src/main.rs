//! The command `heapline`.

/// Of the processor time of planning, more than a quarter went into the system's allocator.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    heapline_server::cli::main()
}
