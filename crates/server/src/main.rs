//! The command `heapline`.

fn main() -> std::process::ExitCode {
    heapline_server::cli::main()
}
