//! The program: configuration, log, relay, signals.

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use sdk_relay::cli::Cli;
use zeroizing_alloc::ZeroAlloc;

/// Wipes memory when it is freed. Scan keys and what they find pass through buffers that are not ours (TLS, the
/// channels of the runtime, the parser's scratch): no type of our own can erase all of their copies, and this erases
/// them all.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    Cli::parse().run()
}
