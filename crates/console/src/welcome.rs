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
    let listen = match listener() {
        Some(program) => format!("{program} ws{s}://{ws}{pem}"),
        None => format!("curl {cacert}-N http{s}://{http}/events"),
    };
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
         \x20 {listen}\n\
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

/// The example client, if `scripts/run` has built it beside this program. An installed program has none.
fn listener() -> Option<String> {
    let exe = std::env::current_exe().ok()?;
    let program = exe.parent()?.join("examples").join("listen");
    if !program.is_file() {
        return None;
    }
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| program.strip_prefix(here).ok());
    Some(relative.unwrap_or(&program).display().to_string())
}

fn reachable(addr: SocketAddr) -> String {
    if addr.ip().is_unspecified() {
        format!("localhost:{}", addr.port())
    } else {
        addr.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_program_prints_commands_that_need_no_checkout() {
        let (ws, http) = ("0.0.0.0:8090".parse().unwrap(), "0.0.0.0:8091".parse().unwrap());
        let text = welcome(Some("sprt1q"), ws, http, None);
        assert!(text.contains("\n  curl -N http://localhost:8091/events\n"), "{text}");
        assert!(!text.contains("cargo"), "{text}");
        let text = welcome(None, ws, http, Some(Path::new("/d/tls.crt")));
        assert!(
            text.contains("\n  curl --cacert /d/tls.crt -N https://localhost:8091/events\n"),
            "{text}"
        );
    }
}
