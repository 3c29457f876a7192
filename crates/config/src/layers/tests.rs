use sdk_relay_bip352::{Engine, Fast};

use super::*;
use crate::{Credentials, Network, TABLE, TlsFiles, template};

pub(crate) fn from(toml: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(&path, toml).unwrap();
    let overrides = Overrides::default().with_config(path);
    Loader::with_environment(overrides, env.iter().map(|(k, v)| (k.into(), v.into()))).load()
}

pub(crate) fn message(toml: &str, env: &[(&str, &str)]) -> String {
    from(toml, env).expect_err(toml).to_string()
}

#[test]
fn the_template_is_the_default() {
    let config = from(&template(), &[]).unwrap();
    assert_eq!(config.network, Network::Mainnet);
    assert_eq!(config.ws_url.port(), 8090);
    // The same with every key uncommented: each key is in the file, at its default.
    let is_key = |line: &str| {
        line.split_once(" = ")
            .is_some_and(|(key, _)| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
    };
    let template = template();
    let uncommented = template
        .lines()
        .map(|l| l.strip_prefix("# ").filter(|l| is_key(l)).unwrap_or(l));
    let all = uncommented.collect::<Vec<_>>().join("\n");
    assert_eq!(all.lines().filter(|l| is_key(l)).count(), TABLE.len());
    let [plain, full] = ["", &all].map(|toml| format!("{:?}", from(toml, &[]).unwrap()));
    let without_origins = |text: &str| text.split_once(", origins: ").unwrap().0.to_owned();
    assert_eq!(without_origins(&plain), without_origins(&full));
}

#[test]
fn two_variables_for_one_setting_are_refused() {
    let error = message(
        "",
        &[
            ("SDK_RELAY_SYNC__INTERVAL", "5"),
            ("SDK_RELAY_sync__interval", "6"),
            ("SDK_RELAY_LOG__LEVEL", "info"),
        ],
    );
    let expected = "environment variables SDK_RELAY_SYNC__INTERVAL, SDK_RELAY_sync__interval: all set sync.interval";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn environment_goes_over_the_file_and_keeps_types() {
    let toml = "network = \"signet\"\n[sync]\ninterval = 5\n[bitcoin_core]\nuser = \"me\"\npassword = \"x\"\n";
    let env = [
        ("SDK_RELAY_SYNC__INTERVAL", "60"),
        ("SDK_RELAY_BITCOIN_CORE__PASSWORD", "0070"),
        ("SDK_RELAY_DEV_MODE", "true"),
        ("OTHER", "1"),
    ];
    let config = from(toml, &env).unwrap();
    assert_eq!(config.sync_interval.as_secs(), 60);
    assert!(config.dev_mode);
    let Credentials::UserPassword(user, password) = config.bitcoin_core.credentials else {
        panic!("no password")
    };
    assert_eq!((user.as_str(), password.expose()), ("me", "0070"));
}

/// What Kubernetes sets beside a service called sdk-relay, and typing errors: the configuration is accepted, and each
/// variable is named.
#[test]
fn unknown_variables_are_ignored_and_named() {
    let env = [
        ("SDK_RELAY_PORT", "tcp://10.0.0.1:8090"),
        ("SDK_RELAY_SERVICE_HOST", "10.0.0.1"),
        ("SDK_RELAY_PORT_8090_TCP_PROTO", "tcp"),
        ("SDK_RELAY_NETWRK", "signet"),
        ("SDK_RELAY_SYNC_INTERVAL", "5"),
        ("SDK_RELAY_SYNC", "5"),
        ("SDK_RELAY_NETWORK", "regtest"),
        ("SDK_RELAY_CONFIG", "else.toml"),
        ("SDK_RELAYED", "1"),
    ];
    let config = from("", &env).unwrap();
    assert_eq!(config.network, Network::Regtest);
    assert_eq!(config.sync_interval, from("", &[]).unwrap().sync_interval);
    let loader = Loader::with_environment(Overrides::default(), env.iter().map(|(k, v)| (k.into(), v.into())));
    let unknown = loader.unknown_variables().iter();
    let unknown: Vec<_> = unknown.map(|v| (v.name.as_str(), v.nearest.as_deref())).collect();
    assert_eq!(
        unknown,
        [
            ("SDK_RELAY_NETWRK", Some("SDK_RELAY_NETWORK")),
            ("SDK_RELAY_PORT", None),
            ("SDK_RELAY_PORT_8090_TCP_PROTO", None),
            ("SDK_RELAY_SERVICE_HOST", None),
            ("SDK_RELAY_SYNC", None),
            ("SDK_RELAY_SYNC_INTERVAL", Some("SDK_RELAY_SYNC__INTERVAL")),
        ]
    );
}

#[test]
fn a_bad_value_is_reported_with_file_key_value_and_expectation() {
    let error = message("[sync]\ninterval = \"often\"\n", &[]);
    for part in [FILE_NAME, "sync.interval", "often", "expected"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = message("[sync]\ninterval = 0\n", &[]);
    for part in [FILE_NAME, "sync.interval", "0", "1 to 86400"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = message("", &[("SDK_RELAY_NETWORK", "moon")]);
    for part in ["SDK_RELAY_NETWORK", "network", "moon", "mainnet"] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = message("[sync]\nintervals = 3\n", &[]);
    for part in [
        FILE_NAME,
        ":2: ",
        "unknown key sync.intervals",
        "did you mean sync.interval?",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
    let error = message("network = \n", &[]);
    assert!(error.contains(FILE_NAME), "{error}");
    let nowhere = Overrides::default().with_config("/nowhere/x.toml");
    let error = Loader::new(nowhere).load().unwrap_err().to_string();
    assert!(error.contains("/nowhere/x.toml"), "{error}");
}

#[test]
fn no_error_shows_a_secret() {
    let error = message("[wallet]\nscan_private_key = \"5ec2e75ec2e7\"\n", &[]);
    assert!(
        error.contains("wallet.scan_private_key") && !error.contains("5ec2e7"),
        "{error}"
    );
    let error = message("[bitcoin_core]\nuser = \"u\"\npassword = 5152535\n", &[]);
    assert!(
        error.contains("bitcoin_core.password") && !error.contains("5152535"),
        "{error}"
    );
    let error = message("[bitcoin_core]\nurl = \"http://u:hunter2@localhost:1\"\n", &[]);
    assert!(!error.contains("hunter2"), "{error}");
}

#[test]
fn contradictions_are_refused() {
    assert!(message("dev_mode = true\n", &[]).contains("mainnet"));
    let oracle = "[blindbit]\nurl = \"http://x\"\n";
    assert!(message(&format!("standalone = true\n{oracle}"), &[]).contains("standalone"));
    assert!(message(&format!("{oracle}[index]\nenabled = false\n"), &[]).contains("index.enabled"));
    assert!(message("[dev]\nmine_interval = 3\n", &[]).contains("standalone"));
    assert!(
        message(
            "[bitcoin_core]\ncookie_file = \"a\"\nuser = \"b\"\npassword = \"c\"\n",
            &[]
        )
        .contains("either")
    );
    let config = from("standalone = true\nnetwork = \"mainnet\"\n", &[]).unwrap();
    assert_eq!(config.network, Network::Regtest);
    assert!(config.dev_mode);
}

#[test]
fn an_oracle_address_has_no_credentials() {
    let url = |text: &str| from(&format!("[blindbit]\nurl = \"{text}\"\n"), &[]).map(|c| c.blindbit_url);
    assert_eq!(url("").unwrap(), None);
    assert_eq!(
        url("http://oracle:8000/").unwrap().as_deref(),
        Some("http://oracle:8000")
    );
    for grpc in ["grpc://oracle:7001", "grpcs://[2001:db8::1]:7001"] {
        assert_eq!(url(grpc).unwrap().as_deref(), Some(grpc));
    }
    let with_path = "https://relay.example.com/blindbit/v2";
    assert_eq!(url(with_path).unwrap().as_deref(), Some(with_path));
    for wrong in [
        "oracle:8000",
        "ftp://oracle",
        "http://",
        "http://oracle/?a=b",
        "http://u:hunter2@oracle",
        "grpc://oracle",
        "grpc://oracle:7001/blindbit",
        "grpcs://u:hunter2@oracle:7001",
    ] {
        let error = message(&format!("[blindbit]\nurl = \"{wrong}\"\n"), &[]);
        assert!(error.contains("blindbit.url") && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn tls_has_both_files_or_none() {
    assert_eq!(from("", &[]).unwrap().tls, None);
    let both = from("[tls]\ncert = \"/a\"\nkey = \"/b\"", &[]).unwrap().tls;
    let given = TlsFiles::Given {
        cert: "/a".into(),
        key: "/b".into(),
    };
    assert_eq!(both, Some(given));
    let env = [("SDK_RELAY_TLS__SELF_SIGNED", "true")];
    assert_eq!(from("", &env).unwrap().tls, Some(TlsFiles::SelfSigned));
    let error = message("[tls]\ncert = \"/a\"", &[]);
    assert!(
        error.contains("tls.key") && error.contains("expected the PEM file"),
        "{error}"
    );
    let error = message("[tls]\nkey = \"/b\"", &[]);
    assert!(
        error.contains("tls.cert") && error.contains("expected the PEM file"),
        "{error}"
    );
    let error = message("[tls]\ncert = \"/a\"\nkey = \"/b\"", &env);
    assert!(error.contains("tls.self_signed") && error.contains("either"), "{error}");
}

/// The log filter takes an unknown word for a module name, and then logs nothing else.
#[test]
fn a_misspelt_level_of_the_log_is_refused() {
    for wrong in ["verbose", "loud", "warning", "info,sdk_relay", "info,sdk_relay=foo"] {
        let error = message(&format!("[log]\nlevel = \"{wrong}\"\n"), &[]);
        assert!(
            error.contains("log.level") && error.contains("expected off, error"),
            "{wrong}: {error}"
        );
    }
    let error = message("network = \"regtest\"\n[log]\nlevel = \"warning\"\n", &[]);
    assert!(
        error.contains(":3: log.level = \"warning\": expected off, error") && error.ends_with("did you mean warn?"),
        "{error}"
    );
    for right in ["off", "WARN", "info,sdk_relay=debug", "sdk_relay[{client=x}]=trace"] {
        assert!(from(&format!("[log]\nlevel = \"{right}\"\n"), &[]).is_ok(), "{right}");
    }
}

/// The library would ignore it and send the credentials of the node to port 80.
#[test]
fn an_invalid_port_is_refused() {
    for port in ["99999", "65536", "0", "", "x"] {
        for key in ["bitcoin_core", "blindbit"] {
            let refused = message(&format!("[{key}]\nurl = \"http://127.0.0.1:{port}\"\n"), &[]);
            assert!(refused.contains(&format!("{key}.url")), "{port}: {refused}");
        }
    }
}

#[test]
fn the_scanner_is_one_that_this_machine_has() {
    for engine in Fast::all() {
        let config = from(&format!("scanner = {:?}\n", engine.name()), &[]).unwrap();
        assert_eq!(config.scanner.name(), engine.name());
    }
    assert_eq!(from("", &[]).unwrap().scanner.name(), Fast::new().name());
    let refused = message("scanner = \"abacus\"\n", &[]);
    assert!(
        refused.contains("scanner") && refused.contains("abacus") && refused.contains("portable"),
        "{refused}"
    );
}

#[test]
fn a_zmq_address_has_no_user_and_no_password() {
    let with = |url: &str| message(&format!("[bitcoin_core]\nzmq_url = {url:?}\n"), &[]);
    for url in [
        "tcp://me:5ec2e7@127.0.0.1:29000",
        "tcp://5ec2e7@node:1",
        "5ec2e7@",
        "ipc://me:5ec2e7@x",
    ] {
        let error = with(url);
        assert!(
            error.contains("bitcoin_core.zmq_url") && !error.contains("5ec2e7"),
            "{error}"
        );
    }
    for url in [
        "127.0.0.1:29000",
        "tcp://:29000",
        "tcp://node",
        "tcp://node:x",
        "tcp://no de:1",
        "tcp://node/x:1",
        "tcp://node:1\n",
    ] {
        assert!(with(url).contains("expected tcp://HOST:PORT"), "{url}");
    }
    for url in ["tcp://127.0.0.1:29000", "tcp://[::1]:29000", "tcp://node_1.local:29000"] {
        from(&format!("[bitcoin_core]\nzmq_url = {url:?}\n"), &[]).unwrap();
    }
}

#[test]
fn a_wallet_of_the_node_is_a_name_and_no_path() {
    let long = "w".repeat(256);
    let wallets = [
        "../x",
        "..",
        ".",
        "a/b",
        "/etc",
        "a\\\\b",
        "a..b",
        "a\\u0000b",
        "a\\u0007",
        "a\\nb",
        "a\\u0085b",
        "a\\u007f",
        &long,
    ];
    for wallet in wallets {
        let error = message(&format!("[bitcoin_core]\nwallet = \"{wallet}\"\n"), &[]);
        assert!(
            error.contains("bitcoin_core.wallet") && error.contains("expected the name of a wallet"),
            "{error}"
        );
    }
    for wallet in ["", "relay", "my wallet.dat", "münzen", "a.b"] {
        from(&format!("[bitcoin_core]\nwallet = \"{wallet}\"\n"), &[]).unwrap();
    }
}

#[test]
fn hosts_and_proxies_are_checked() {
    for (line, key) in [
        ("hosts = [\"https://relay.example.com\"]", "http.hosts"),
        ("hosts = [\"relay.example.com:8091\"]", "http.hosts"),
        ("hosts = [\"*.example.com\"]", "http.hosts"),
        ("hosts = [\"\"]", "http.hosts"),
        ("hosts = [\".\"]", "http.hosts"),
        ("trusted_proxies = [\"localhost\"]", "http.trusted_proxies"),
        ("trusted_proxies = [\"10.0.0.1/8\"]", "http.trusted_proxies"),
        ("forwarding_header = \"x-real-ip\"", "http.forwarding_header"),
    ] {
        let error = message(&format!("[http]\n{line}\n"), &[]);
        assert!(error.contains(key) && error.contains("expected"), "{error}");
    }
    let many = vec!["\"10.0.0.1\""; 257].join(",");
    assert!(message(&format!("[http]\ntrusted_proxies = [{many}]\n"), &[]).contains("257 entries"));
    let config = from("[http]\nhosts = [\"Relay.example.com.\"]\n", &[]).unwrap();
    assert!(config.hosts == ["relay.example.com"] && config.local_admin);
    // Behind a proxy, any client may arrive from a loopback address.
    let behind = from("", &[("SDK_RELAY_HTTP__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")]).unwrap();
    assert!(!behind.local_admin && behind.trusted_proxies.contains("10.1.2.3".parse().unwrap()));
    assert!(!from("[http]\nlocal_admin = false\n", &[]).unwrap().local_admin);
}

#[cfg(unix)]
#[test]
fn a_deleted_configuration_file_is_an_error_and_not_the_default() {
    let dir = tempfile::tempdir().unwrap();
    let loader = || {
        let overrides = Overrides::default().with_data_dir(dir.path());
        Loader::with_environment(overrides, std::iter::empty())
    };
    let path = dir.path().join(FILE_NAME);
    // A configuration file is optional.
    loader().load().unwrap();
    // A relay that had one at its start requires it at a restart.
    std::fs::write(&path, "[auth]\nread_token = \"0123456789abcdef0123\"\n").unwrap();
    let started = loader();
    assert!(started.load().unwrap().auth.read_token.is_some());
    std::fs::remove_file(&path).unwrap();
    let error = started.load().unwrap_err().to_string();
    assert!(error.contains(FILE_NAME), "{error}");
    // A dangling symbolic link is an error: its volume may not be mounted.
    std::os::unix::fs::symlink(dir.path().join("volume/relay.toml"), &path).unwrap();
    let error = loader().load().unwrap_err().to_string();
    assert!(error.contains(FILE_NAME), "{error}");
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&path, &path).unwrap();
    assert!(loader().load().is_err());
    std::fs::remove_file(&path).unwrap();
    let changes = dir.path().join(CHANGES_FILE);
    std::os::unix::fs::symlink(dir.path().join("volume/settings.toml"), &changes).unwrap();
    let error = loader().load().unwrap_err().to_string();
    assert!(
        error.contains(CHANGES_FILE) && error.contains("does not exist"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_has_its_line_and_the_nearest_key() {
    for (toml, rest) in [
        (
            "\n\n[mesh]\npeer = []\n",
            ":4: unknown key mesh.peer; did you mean mesh.peers?",
        ),
        ("netwrk = \"signet\"\n", ":1: unknown key netwrk; did you mean network?"),
        (
            "[mehs]\npeers = []\n",
            ":1: unknown key mehs; expected one of relay_id, ",
        ),
        (
            "[sync]\ncolour = 1\n",
            ":2: unknown key sync.colour; expected one of interval, health_interval, ",
        ),
        (
            "[sync]\n\nnetwork = \"signet\"\n",
            ":3: unknown key sync.network; did you mean network, which must be above the first [table]?",
        ),
        (
            "admin_token = \"5ec2e75ec2e7\"\n",
            ":1: unknown key admin_token; did you mean auth.admin_token?",
        ),
        (
            "[bitcoin_core]\npasswrd = \"5ec2e7\"\n",
            ":2: unknown key bitcoin_core.passwrd; did you mean bitcoin_core.password?",
        ),
        ("\"sync.interval\" = 5\n", ":1: unknown key sync.interval; "),
        (
            "[sync.interval]\nx = 5\n",
            ":1: sync.interval = …: expected a whole number from 1 to 86400 (seconds), not a table",
        ),
        (
            "sync = 3\n",
            ":1: sync = …: expected a table: [sync], and its settings in the lines below",
        ),
        ("[[sync]]\ninterval = 3\n", ":1: sync = …: expected a table"),
    ] {
        let error = message(toml, &[]);
        assert!(
            error.contains(&format!("{FILE_NAME}{rest}")) && !error.contains("5ec2e7"),
            "{toml}: {error}"
        );
    }
}

/// One error has every wrong key and value of the file, the changes and the environment, each with its place.
#[test]
fn all_wrong_settings_are_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let toml = "netwrk = \"signet\"\nws_url = \"here\"\nscanner = \"abacus\"\n[sync]\nintervl = 5\nhealth_interval = 0\n\
                [auth]\nread_token = \"5ec2e7\"\n[mehs]\nx = 1\n";
    std::fs::write(dir.path().join(FILE_NAME), toml).unwrap();
    std::fs::write(dir.path().join(CHANGES_FILE), "[sync]\nmetrics_interval = \"often\"\n").unwrap();
    let env = [
        ("SDK_RELAY_LOG__LEVEL", "loud"),
        ("SDK_RELAY_DEV_MODE", "perhaps"),
        // It overrides the wrong value of the file.
        ("SDK_RELAY_SCANNER", "portable"),
    ];
    let overrides = Overrides::default().with_data_dir(dir.path());
    let loader = Loader::with_environment(overrides, env.iter().map(|(k, v)| (k.into(), v.into())));
    let text = loader.load().unwrap_err().to_string();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("9 settings are wrong:"));
    let place = |line: &str| line.trim_start().replace(&format!("{}/", dir.path().display()), "");
    let lines: Vec<_> = lines.map(place).collect();
    for (line, start) in lines.iter().zip([
        "sdk_relay.toml:1: unknown key netwrk; did you mean network?",
        "sdk_relay.toml:2: ws_url = \"here\": expected an address",
        "sdk_relay.toml:5: unknown key sync.intervl; did you mean sync.interval?",
        "sdk_relay.toml:6: sync.health_interval = 0: expected a whole number from 1 to 86400",
        "sdk_relay.toml:8: auth.read_token = …: expected 16 or more",
        "sdk_relay.toml:9: unknown key mehs; ",
        "settings.toml:2: sync.metrics_interval = \"often\": expected a whole number",
        "SDK_RELAY_DEV_MODE: dev_mode = \"perhaps\": expected true or false",
        "SDK_RELAY_LOG__LEVEL: log.level = \"loud\": expected off, error",
    ]) {
        assert!(line.starts_with(start), "{start} in {text}");
    }
    assert!(lines.len() == 9 && !text.contains("5ec2e7"), "{text}");
}

/// The rules between values too, if each value is valid on its own.
#[test]
fn all_broken_rules_are_reported_at_once() {
    let toml = "dev_mode = true\nws_url = \"127.0.0.1:1\"\nhttp_url = \"127.0.0.1:1\"\n[bitcoin_core]\nuser = \"u\"\n\
                [tls]\ncert = \"/a\"\n[dev]\nmine_interval = 3\n";
    let text = message(toml, &[]);
    assert!(text.starts_with("5 settings are wrong:\n"), "{text}");
    for part in [
        ":1: dev_mode = true: ",
        ":3: http_url = ",
        "bitcoin_core.password = …: expected a password",
        "tls.key = ",
        ":9: dev.mine_interval = 3: ",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_answered_with_what_to_do() {
    for (toml, line, todo) in [
        (
            "ws_url = \"127.0.0.1:1\"\nnetwork = regtest\n",
            2,
            "; put the value in quotes: NAME = \"VALUE\"",
        ),
        (
            "http_url = 127.0.0.1:8091 # mine\n",
            1,
            "; put the value in quotes: NAME = \"VALUE\"",
        ),
        (
            "[auth]\nadmin_token = 5ec2e7\n",
            2,
            "; put the value in quotes: NAME = \"VALUE\"",
        ),
        (
            "[mesh]\n[sync]\n[mesh]\n",
            3,
            "; each table and each setting may be there once",
        ),
        (
            "network = \"regtest\"\nnetwork = \"regtest\"\n",
            2,
            "; each table and each setting may be there once",
        ),
        (
            "[bitcoin]\nurl = \"http://127.0.0.1:1\"\n",
            1,
            "did you mean the table [bitcoin_core]?",
        ),
    ] {
        let error = message(toml, &[]);
        assert!(error.contains(&format!("sdk_relay.toml:{line}: ")), "{error}");
        assert!(error.contains(todo) && !error.contains("5ec2e7"), "{error}");
    }
    let error = message("ws_url = \"127.0.0.1:1\n", &[]);
    assert!(!error.contains("quotes:"), "{error}");
}

/// A secret may be at the wrong key.
#[test]
fn no_error_quotes_a_table() {
    for toml in [
        "[bitcoin_core.url]\npassword = \"5ec2e7\"\n",
        "[bitcoin_core]\nurl = { password = \"5ec2e7\" }\n",
        "[[bitcoin_core]]\npassword = \"5ec2e7\"\n",
        "bitcoin_core = \"me:5ec2e7\"\n",
        "auth = [\"5ec2e7\"]\n",
        "mesh.peers = [{ password = \"5ec2e7\" }]\n",
        "password = \"5ec2e7\"\n",
        "[auth.admin_token]\nvalue = \"5ec2e7\"\n",
    ] {
        let error = message(toml, &[]);
        assert!(
            !error.contains("5ec2e7") && error.contains("sdk_relay.toml:"),
            "{error}"
        );
    }
}

#[test]
fn a_wrong_value_has_its_line_and_what_it_is() {
    for (toml, rest) in [
        (
            "[mesh]\nallow_private = true\n",
            ":2: mesh.allow_private = true: expected one of the strings \"yes\", \"no\", \"auto\", not a boolean",
        ),
        (
            "\n[sync]\n# every hour\ninterval = 100_000\n",
            ":4: sync.interval = 100000: expected a whole number from 1 to 86400",
        ),
        (
            "[sync]\ninterval = -1\n",
            ":2: sync.interval = -1: expected a whole number from 1 to 86400 (seconds), not a negative number",
        ),
        (
            "[sync]\ninterval = 1.5\n",
            ":2: sync.interval = 1.5: expected a whole number from 1 to 86400 (seconds), not a number with a decimal point",
        ),
        (
            "[http]\nhosts = \"a\"\n",
            ":2: http.hosts = \"a\": expected a list of names such as",
        ),
        (
            "[auth]\nread_token = \"5ec2e7\"\n",
            ":2: auth.read_token = …: expected 16 or more",
        ),
        (
            "[auth]\nread_token = 532277\n",
            ":2: auth.read_token = …: expected 16 or more",
        ),
        (
            "[mesh]\npeers = [\"ws://a:1\", \"ws://me:5ec2e7@a:1\"]\n",
            ":2: mesh.peers = …@…: expected a list of ws://",
        ),
        (
            "[mesh]\npeers = [\n  \"ws://a:1\",\n  2,\n]\n",
            ":2: mesh.peers = [ \"ws://a:1\", 2, ]: expected",
        ),
        ("a = 1\n[auth]\nread_token = 5ec2e7-unquoted\n", ":3: "),
        ("[auth]\nread_token = \"5ec2e7\nadmin_token = \"5ec2e7\"\n", ":2: "),
        ("[sync]\ninterval = 1\ninterval = 2\n", ":3: duplicate key"),
    ] {
        let error = message(toml, &[]);
        assert!(error.contains(&format!("{FILE_NAME}{rest}")), "{toml}: {error}");
        assert!(
            !error.contains("5ec2e7") && !error.contains("532277") && !error.contains('\n'),
            "{error}"
        );
    }
}

/// The error of a key says what is wrong with it, and quotes only the public key.
#[test]
fn a_wrong_key_of_the_wallet_is_explained() {
    let scan = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c";
    let spend = "025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";
    let with = |scan: &str, spend: &str| {
        let toml = format!("[wallet]\nscan_private_key = \"{scan}\"\nspend_public_key = \"{spend}\"\n");
        from(&toml, &[]).map(drop).map_err(|error| error.to_string())
    };
    with(scan, spend).unwrap();
    with(&scan.to_uppercase(), &spend.to_uppercase()).unwrap();
    let order = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
    for (scan, spend, part) in [
        (
            scan,
            "02ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            "not a point on the curve",
        ),
        (scan, &format!("05{}", &spend[2..]), "begins with 02 or 03"),
        (scan, &spend[2..], "66 hex digits, not 64"),
        (scan, &format!("{}x", &spend[..65]), "character 66 is not a hex digit"),
        (scan, "", "because wallet.scan_private_key is set"),
        ("", spend, "because wallet.spend_public_key is set"),
        (&scan[1..], spend, "64 hex digits, not 63"),
        (&format!("0x{}", &scan[2..]), spend, "character 2 is not a hex digit"),
        (order, spend, "not less than the order of the curve"),
        (&"0".repeat(64), spend, "this number is zero"),
    ] {
        let error = with(scan, spend).unwrap_err();
        assert!(error.contains(part) && error.contains("expected "), "{error}");
        assert!(scan.is_empty() || !error.contains(scan), "{error}");
    }
}

#[test]
fn a_misspelt_log_target_is_a_warning() {
    let warnings = |level: &str| from(&format!("[log]\nlevel = \"{level}\"\n"), &[]).unwrap().warnings();
    let [warning] = warnings("info,sdk_relay_wss=debug").try_into().unwrap();
    assert!(
        warning.contains(":2: log.level: no log line has the target \"sdk_relay_wss\"; did you mean sdk_relay_ws?"),
        "{warning}"
    );
    let [warning] = warnings("info,http=debug").try_into().unwrap();
    assert!(
        warning.contains("the target \"http\"; did you mean sdk_relay_http?"),
        "{warning}"
    );
    assert!(warnings("info,sdk_relay=debug,hyper=warn").is_empty());
}

#[test]
fn what_concerns_a_node_has_no_effect_in_standalone_mode_and_is_named() {
    let warnings = |toml: &str| from(toml, &[]).unwrap().warnings();
    let text = "network = \"signet\"\nstandalone = true\n[bitcoin_core]\nurl = \"http://127.0.0.1:1\"\n";
    let [url, network] = warnings(text).try_into().unwrap();
    let why = "has no effect: a standalone relay has its own chain, which is on regtest";
    assert!(url.ends_with(&format!(":4: bitcoin_core.url {why}")), "{url}");
    assert!(network.ends_with(&format!(":1: network {why}")), "{network}");
    assert!(warnings("network = \"regtest\"\nstandalone = true\n").is_empty());
    assert!(warnings(&text.replace("true", "false")).is_empty());
}

/// A variable that a template leaves empty, for example.
#[test]
fn an_empty_data_directory_is_the_default_wherever_it_is_given() {
    let default = default_data_dir();
    let of = |overrides: Overrides, env: &[(&str, &str)]| {
        Loader::with_environment(overrides, env.iter().map(|(k, v)| (k.into(), v.into())))
    };
    for loader in [
        of(Overrides::default().with_data_dir(Path::new("")), &[]),
        of(Overrides::default(), &[("SDK_RELAY_DATA_DIR", "")]),
    ] {
        assert_eq!(loader.file(), default.join(FILE_NAME));
        assert_eq!(loader.data_dir(), default);
    }
}

/// Every setting with every value of a wrong kind, from a file, a variable and a flag: the place, the key and what is
/// expected are in the error, in words and not in those of a library.
#[test]
fn a_wrong_value_of_any_setting_names_place_key_and_expectation() {
    use crate::setting::Kind;
    let check = |error: &str, start: &str, setting: &crate::Setting| {
        assert!(error.starts_with(start), "{start}: {error}");
        assert!(error.contains("expected"), "{error}");
        for word in ["u64", "i64", "u32", "invalid type", "signed int", "serde", "visitor"] {
            assert!(!error.contains(word), "{word}: {error}");
        }
        if setting.is_secret {
            assert!(error.contains(&format!("{} = …: ", setting.key)), "{error}");
        }
    };
    for setting in TABLE.iter().copied() {
        let of_kind: &[&str] = match setting.kind {
            Kind::Bool { .. } => &["-1", "1.5", "\"yes\"", "[true]", "{ a = 1 }", "1979-05-27"],
            Kind::Whole { .. } => &["-1", "1.5", "\"5\"", "true", "[1]", "{ a = 1 }", "1979-05-27"],
            Kind::Choice { .. } => &["-1", "true", "\"nothing such\"", "[\"a\"]", "{ a = 1 }"],
            Kind::Text { .. } => &["-1", "true", "1.5", "[\"a\"]", "{ a = 1 }"],
            Kind::Numbers { .. } => &["-1", "true", "\"a\"", "[\"1\"]", "[[1]]", "[1.5]", "{ a = 1 }"],
            Kind::List { .. } => &["-1", "true", "\"a\"", "[1]", "[[\"a\"]]", "{ a = 1 }"],
        };
        for value in of_kind {
            let (group, name) = (setting.group(), setting.name());
            let table = if group.is_empty() {
                String::new()
            } else {
                format!("[{group}]")
            };
            let error = message(&format!("# a comment\n{table}\n{name} = {value}\n"), &[]);
            let (_, error) = error.split_once(FILE_NAME).unwrap();
            check(error, &format!(":3: {} = ", setting.key), setting);
        }
        let texts: &[&str] = match setting.kind {
            Kind::Bool { .. } => &["yes", "1", "", "TRUE "],
            Kind::Whole { .. } => &["-1", "1.5", "five", "", "1 000", "99999999999999999999"],
            Kind::Choice { .. } => &["nothing such"],
            Kind::Numbers { .. } => &["3,six", "-1", "6,3"],
            Kind::Text { .. } | Kind::List { .. } => &[],
        };
        for text in texts {
            let variable = setting.variable();
            let error = message("", &[(&variable, text)]);
            check(&error, &format!("{variable}: {} = ", setting.key), setting);
            let Some(flag) = setting.flag else { continue };
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join(FILE_NAME);
            std::fs::write(&file, "").unwrap();
            let overrides = Overrides::default().with_config(file).with(setting, *text);
            let error = Loader::with_environment(overrides, std::iter::empty()).load();
            check(
                &error.unwrap_err().to_string(),
                &format!("{flag}: {} = ", setting.key),
                setting,
            );
        }
    }
}

/// As an editor of Windows writes it: a byte order mark, and CRLF.
#[test]
fn a_file_with_a_byte_order_mark_is_read() {
    let toml = "\u{feff}network = \"signet\"\r\n[sync]\r\ninterval = 60\r\n";
    let config = from(toml, &[]).unwrap();
    assert_eq!((config.network, config.sync_interval.as_secs()), (Network::Signet, 60));
    let error = message("\u{feff}network = \"signet\"\r\n[sync]\r\ninterval = 0\r\n", &[]);
    assert!(error.contains(":3: sync.interval = 0: expected"), "{error}");
}

/// Whatever is wrong, the error is short, and has no control characters.
#[test]
fn no_error_repeats_a_long_value() {
    let long = "\\u001b éx".repeat(3000);
    for toml in [
        format!("network = \"{long}\"\n"),
        format!("\"{long}\" = 5\n"),
        format!("[sync]\ninterval = \"{long}\"\n"),
        format!("[sync]\n\"{long}\" = 5\n"),
        format!("[mesh]\npeers = [\"{long}\"]\n"),
        format!("[log]\nlevel = \"{long}\"\n"),
        format!("a = 1\n\"{long}\" = 1\n\"{long}\" = 1\n"),
        format!("network = {}\n", "x".repeat(10_000)),
    ] {
        let error = message(&toml, &[]);
        assert!(error.chars().count() < 2500, "{}: {error:.400}", error.chars().count());
        assert!(!error.contains('\u{1b}') && error.matches('é').count() < 120, "{error}");
    }
    let value = "\u{1b} é".repeat(3000);
    let error = message("", &[("SDK_RELAY_NETWORK", &value)]);
    assert!(error.chars().count() < 1500 && !error.contains('\u{1b}'), "{error}");
}

#[test]
fn a_path_may_begin_with_the_home_directory() {
    let home = std::env::home_dir().unwrap();
    for (written, meant) in [
        ("~/x", home.join("x")),
        ("~", home.clone()),
        ("/x/~", "/x/~".into()),
        ("~x", "~x".into()),
        ("./~", "./~".into()),
    ] {
        let overrides = Overrides::default().with_data_dir(Path::new(written)).with_standalone();
        let config = Loader::with_environment(overrides, std::iter::empty()).load().unwrap();
        assert_eq!(config.data_dir, meant, "{written}");
    }
}
