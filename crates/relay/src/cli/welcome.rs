//! What a newcomer reads after `sdk_relay --standalone`.

use std::net::SocketAddr;
use std::path::Path;

/// Addresses, and a payment to try. `0.0.0.0` is no address to connect to, so it is shown as `localhost`. With a certificate both ports
/// speak TLS, and the commands trust it.
pub(super) fn text(address: &str, ws: SocketAddr, http: SocketAddr, certificate: Option<&Path>) -> String {
    let (ws, http) = (reachable(ws), reachable(http));
    let s = if certificate.is_some() { "s" } else { "" };
    let (pem, cacert) = certificate.map_or_else(Default::default, |file| {
        (format!(" {}", file.display()), format!("--cacert {} ", file.display()))
    });
    let listen = listener();
    format!(
        "\n\
         sdk_relay runs on its embedded development chain.\n\
         \n\
         \x20 WebSocket API   ws{s}://{ws}\n\
         \x20 HTTP API        http{s}://{http}\n\
         \x20 its own silent-payment address:\n\
         \x20 {address}\n\
         \n\
         Try a payment. In a second terminal, listen to the relay's notifications:\n\
         \n\
         \x20 {listen} ws{s}://{ws}{pem}\n\
         \n\
         and in a third one pay it, then mine a block:\n\
         \n\
         \x20 curl {cacert}-X POST http{s}://{http}/dev/pay -H 'Content-Type: application/json' \\\n\
         \x20   -d '{{\"address\":\"{address}\",\"amount\":\"0.001\"}}'\n\
         \x20 curl {cacert}-X POST http{s}://{http}/dev/mine\n\
         \n\
         Ctrl-C ends the relay.\n"
    )
}

/// What listens: the program that `scripts/run` has built along, or the command that builds it.
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
