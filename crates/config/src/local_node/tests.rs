use super::*;

/// Data directories in a temporary one, each with its own `bitcoin.conf`.
struct Machine(tempfile::TempDir);

impl Machine {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, path: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn search(&self, network: Network) -> LocalNode {
        self.search_at(network, None)
    }

    fn search_at(&self, network: Network, configured: Option<&str>) -> LocalNode {
        let directory = |name: &str| {
            let path = self.0.path().join(name);
            (path.clone(), vec![path.join("bitcoin.conf")])
        };
        let places = Places {
            directories: ["first", "second"].map(directory).to_vec(),
            mounts: String::new(),
        };
        search(&places, network, configured)
    }
}

#[test]
fn the_first_readable_cookie_decides() {
    let machine = Machine::new();
    let nothing = machine.search(Network::Signet);
    assert_eq!(
        (nothing.url.as_str(), nothing.has_cookie),
        ("http://127.0.0.1:38332", false)
    );
    let expected = ["first", "second"].map(|name| machine.0.path().join(name).join("signet/.cookie"));
    assert_eq!(nothing.cookie_files, expected);
    assert!(nothing.findings.is_empty(), "{:?}", nothing.findings);

    let cookie = machine.write("second/signet/.cookie", "x");
    let conf = machine.write("second/bitcoin.conf", "rpcport=1\n[signet]\nrpcport=4000\n");
    let found = machine.search(Network::Signet);
    assert_eq!((found.url.as_str(), found.has_cookie), ("http://127.0.0.1:4000", true));
    assert_eq!(
        found.cookie_files,
        std::slice::from_ref(&cookie),
        "the other directory has another port"
    );
    let expected = format!(
        "found the cookie file {} of a node on signet; its RPC port is 4000, which {} configures",
        cookie.display(),
        conf.display()
    );
    assert_eq!(found.findings, [expected]);
}

#[test]
fn bitcoin_conf_moves_data_and_cookie() {
    let machine = Machine::new();
    let elsewhere = machine.0.path().join("elsewhere");
    machine.write("first/bitcoin.conf", &format!("datadir={}\n", elsewhere.display()));
    let cookie = machine.write("elsewhere/.cookie", "x");
    assert_eq!(machine.search(Network::Mainnet).cookie_files[0], cookie);
    machine.write(
        "first/bitcoin.conf",
        &format!("datadir={}\nrpccookiefile=/run/bitcoin/cookie\n", elsewhere.display()),
    );
    assert_eq!(
        machine.search(Network::Mainnet).cookie_files[0],
        PathBuf::from("/run/bitcoin/cookie")
    );
}

#[test]
fn what_prevents_the_connection_is_said() {
    let machine = Machine::new();
    let conf = machine.write("first/bitcoin.conf", "rpcuser=me\nrpcpassword=5ec2e7\n");
    let cookie = machine.write("second/regtest/.cookie", "x");
    let [password, other] = machine.search(Network::Mainnet).findings.try_into().unwrap();
    assert!(
        password.starts_with(&format!("{} sets rpcpassword", conf.display())) && !password.contains("5ec2e7"),
        "{password}"
    );
    let expected = format!(
        "there is a node on regtest ({}), and the relay is configured for mainnet: to follow it, start with --network regtest",
        cookie.display()
    );
    assert_eq!(other, expected);
}

#[test]
fn a_cookie_that_may_not_be_read_is_named_with_the_remedy() {
    let error = io::Error::from(ErrorKind::PermissionDenied);
    assert_eq!(
        advice_on_denied(Path::new("/var/lib/bitcoind/.cookie"), &error),
        "the cookie file /var/lib/bitcoind/.cookie cannot be read (permission denied): let the node write it for its group \
         (rpccookieperms=group in bitcoin.conf) and add the user of the relay to that group \
         (sdk_relay-grant-node does both for the service of the packages), or set bitcoin_core.user and bitcoin_core.password"
    );
}

#[test]
fn with_a_configured_address_each_cookie_is_possible() {
    let machine = Machine::new();
    machine.write("second/bitcoin.conf", "[signet]\nrpcport=4000\n");
    let second = machine.write("second/signet/.cookie", "x");
    let found = machine.search_at(Network::Signet, Some("http://127.0.0.1:5000"));
    assert_eq!(found.url, "http://127.0.0.1:5000");
    assert_eq!(
        found.cookie_files,
        [second, machine.0.path().join("first/signet/.cookie")]
    );
}
