//! Commands that fail: one message that names what was tried with which file, says nothing twice, and what to do.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn sdk_relay(home: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(args).env("HOME", home).current_dir(home);
    command
        .env("SDK_RELAY_WS_URL", "127.0.0.1:0")
        .env("SDK_RELAY_HTTP_URL", "127.0.0.1:0");
    command.output().unwrap()
}

/// The parts of a message, between the marks that join a cause or a list.
fn clauses(message: &str) -> Vec<&str> {
    let parts = message.split([':', ';', '\n']).map(str::trim);
    // Shorter ones are words such as "http".
    parts.filter(|part| part.chars().count() >= 12).collect()
}

fn says_nothing_twice(message: &str) {
    let clauses = clauses(message);
    for (at, clause) in clauses.iter().enumerate() {
        assert!(!clauses[..at].contains(clause), "{clause:?} is there twice: {message}");
    }
    for part in ["os error", "cannot read"] {
        assert!(message.matches(part).count() <= 1, "{part:?} is there twice: {message}");
    }
}

const SECRET: &str = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
const PUBLIC: &str = "02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5";
const PEM_KEY: &str = "-----BEGIN PRIVATE KEY-----\nU0VDUkVUU0VDUkVU\n-----END PRIVATE KEY-----\n";
const PEM_CERT: &str = "-----BEGIN CERTIFICATE-----\nU0VDUkVUU0VDUkVU\n-----END CERTIFICATE-----\n";

/// Files of the home directory, all of mode 0600. A name with a slash at its end is a directory.
const FILES: &[(&str, &str)] = &[
    ("directory/", ""),
    ("empty", ""),
    ("text", "some words in a file"),
    ("secret", SECRET),
    ("public", PUBLIC),
    ("key.pem", PEM_KEY),
    ("cert.pem", PEM_CERT),
    ("wallet/", ""),
    (
        "public-wallet",
        "scan_private_key = \"02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5\"\n",
    ),
    ("tls-swapped.toml", "[tls]\ncert = \"key.pem\"\nkey = \"cert.pem\"\n"),
    (
        "tls-missing.toml",
        "[tls]\ncert = \"nowhere.crt\"\nkey = \"nowhere.key\"\n",
    ),
    ("trust.toml", "[mesh]\ntrust = \"key.pem\"\n"),
    ("trust-missing.toml", "[mesh]\ntrust = \"nowhere.pem\"\n"),
    ("identity.toml", "[mesh]\nidentity = \"public\"\n"),
    ("identity-directory.toml", "[mesh]\nidentity = \"directory\"\n"),
    ("cookie.toml", "[bitcoin_core]\ncookie_file = \"nowhere.cookie\"\n"),
    ("cookie-directory.toml", "[bitcoin_core]\ncookie_file = \"directory\"\n"),
    (
        "regtest-wallet",
        "# network: regtest\n\
         scan_private_key = \"5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2\"\n\
         spend_private_key = \"5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2\"\n",
    ),
    ("off.toml", "[wallet]\nmode = \"off\"\n"),
    (
        "watch-only.toml",
        "[wallet]\nscan_private_key = \"5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2\"\n\
         spend_public_key = \"02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5\"\n",
    ),
    ("number.toml", "\n[retention]\nevents = -1\n"),
    ("utf16.toml", "\u{0}"),
];

/// Arguments, and what the message says.
const CASES: &[(&[&str], &[&str])] = &[
    (
        &["check-config", "--config", "nowhere.toml"],
        &["cannot read nowhere.toml: No such file", "--config"],
    ),
    (
        &["--config", "directory"],
        &["cannot read directory: it is a directory, not a regular file"],
    ),
    (
        &["check-config", "--config", "utf16.toml"],
        &["cannot read utf16.toml: it is UTF-16: save it as UTF-8"],
    ),
    (
        &["check-config", "--config", "number.toml"],
        &[
            "number.toml:3: retention.events = -1: expected a whole number, 1 or more (events)",
            "not a negative number",
        ],
    ),
    (
        &["check-config", "--data-dir", "text"],
        &[
            "--data-dir: data_dir = ",
            "cannot create the directory text: it is a regular file, not a directory",
        ],
    ),
    (
        &["check-config", "--config", "tls-swapped.toml"],
        &["tls.cert = \"key.pem\": it contains no certificate: it contains a private key; expected "],
    ),
    (
        &["check-config", "--config", "tls-missing.toml"],
        &[
            "cannot read tls.cert = \"nowhere.crt\": No such file",
            "expected a PEM file that this user may read",
        ],
    ),
    (
        &["check-config", "--config", "trust.toml"],
        &["mesh.trust = \"key.pem\": it contains a private key and no certificate; expected a PEM file"],
    ),
    (
        &["check-config", "--config", "trust-missing.toml"],
        &["mesh.trust = \"nowhere.pem\": cannot be read: No such file"],
    ),
    (
        &["check-config", "--config", "identity.toml"],
        &["the mesh key public is damaged: it contains a public key; expected the 64 hex digits of a private key"],
    ),
    (
        &["check-config", "--config", "identity-directory.toml"],
        &["the mesh key: cannot read directory: it is a directory, not a regular file"],
    ),
    (
        &["check-config", "--offline", "--config", "cookie.toml"],
        &[
            "cookie.toml:2: bitcoin_core.cookie_file = \"nowhere.cookie\": cannot be read: No such file",
            "the node writes .cookie",
        ],
    ),
    (
        &["check-config", "--offline", "--config", "cookie-directory.toml"],
        &[
            "bitcoin_core.cookie_file = \"directory\": cannot be read: it is a directory",
            "expected the file .cookie",
        ],
    ),
    (
        &["init", "--config", "text"],
        &["text exists: edit it, or remove it first"],
    ),
    (
        &["init", "--config", "text/x.toml"],
        &["cannot create the directory text: it is a regular file"],
    ),
    (
        &["wallet", "address", "--data-dir", "directory"],
        &["there is no wallet: directory/wallet.key does not exist; start the relay with wallet.mode = \"hot\""],
    ),
    (
        &["wallet", "address", "--config", "off.toml", "--data-dir", "directory"],
        &["there is no wallet: wallet.mode is off; set wallet.mode = \"hot\""],
    ),
    (
        &["wallet", "export", "exported", "--config", "watch-only.toml"],
        &["the wallet of this relay is watch-only and cannot spend: its keys are wallet.scan_private_key"],
    ),
    (
        &["wallet", "export", "exported", "--data-dir", "directory"],
        &["there is no wallet: directory/wallet.key does not exist"],
    ),
    (
        &["wallet", "import", "nowhere", "--data-dir", "wallet"],
        &["sdk_relay: cannot read nowhere: No such file"],
    ),
    (
        &["wallet", "import", "empty", "--data-dir", "wallet"],
        &["empty is not an exported wallet: it is empty; expected a file of sdk_relay wallet export"],
    ),
    (
        &["wallet", "import", "key.pem", "--data-dir", "wallet"],
        &["key.pem is not an exported wallet: it is a PEM file"],
    ),
    (
        &[
            "wallet",
            "import",
            "regtest-wallet",
            "--network",
            "signet",
            "--data-dir",
            "wallet",
        ],
        &[
            "regtest-wallet has the wallet of a relay on regtest, and this relay is configured for signet: import it with --network regtest",
        ],
    ),
    (
        &["wallet", "import", "public-wallet", "--data-dir", "wallet"],
        &[
            "public-wallet is not an exported wallet: its scan_private_key is a public key where a private key is needed",
        ],
    ),
    (
        &["scan", "--from", "0", "--keys", "nowhere"],
        &["cannot read the key file nowhere: No such file"],
    ),
    (
        &["scan", "--from", "0", "--keys", "public"],
        &["the key file public is wrong: it has one word; expected a descriptor sp(spscan1…), or two keys"],
    ),
    (
        &["scan", "--from", "2999-01-01", "--keys", "public"],
        &["--from is a time in the future: expected the height or the date"],
    ),
    (
        &["scan", "--from", "0", "--keys", "good", "--relay", "localhost"],
        &["\"localhost\" is not a relay URL: the scheme is missing; expected ws://HOST:PORT"],
    ),
    (
        &[
            "scan",
            "--from",
            "0",
            "--keys",
            "good",
            "--relay",
            "https://127.0.0.1:8091",
        ],
        &["is not a relay URL: it is one of the HTTP API, which has another port; expected ws://HOST:PORT"],
    ),
    (
        &[
            "scan",
            "--from",
            "0",
            "--keys",
            "good",
            "--relay",
            "localhost:1",
            "--ca",
            "cert.pem",
        ],
        &["\"localhost:1\" is not a relay URL: the scheme is missing"],
    ),
    (
        &["scan", "--from", "0", "--keys", "good", "--relay", "ws://127.0.0.1:1"],
        &[
            "cannot connect to a relay at ws://127.0.0.1:1: start one",
            "Connection refused",
        ],
    ),
    (
        &[
            "scan",
            "--from",
            "2024-01-01",
            "--keys",
            "good",
            "--relay",
            "ws://127.0.0.1:1/ws",
        ],
        &[
            "cannot connect to a relay at ws://127.0.0.1:1/ws",
            "choose another with --relay",
        ],
    ),
    (
        &["scan", "--keys", "good", "--relay", "ws://127.0.0.1:1"],
        &["--from is missing: the height or the date from which the wallet may have payments"],
    ),
    (
        &["scan", "--from", "2024-01-01", "--keys", "good", "--relay", "localhost"],
        &["\"localhost\" is not a relay URL: the scheme is missing; expected ws://HOST:PORT"],
    ),
    (
        &[
            "scan",
            "--from",
            "9",
            "--to",
            "3",
            "--keys",
            "good",
            "--relay",
            "ws://127.0.0.1:1",
        ],
        &["--to 3 is below the first block to scan, 9: expected at least 9"],
    ),
    (
        &[
            "scan",
            "--from",
            "0",
            "--keys",
            "good",
            "--relay",
            "wss://127.0.0.1:1",
            "--ca",
            "nowhere",
        ],
        &["sdk_relay: --ca: cannot read nowhere: No such file"],
    ),
    (
        &["scan", "--from", "0", "--keys", "good", "--token-file", "text"],
        &["the token file text is wrong: it has more than one word; expected one word"],
    ),
    (
        &["status", "--url", "http://127.0.0.1:1"],
        &[
            "no relay answers at http://127.0.0.1:1",
            "start it, or name another one with --url",
        ],
    ),
    (&["status", "--url", "nonsense"], &["nonsense"]),
    (
        &["status", "--url", "http://127.0.0.1:1", "--token-file", "nowhere"],
        &["cannot read the token file nowhere: No such file"],
    ),
    (
        &["status", "--url", "https://127.0.0.1:1", "--ca", "nowhere"],
        &["sdk_relay: --ca: cannot read nowhere: No such file"],
    ),
    (
        &["status", "--url", "ws://127.0.0.1:8090"],
        &["ws://127.0.0.1:8090 is a URL of the WebSocket API: expected one of the HTTP API, http://HOST:PORT"],
    ),
    (
        &["status", "--url", "127.0.0.1:1"],
        &["no relay answers at http://127.0.0.1:1"],
    ),
    (
        &["status", "--url", "https://127.0.0.1:1", "--ca", "key.pem"],
        &["key.pem is not usable: it contains a private key and no certificate; expected -----BEGIN CERTIFICATE"],
    ),
    (&["package-files", "text"], &["text"]),
];

#[test]
fn every_failure_is_one_message_that_says_what_where_and_what_to_do() {
    let home = tempfile::tempdir().unwrap();
    for (name, content) in FILES {
        let path = home.path().join(name);
        if name.ends_with('/') {
            std::fs::create_dir(&path).unwrap();
            continue;
        }
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(home.path().join("utf16.toml"), b"\xff\xfen\0e\0t\0").unwrap();
    std::fs::write(home.path().join("good"), format!("{SECRET} {PUBLIC}\n")).unwrap();
    for (args, words) in CASES {
        let output = sdk_relay(home.path(), args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
        let message = text
            .lines()
            .skip_while(|line| !line.starts_with("sdk_relay: "))
            .collect::<Vec<_>>()
            .join("\n");
        for word in *words {
            assert!(message.contains(word), "{args:?}: {word:?} is missing in: {text}");
        }
        says_nothing_twice(&message);
        for secret in ["5ec2e7", "c6047f", "U0VDUkVU"] {
            assert!(!text.contains(secret), "{args:?}: {text}");
        }
    }
}

#[test]
fn a_failed_import_creates_nothing() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("text"), "some words").unwrap();
    for file in ["nowhere", "text"] {
        let output = sdk_relay(home.path(), &["wallet", "import", file, "--data-dir", "new"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(!home.path().join("new").exists(), "{file}");
    }
}

/// Ten kilobytes with control characters, as each argument.
#[test]
fn no_message_repeats_a_long_argument() {
    let home = tempfile::tempdir().unwrap();
    let long = "\u{1b}[2Jxé".repeat(1500);
    let path = format!("{}/x", "y".repeat(3000));
    for args in [
        &["check-config", "--config", &long][..],
        &["check-config", "--config", &path],
        &["--data-dir", &path],
        &["check-config", "--network", &long],
        &["check-config", "--log-level", &long],
        &[&long],
        &["scan", "--from", &long],
        &["scan", "--from", "0", "--keys", &path],
        &["scan", "--from", "0", "--keys", "good", "--relay", &long],
        &["scan", "--from", "2024-01-01", "--keys", "good", "--relay", &long],
        &[
            "scan",
            "--from",
            "2024-01-01",
            "--keys",
            "good",
            "--relay",
            &format!("ws://{path}"),
        ],
        &["status", "--url", &long],
        &["status", "--url", &format!("http://{path}")],
        &["status", "--token-file", &path],
        &["wallet", "import", &path],
        &["wallet", "export", &path],
    ] {
        std::fs::write(home.path().join("good"), format!("{SECRET} {PUBLIC}\n")).unwrap();
        let output = sdk_relay(home.path(), args);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!([Some(1), Some(2)].contains(&output.status.code()), "{text:.300}");
        assert!(text.chars().count() < 2000, "{} characters: {text:.300}", text.len());
        assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
    }
}
