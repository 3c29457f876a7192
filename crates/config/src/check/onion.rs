//! Addresses of onion services: they need a proxy, and are checked for typing errors.

use sdk_relay_platform::net::{is_onion, is_onion_v3};

use crate::error::ConfigError;
use crate::setting::Key;
use crate::settings as key;
use crate::values::Values;

/// The errors of all addresses of onion services.
pub(super) fn wrong(values: &Values) -> Vec<ConfigError> {
    let text = |value: crate::value::Value| vec![value.as_text().to_owned()];
    let own = text(values.unchecked(&key::ADVERTISE));
    let mut wrong: Vec<_> = own
        .iter()
        .filter_map(|url| Some(values.wrong(&key::ADVERTISE, misspelt(host(url))?)))
        .collect();
    // It has no node, no Oracle and no mesh.
    if values.unchecked(&key::STANDALONE).as_bool() {
        return wrong;
    }
    let node = text(values.unchecked(&key::BITCOIN_CORE_URL));
    wrong.extend(check(values, &key::BITCOIN_CORE_URL, &node, &key::NODE_PROXY));
    let zmq = text(values.unchecked(&key::ZMQ_URL));
    wrong.extend(check(values, &key::ZMQ_URL, &zmq, &key::NODE_PROXY));
    let oracle = text(values.unchecked(&key::ORACLE_URL));
    wrong.extend(check(values, &key::ORACLE_URL, &oracle, &key::ORACLE_PROXY));
    let peers = values.unchecked(&key::PEERS);
    wrong.extend(check(values, &key::PEERS, peers.as_list(), &key::MESH_PROXY));
    wrong
}

/// The first error of the addresses of a setting.
fn check<T, P>(values: &Values, setting: &Key<T>, urls: &[String], proxy: &Key<P>) -> Option<ConfigError> {
    let has_proxy = !values.unchecked(proxy).as_text().is_empty();
    urls.iter().map(|url| host(url)).find_map(|host| {
        let why = match misspelt(host) {
            None if is_onion(host) && !has_proxy => format!(
                "{host} is reached through Tor only: set {} to its SOCKS proxy, for example \"socks5://127.0.0.1:9050\"",
                proxy.setting.key
            ),
            misspelt => misspelt?,
        };
        Some(values.wrong(setting, why))
    })
}

fn misspelt(host: &str) -> Option<String> {
    (is_onion(host) && !is_onion_v3(host)).then(|| {
        format!("{host} is no address of an onion service: expected 56 letters and digits from 2 to 7 before .onion, the last of them d")
    })
}

/// The host of a URL or of `HOST:PORT`.
fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '#', '?']).next().unwrap_or(rest);
    authority.rsplit_once(':').map_or(authority, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use crate::layers::tests::{from, message};

    const ONION: &str = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";

    #[test]
    fn an_onion_service_without_a_proxy_is_refused_with_the_missing_setting() {
        for (line, proxy) in [
            (
                format!("bitcoin_core.url = \"http://{ONION}:8332\""),
                "bitcoin_core.proxy",
            ),
            (
                format!("bitcoin_core.zmq_url = \"tcp://{ONION}:29000\""),
                "bitcoin_core.proxy",
            ),
            (format!("blindbit.url = \"https://{ONION}/blindbit\""), "blindbit.proxy"),
            (
                format!("mesh.peers = [\"ws://a:1\", \"ws://{ONION}:8090\"]"),
                "mesh.proxy",
            ),
        ] {
            let error = message(&line, &[]);
            assert!(
                error.contains(&format!(
                    "{ONION} is reached through Tor only: set {proxy} to its SOCKS proxy"
                )),
                "{line}: {error}"
            );
            from(&format!("{line}\n{proxy} = \"socks5://127.0.0.1:9050\""), &[]).unwrap();
            // A proxy of another destination is not used.
            let other = if proxy == "mesh.proxy" {
                "blindbit.proxy"
            } else {
                "mesh.proxy"
            };
            assert!(from(&format!("{line}\n{other} = \"socks5://127.0.0.1:9050\""), &[]).is_err());
        }
        from(&format!("mesh.advertise = \"ws://{ONION}:8090\""), &[]).unwrap();
    }

    #[test]
    fn a_misspelt_onion_service_is_refused() {
        for line in [
            "bitcoin_core.url = \"http://expyuzz4wqqyqhjn.onion:8332\"\nbitcoin_core.proxy = \"socks5://tor:9050\""
                .to_owned(),
            format!(
                "mesh.peers = [\"ws://{}:8090\"]\nmesh.proxy = \"socks5://tor:9050\"",
                &ONION[1..]
            ),
            format!("mesh.advertise = \"ws://{}:8090\"", &ONION[1..]),
        ] {
            let error = message(&line, &[]);
            assert!(
                error.contains("expected 56 letters and digits from 2 to 7 before .onion"),
                "{line}: {error}"
            );
        }
    }

    #[test]
    fn a_proxy_that_is_none_is_refused_without_its_password() {
        let error = message("mesh.proxy = \"http://127.0.0.1:8080\"", &[]);
        assert!(
            error.contains("mesh.proxy = \"http://127.0.0.1:8080\": expected socks5://HOST:PORT"),
            "{error}"
        );
        let error = message("mesh.proxy = \"socks5://me:hunter2@h\"", &[]);
        assert!(
            error.contains("expected socks5://HOST:PORT") && !error.contains("hunter2"),
            "{error}"
        );
        let secret = from("mesh.proxy = \"socks5://me:hunter2@h:1\"", &[]).unwrap();
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
