//! The relay from outside: its program, its ports and its files, with real nodes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a failure in here is a failed test"
)]

mod access;
mod autobahn;
mod blindbit;
mod check_config;
mod closed_output;
mod command_line;
mod crashes;
mod detached;
mod docs;
mod electrum;
mod events;
mod failover;
mod fairness;
mod file_modes;
mod grpc;
mod history;
mod hostile;
mod http;
mod impatient;
mod index;
mod limits;
mod logs;
mod manners;
mod mesh;
#[cfg(target_os = "linux")]
mod network_namespaces;
mod oracle;
mod outages;
mod own_certificate;
mod payments;
mod reference_clients;
mod relays_and_sync;
mod reorganisations;
mod restart;
mod samples;
mod scan;
mod service_manager;
mod slow_clients;
mod stage;
mod status;
mod story;
mod supervision;
mod support;
mod tls;
mod tor;
mod unread_answers;
mod wallet_command;
mod webhooks;
mod websocket;
mod wire;
