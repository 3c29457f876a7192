//! Certificates as people make them, and the commands that connect to the relay of this machine.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use testkit::{Payee, RelayOptions, RelayProcess, eventually};
use tokio::process::Command;

const EXE: &str = env!("CARGO_BIN_EXE_sdk_relay");

/// A directory with a configuration, a certificate and its key.
struct Home {
    dir: tempfile::TempDir,
    cert: PathBuf,
}

impl Home {
    fn new(params: &CertificateParams) -> Home {
        let dir = tempfile::tempdir().unwrap();
        let [cert, key] = ["relay.crt", "relay.key"].map(|name| dir.path().join(name));
        let pair = KeyPair::generate().unwrap();
        std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
        std::fs::write(&key, pair.serialize_pem()).unwrap();
        private(&key);
        Home { dir, cert }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    async fn relay(&self) -> RelayProcess {
        let options = RelayOptions::new(EXE).arg("--standalone").data_dir(self.path());
        let options = options.set("TLS__CERT", &self.cert).fixed_ports();
        RelayProcess::start(options.set("TLS__KEY", self.path().join("relay.key"))).await
    }

    /// Runs a command with the configuration of the relay.
    async fn run(&self, relay: &RelayProcess, arguments: &[&str]) -> Ran {
        let config = format!(
            "standalone = true\nws_url = {:?}\nhttp_url = {:?}\ntls.cert = {:?}\ntls.key = {:?}\n",
            address(&relay.ws_url()),
            address(&relay.http_url()),
            self.cert.display().to_string(),
            self.path().join("relay.key").display().to_string(),
        );
        let file = self.path().join("sdk_relay.toml");
        std::fs::write(&file, config).unwrap();
        private(&file);
        run(self.path(), arguments).await
    }
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

async fn run(home: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(EXE);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(arguments).env("SDK_RELAY_DATA_DIR", home);
    let output = command.current_dir(home).kill_on_drop(true).output().await.unwrap();
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn private(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
}

fn address(url: &str) -> &str {
    url.split_once("://").unwrap().1
}

fn with_scheme(scheme: &str, url: &str) -> String {
    format!("{scheme}://{}", address(url))
}

/// As `openssl req -x509` makes it, without further options: that of an authority.
fn of_openssl(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// The keys of a wallet, as a file.
fn keys(home: &Path) -> String {
    let payee = Payee::new(&[]);
    let path = home.join("keys");
    std::fs::write(&path, format!("{} {}", payee.scan_hex(), payee.spend_public_key())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The addresses of this machine are not in the certificate.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_trust_the_certificate_of_the_configuration_under_any_name() {
    for params in [of_openssl(&["relay.example"]), of_openssl(&[])] {
        let home = Home::new(&params);
        let relay = home.relay().await;
        let status = home.run(&relay, &["status"]).await;
        assert_eq!(status.code, Some(0), "{}", status.stderr);
        let keys = keys(home.path());
        let scan = home.run(&relay, &["scan", "--from", "0", "--keys", &keys]).await;
        assert_eq!(scan.code, Some(0), "{}", scan.stderr);

        // Another one, which the relay has not loaded yet.
        let other = Home::new(&params);
        std::fs::copy(&other.cert, &home.cert).unwrap();
        for arguments in [&["status"][..], &["scan", "--from", "0", "--keys", &keys]] {
            let refused = home.run(&relay, arguments).await;
            let words = "failed: its certificate is another one than the first of the file (";
            assert_eq!(refused.code, Some(1));
            assert!(
                refused.stderr.contains(words) && refused.stderr.contains("send SIGHUP to the relay"),
                "{}",
                refused.stderr
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_openssl_is_trusted_with_ca_and_its_faults_are_said_in_words() {
    let home = Home::new(&of_openssl(&["127.0.0.1"]));
    let relay = home.relay().await;
    let (https, wss) = (
        with_scheme("https", &relay.http_url()),
        with_scheme("wss", &relay.ws_url()),
    );
    let keys = keys(home.path());
    let cert = home.cert.to_str().unwrap();
    let trusted = run(home.path(), &["status", "--url", &https, "--ca", cert]).await;
    assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);
    let scan = ["scan", "--from", "0", "--keys", &keys, "--relay"];
    let trusted = run(home.path(), &[&scan[..], &[&wss, "--ca", cert]].concat()).await;
    assert_eq!(trusted.code, Some(0), "{}", trusted.stderr);

    let other = Home::new(&CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap());
    let other = other.cert.to_str().unwrap();
    let localhost = https.replace("127.0.0.1", "localhost");
    for (arguments, words) in [
        (
            [&["status", "--url", &https, "--ca", other][..]].concat(),
            "its certificate is that of an authority (CA:TRUE), which cannot be a server's: make one with -addext basicConstraints=critical,CA:FALSE",
        ),
        (
            [&scan[..], &[&wss, "--ca", other]].concat(),
            "its certificate is that of an authority (CA:TRUE)",
        ),
        (
            vec!["status", "--url", &localhost, "--ca", cert],
            "its certificate is not valid for the name localhost, only for 127.0.0.1",
        ),
    ] {
        let refused = run(home.path(), &arguments).await;
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        assert!(refused.stderr.contains(words), "{}", refused.stderr);
        assert!(!refused.stderr.contains(['{', '"']), "{}", refused.stderr);
    }
    // The wrong scheme.
    let (http, ws) = (relay.http_url(), relay.ws_url());
    let plain = RelayProcess::start(RelayOptions::new(EXE).arg("--standalone")).await;
    let (plain_https, plain_wss) = (
        with_scheme("https", &plain.http_url()),
        with_scheme("wss", &plain.ws_url()),
    );
    for (arguments, words) in [
        (
            vec!["status", "--url", &http],
            "speaks TLS: use https:// in place of http://",
        ),
        (
            vec!["status", "--url", &plain_https, "--ca", cert],
            "does not speak TLS: use http:// in place of https://",
        ),
        ([&scan[..], &[&ws]].concat(), "speaks TLS: use wss:// in place of ws://"),
        (
            [&scan[..], &[&plain_wss, "--ca", cert]].concat(),
            "does not speak TLS: use ws:// in place of wss://",
        ),
        (
            [&scan[..], &[&with_scheme("ws", &plain.http_url())]].concat(),
            "the HTTP port, the WebSocket API is at ws://127.0.0.1:8090 or ws://127.0.0.1:",
        ),
    ] {
        let refused = run(home.path(), &arguments).await;
        assert_eq!(refused.code, Some(1), "{arguments:?}");
        let line = refused.stderr.strip_prefix("sdk_relay: ").expect("an error");
        assert!(line.contains(words) && line.lines().count() == 1, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_is_reported_everywhere() {
    let mut params = of_openssl(&["127.0.0.1"]);
    params.not_after = date_time_ymd(2020, 2, 29);
    let home = Home::new(&params);
    let relay = home.relay().await;
    let words = "relay.crt expired on 2020-02-29 00:00 UTC, and clients refuse it: renew it";
    let log = relay.stderr();
    let line = log
        .lines()
        .find(|line| line.contains("expired on"))
        .expect("a line of the log");
    assert!(line.contains("WARN") && line.contains("2020-02-29"), "{line}");

    let status = home.run(&relay, &["status"]).await;
    assert_eq!(status.code, Some(1));
    assert!(
        status
            .stderr
            .contains("its certificate expired on 2020-02-29 00:00 UTC: renew it"),
        "{}",
        status.stderr
    );
    let checked = home.run(&relay, &["check-config"]).await;
    assert_eq!(checked.code, Some(1), "{}", checked.stdout);
    let line = checked.stdout.lines().find(|line| line.contains("Certificate: "));
    let line = line.expect("a line about the certificate");
    assert!(line.starts_with("✗ ") && line.contains(words), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_valid_certificate_is_no_problem() {
    let home = Home::new(&of_openssl(&["127.0.0.1"]));
    let relay = home.relay().await;
    let status = home.run(&relay, &["status"]).await;
    assert!(status.stdout.contains("Problems    none"), "{}", status.stdout);
    let checked = home.run(&relay, &["check-config"]).await;
    let line = checked.stdout.lines().find(|line| line.contains("Certificate: "));
    assert!(line.is_some_and(|line| line.starts_with("✓ ")), "{}", checked.stdout);
}

/// The last third of its time: `/health` is degraded.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_a_problem_of_the_health() {
    let mut params = of_openssl(&["127.0.0.1"]);
    let now = std::time::SystemTime::now();
    params.not_before = (now - Duration::from_secs(9 * 24 * 3600)).into();
    params.not_after = (now + Duration::from_secs(3 * 24 * 3600)).into();
    let home = Home::new(&params);
    let relay = home.relay().await;
    let status = home.run(&relay, &["status"]).await;
    assert_eq!(status.code, Some(0), "{}", status.stderr);
    assert!(
        status.stdout.contains("degraded") && status.stdout.contains("relay.crt expires on "),
        "{}",
        status.stdout
    );
    let checked = home.run(&relay, &["check-config"]).await;
    let line = checked.stdout.lines().find(|line| line.contains("Certificate: "));
    assert!(line.is_some_and(|line| line.starts_with("! ")), "{}", checked.stdout);
}

/// A store belongs to one network, and a start on another one refuses it.
#[tokio::test(flavor = "multi_thread")]
async fn check_config_reports_a_store_of_another_network() {
    let home = tempfile::tempdir().unwrap();
    let options = || RelayOptions::new(EXE).arg("--standalone").data_dir(home.path());
    let mut relay = RelayProcess::start(options()).await;
    // Its index has blocks: without one it belongs to no network yet.
    eventually(Duration::from_secs(60), "a block in the index", async || {
        let built = relay.stderr().contains("the tweak index has reached the tip");
        built.then_some(())
    })
    .await;
    let signet = ["check-config", "--offline", "--network", "signet"];
    // The relay that runs has it.
    let in_use = run(home.path(), &signet).await;
    assert!(
        in_use.stdout.contains("! Data directory: a relay uses") && !in_use.stdout.contains("Event log"),
        "{}",
        in_use.stdout
    );
    assert!(relay.terminate().await.success());
    let store = home.path().join("relay.redb");
    let before = std::fs::read(&store).unwrap();
    let refused = run(home.path(), &signet).await;
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    for line in [
        "✗ Event log: the store ",
        "relay.redb was made for regtest, and the relay is configured for signet: use another data_dir for signet",
        "✗ Tweak index: the tweak index in ",
    ] {
        assert!(
            refused.stdout.contains(line),
            "{line:?} is missing in {}",
            refused.stdout
        );
    }
    assert!(std::fs::read(&store).unwrap() == before, "the store has changed");
    let fits = run(home.path(), &["check-config", "--standalone"]).await;
    assert!(
        fits.stdout.contains("✓ Event log: ") && fits.stdout.contains("✓ Tweak index: "),
        "{}",
        fits.stdout
    );
    // It can still be opened.
    drop(RelayProcess::start(options()).await);
}
