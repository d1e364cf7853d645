//! The `holdfast` binary: hands the command line to the library.

use std::process::ExitCode;

use clap::Parser;
use holdfast_node::cli::Cli;
use holdfast_node::terminal;
use mimalloc::MiMalloc;

/// A request makes and drops hundreds of small values, on whichever thread is free.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match Cli::parse().run() {
        Ok(code) => code,
        Err(error) => {
            terminal::remark(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
