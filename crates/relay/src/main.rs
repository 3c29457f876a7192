//! The program: the command line, and the relay that it runs.

use std::alloc::System;
use std::process::ExitCode;

use sdk_relay_cli::Cli;
use zeroizing_alloc::ZeroAlloc;

/// Zeroises memory when it is freed. Scan keys and their payments pass through buffers of libraries (TLS, channels of
/// the runtime, scratch memory of the parser), which our own types cannot zeroise.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    match Cli::from_command_line() {
        Ok(cli) => cli.run(sdk_relay::run::run),
        Err(code) => code,
    }
}
