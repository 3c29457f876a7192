//! The text that `sdk_relay --standalone` prints.

use std::net::SocketAddr;
use std::path::Path;

/// Addresses, and commands to try a payment. `0.0.0.0` is shown as `localhost`, because clients cannot connect to it.
/// Without an address of a wallet, the reader is to insert one. With a certificate both ports speak TLS, and the
/// commands trust the certificate.
pub fn welcome(address: Option<&str>, ws: SocketAddr, http: SocketAddr, certificate: Option<&Path>) -> String {
    let (ws, http) = (reachable(ws), reachable(http));
    let s = if certificate.is_some() { "s" } else { "" };
    let (pem, cacert) = certificate.map_or_else(Default::default, |file| {
        (format!(" {}", file.display()), format!("--cacert {} ", file.display()))
    });
    let wallet = address.map_or_else(String::new, |address| {
        format!("\x20 Silent-payment address of its wallet:\n\x20 {address}\n")
    });
    let address = address.unwrap_or("ADDRESS");
    let listen = listener();
    format!(
        "\n\
         sdk_relay is running on its embedded development chain.\n\
         \n\
         \x20 WebSocket API   ws{s}://{ws}\n\
         \x20 HTTP API        http{s}://{http}\n\
         \x20 Dashboard       http{s}://{http}/\n\
         \x20 API reference   http{s}://{http}/docs\n\
         {wallet}\
         \n\
         Receive notifications in a second terminal:\n\
         \n\
         \x20 {listen} ws{s}://{ws}{pem}\n\
         \n\
         In a third terminal, send a payment, then mine a block:\n\
         \n\
         \x20 curl {cacert}-X POST http{s}://{http}/dev/pay -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"address\":\"{address}\",\"amount\":\"0.001\"}}'\n\
         \x20 curl {cacert}-X POST http{s}://{http}/dev/mine\n\
         \n\
         Press Ctrl-C to stop the relay.\n"
    )
}

/// The example client: the program that `scripts/run` has built, or the command that builds it.
fn listener() -> String {
    let built = std::env::current_exe()
        .ok()
        .and_then(|exe| Some(exe.parent()?.join("examples").join("listen")))
        .filter(|program| program.is_file());
    match built {
        Some(program) => {
            let here = std::env::current_dir().ok();
            let relative = here.and_then(|here| program.strip_prefix(here).ok());
            relative.unwrap_or(&program).display().to_string()
        }
        None => "cargo run --release -p sdk-relay-client --example listen".to_owned(),
    }
}

fn reachable(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        format!("localhost:{}", addr.port())
    } else {
        addr.to_string()
    }
}
