//! `[electrum]`: the Electrum protocol.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::ports::share_a_port;
use crate::config::{ElectrumBackend, ElectrumConfig, TlsFiles};
use crate::error::ConfigError;
use crate::setting::Key;
use crate::settings as key;
use crate::values::Values;

impl ElectrumConfig {
    pub(super) fn check(values: &Values) -> Result<Self, ConfigError> {
        let listen = values.get(&key::ELECTRUM_LISTEN)?;
        let tls_listen = values.get(&key::ELECTRUM_TLS_LISTEN)?;
        let open = values.get(&key::ELECTRUM_OPEN)?;
        // The errors of the certificate itself are those of its own rule.
        if tls_listen.is_some() && matches!(TlsFiles::check(values), Ok(None)) {
            let why = "expected nothing, or a certificate for this port: set tls.cert and tls.key, or tls.self_signed for a trial";
            return Err(values.wrong(&key::ELECTRUM_TLS_LISTEN, why));
        }
        for (setting, address) in [(&key::ELECTRUM_LISTEN, listen), (&key::ELECTRUM_TLS_LISTEN, tls_listen)] {
            let Some(address) = address else { continue };
            if values.get(&key::READ_TOKEN)?.is_some() && !open {
                let why = format!(
                    "expected nothing, because auth.read_token is set ({}) and the Electrum protocol has no tokens: whoever reaches \
                     this port could read without one; set electrum.open = true if that is intended",
                    values.origin("auth.read_token")
                );
                return Err(values.wrong(setting, why));
            }
            own_port(values, setting, address)?;
        }
        if let (Some(plain), Some(tls)) = (listen, tls_listen)
            && share_a_port(plain, tls)
        {
            return Err(another_port(values, &key::ELECTRUM_TLS_LISTEN, "electrum.listen"));
        }
        if let Some(backend) = values.get(&key::ELECTRUM_BACKEND)?
            && [listen, tls_listen]
                .into_iter()
                .flatten()
                .any(|own| is_at(&backend, own))
        {
            let why =
                "expected another server: this is an Electrum port of this relay, which would ask itself without end";
            return Err(values.wrong(&key::ELECTRUM_BACKEND, why));
        }
        Ok(Self {
            listen,
            tls_listen,
            allow_plaintext: values.get(&key::ELECTRUM_ALLOW_PLAINTEXT)?,
            open,
            backend: values.get(&key::ELECTRUM_BACKEND)?,
            positional_notifications: values.get(&key::ELECTRUM_POSITIONAL)?,
            subscriptions_per_connection: values.get(&key::ELECTRUM_SUBSCRIPTIONS)?,
            labels_per_subscription: values.get(&key::ELECTRUM_LABELS)?,
        })
    }
}

/// Whether the address of a server is a port of this relay, as far as it can be seen without DNS.
fn is_at(backend: &ElectrumBackend, own: SocketAddr) -> bool {
    let host = match backend.host.as_str() {
        "localhost" => Ok(IpAddr::from(Ipv4Addr::LOCALHOST)),
        host => host.parse::<IpAddr>(),
    };
    let port = backend
        .target
        .rsplit_once(':')
        .and_then(|(_, port)| port.parse::<u16>().ok());
    let (Ok(host), Some(port)) = (host, port) else {
        return false;
    };
    // A port on all addresses is on those of other machines too.
    own.port() == port
        && (host == own.ip() || (own.ip().is_unspecified() && (host.is_loopback() || host.is_unspecified())))
}

fn own_port(values: &Values, setting: &Key<Option<SocketAddr>>, address: SocketAddr) -> Result<(), ConfigError> {
    for (other, taken) in [
        ("ws_url", values.get(&key::WS_URL)?),
        ("http_url", values.get(&key::HTTP_URL)?),
    ] {
        if share_a_port(address, taken) {
            return Err(another_port(values, setting, other));
        }
    }
    Ok(())
}

fn another_port(values: &Values, setting: &Key<Option<SocketAddr>>, other: &str) -> ConfigError {
    let why = format!("expected another port than that of {other} ({})", values.origin(other));
    values.wrong(setting, why)
}

#[cfg(test)]
mod tests {
    use crate::layers::tests::{from, message};

    const TOKEN: &str = "auth.read_token = \"0123456789abcdef\"\n";
    const LISTEN: &str = "electrum.listen = \"127.0.0.1:50001\"\n";

    #[test]
    fn a_relay_with_a_read_token_opens_no_electrum_port_by_accident() {
        let refused = message(&format!("{TOKEN}{LISTEN}"), &[]);
        assert!(
            refused.contains("electrum.listen = \"127.0.0.1:50001\"") && refused.contains("electrum.open = true"),
            "{refused}"
        );
        let open = from(&format!("{TOKEN}{LISTEN}electrum.open = true\n"), &[]).unwrap();
        assert_eq!(open.electrum.addresses().count(), 1);
        // The same for the port with TLS, which a client certificate does not protect either.
        let tls = "tls.self_signed = true\nelectrum.tls_listen = \"127.0.0.1:50002\"\n";
        assert!(message(&format!("{TOKEN}{tls}"), &[]).contains("electrum.tls_listen"));
        assert!(from(TOKEN, &[]).is_ok());
    }

    #[test]
    fn a_port_with_tls_needs_a_certificate() {
        let refused = message("electrum.tls_listen = \"127.0.0.1:50002\"\n", &[]);
        assert!(refused.contains("set tls.cert and tls.key"), "{refused}");
    }

    #[test]
    fn the_relay_is_not_its_own_backend() {
        for (listen, backend) in [
            ("127.0.0.1:50001", "tcp://127.0.0.1:50001"),
            ("127.0.0.1:50001", "tcp://localhost:50001"),
            ("0.0.0.0:50001", "tcp://127.0.0.1:50001"),
            ("[::]:50001", "ssl://[::1]:50001"),
        ] {
            let refused = message(
                &format!("electrum.listen = \"{listen}\"\nelectrum.backend = \"{backend}\"\n"),
                &[],
            );
            assert!(
                refused.contains("electrum.backend") && refused.contains("would ask itself"),
                "{refused}"
            );
        }
        for (listen, backend) in [
            ("127.0.0.1:50001", "tcp://127.0.0.1:50011"),
            ("0.0.0.0:50001", "tcp://192.0.2.7:50001"),
        ] {
            let other = format!("electrum.listen = \"{listen}\"\nelectrum.backend = \"{backend}\"\n");
            assert!(from(&other, &[]).is_ok(), "{other}");
        }
    }

    #[test]
    fn each_port_is_a_port_of_its_own() {
        for (text, other) in [
            ("electrum.listen = \"0.0.0.0:8090\"\n", "ws_url"),
            ("electrum.listen = \"127.0.0.1:8091\"\n", "http_url"),
            (
                "tls.self_signed = true\nelectrum.listen = \"127.0.0.1:1\"\nelectrum.tls_listen = \"[::]:1\"\n",
                "electrum.listen",
            ),
        ] {
            let refused = message(text, &[]);
            assert!(
                refused.contains(&format!("another port than that of {other}")),
                "{refused}"
            );
        }
    }
}
