//! The command line: output, and origins of settings.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;
use testkit::{RelayOptions, RelayProcess, http_get};

/// The program without the settings in the environment of the test, in its own home directory.
fn sdk_relay(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(args).env("HOME", home).current_dir(home);
    command
}

fn run(home: &Path, args: &[&str]) -> Output {
    sdk_relay(home, args).output().unwrap()
}

/// `check-config` without a node, on ports that are free on any machine.
fn check_config(home: &Path, args: &[&str]) -> Command {
    let mut command = sdk_relay(home, &["check-config", "--offline"]);
    command
        .args(args)
        .env("SDK_RELAY_WS_URL", "127.0.0.1:0")
        .env("SDK_RELAY_HTTP_URL", "127.0.0.1:0");
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The one line of an error, or a line for each wrong setting: exit code 1, nothing on standard output.
fn refused(output: &Output) -> &str {
    assert_eq!((output.status.code(), stdout(output)), (Some(1), ""), "{output:?}");
    let message = stderr(output).strip_suffix('\n').expect("a line");
    let (first, more) = message
        .split_once('\n')
        .map_or((message, None), |(first, more)| (first, Some(more)));
    assert!(first.starts_with("sdk_relay: "), "{message}");
    if let Some(more) = more {
        let ends = [" settings are wrong:", " files or addresses cannot be used:"];
        assert!(ends.iter().any(|end| first.ends_with(end)), "{message}");
        assert!(more.lines().all(|line| line.starts_with("  ")), "{message}");
    }
    message
}

fn has(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is missing in: {text}");
    }
}

/// `check-config` on a file with this content, and its error.
fn checked(toml: &str) -> (TempDir, String) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("relay.toml"), toml).unwrap();
    let output = run(home.path(), &["check-config", "--config", "relay.toml"]);
    let message = refused(&output).to_owned();
    (home, message)
}

#[test]
fn version_and_help() {
    let home = tempfile::tempdir().unwrap();
    let version = run(home.path(), &["--version"]);
    assert!(version.status.success());
    assert_eq!(stdout(&version), format!("sdk_relay {}\n", env!("CARGO_PKG_VERSION")));

    let help = run(home.path(), &["--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    let flags = [
        "--config",
        "--data-dir",
        "--standalone",
        "--version",
        "run",
        "--network",
        "--log-level",
        "check-config",
        "init",
        "status",
    ];
    has(stdout(&help), &flags);
    has(
        stdout(&help),
        &["BIP352", "8090", "8091", "~/.sdk_relay", "SDK_RELAY_", "sdk_relay.toml"],
    );
    let status = run(home.path(), &["status", "--help"]);
    has(
        stdout(&status),
        &[
            "Exit status: 0 if the relay is healthy or degraded",
            "1 if it is critical",
        ],
    );
    for command in ["run", "check-config", "init"] {
        let help = run(home.path(), &[command, "--help"]);
        assert!(help.status.success(), "{command}");
        has(stdout(&help), &["Usage: sdk_relay", command, "--data-dir"]);
    }
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "asking makes no file"
    );
}

#[test]
fn unknown_arguments_are_refused() {
    let home = tempfile::tempdir().unwrap();
    for args in [
        &["--nosuchflag"][..],
        &["nosuchcommand"],
        &["--data-dir"],
        &["run", "extra"],
    ] {
        let output = run(home.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        has(stderr(&output), &["error: ", "--help"]);
        assert!(output.stdout.is_empty());
    }
    // A typing error gets a suggestion.
    has(stderr(&run(home.path(), &["--standalon"])), &["--standalone"]);
}

#[test]
fn init_writes_what_check_config_accepts() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".sdk_relay/sdk_relay.toml");
    let init = run(home.path(), &["init"]);
    assert!(init.status.success(), "{init:?}");
    has(stdout(&init), &[&file.display().to_string()]);
    // The directory, which gets the event log and the keys, is for its owner alone.
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }
    let check = check_config(home.path(), &[]).output().unwrap();
    assert!(check.status.success(), "{check:?}");
    has(stdout(&check), &["mainnet", "http://127.0.0.1:8332", ".sdk_relay"]);

    // An existing file is not overwritten.
    std::fs::write(&file, "network = \"signet\"\n").unwrap();
    let second = run(home.path(), &["init"]);
    has(refused(&second), &[&file.display().to_string(), "exists"]);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "network = \"signet\"\n");
    has(stdout(&check_config(home.path(), &[]).output().unwrap()), &["signet"]);

    // In another place, if requested.
    for args in [
        &["init", "--data-dir", "data"][..],
        &["init", "--config", "etc/relay.toml"],
    ] {
        assert!(run(home.path(), args).status.success(), "{args:?}");
    }
    assert!(
        check_config(home.path(), &["--config", "etc/relay.toml"])
            .status()
            .unwrap()
            .success()
    );
    assert!(
        check_config(home.path(), &["--data-dir", "data"])
            .status()
            .unwrap()
            .success()
    );
    assert!(home.path().join("data/sdk_relay.toml").exists());
    // A flag that it would ignore is refused.
    let standalone = run(home.path(), &["init", "--data-dir", "other", "--standalone"]);
    assert_eq!(standalone.status.code(), Some(2));
    has(stderr(&standalone), &["--standalone"]);
}

#[test]
fn init_writes_where_the_relay_reads() {
    let home = tempfile::tempdir().unwrap();
    let with_variable = |mut command: Command| {
        command
            .env("SDK_RELAY_DATA_DIR", home.path().join("data"))
            .output()
            .unwrap()
    };
    assert!(with_variable(sdk_relay(home.path(), &["init"])).status.success());
    assert!(home.path().join("data/sdk_relay.toml").exists());
    assert!(with_variable(check_config(home.path(), &[])).status.success());
}

#[test]
fn a_failed_start_names_unknown_variables_as_check_config_does() {
    let home = tempfile::tempdir().unwrap();
    for args in [&["check-config"][..], &[]] {
        let mut command = sdk_relay(home.path(), args);
        command
            .env("SDK_RELAY_NETWRK", "signet")
            .env("SDK_RELAY_SCANNER", "abacus");
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        has(&text, &["warning", "SDK_RELAY_NETWRK", "SDK_RELAY_SCANNER", "abacus"]);
    }
}

#[test]
fn a_bad_file_is_reported_with_file_key_value_and_expectation() {
    let cases: [(&str, &[&str]); 10] = [
        ("network = \"moonnet\"", &["network", "moonnet", "mainnet", "regtest"]),
        ("ws_url = \"localhost\"", &["ws_url", "localhost", "0.0.0.0:8090"]),
        ("[sync]\ninterval = 0", &["sync.interval", "0", "1 to 86400"]),
        ("[sync]\ninterval = \"often\"", &["sync.interval", "often", "expected"]),
        ("[limits]\nwatchez = 5", &["limits.watchez", "watches", "unknown key"]),
        ("colour = \"red\"", &["colour", "unknown key", "network"]),
        ("dev_mode = true", &["dev_mode", "true", "regtest"]),
        (
            "[bitcoin_core]\nurl = \"https://node\"",
            &["bitcoin_core.url", "https://node", "http://HOST:PORT"],
        ),
        (
            "[bitcoin_core]\nuser = \"me\"",
            &["bitcoin_core.password", "expected a password"],
        ),
        ("[log]\nformat = \"xml\"", &["log.format", "xml", "text or json"]),
    ];
    for (toml, words) in cases {
        let (_home, message) = checked(toml);
        has(&message, &["relay.toml"]);
        has(&message, words);
    }
    let (_home, message) = checked("network = signet");
    has(&message, &["relay.toml:1: "]);
    let home = tempfile::tempdir().unwrap();
    let missing = run(home.path(), &["check-config", "--config", "nowhere.toml"]);
    has(refused(&missing), &["nowhere.toml", "No such file"]);
}

#[test]
fn a_secret_is_never_shown() {
    for toml in [
        "[wallet]\nscan_private_key = \"5ec2e7\"\nspend_public_key = \"02\"",
        "[bitcoin_core]\npassword = 532277",
        "[bitcoin_core]\npassword = \"5ec2e7\"",
        "[bitcoin_core]\npassword = 5ec2e7-unquoted",
        "[bitcoin_core]\nurl = \"http://me:5ec2e7@node\"",
        "[bitcoin_core]\npasswrd = \"5ec2e7\"",
        "[bitcoin_core.url]\npassword = \"5ec2e7\"",
    ] {
        let (_home, message) = checked(toml);
        assert!(!message.contains("5ec2e7") && !message.contains("532277"), "{message}");
    }
}

#[test]
fn the_same_message_stops_the_start() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("relay.toml"), "network = \"moonnet\"").unwrap();
    for args in [&["--config", "relay.toml"][..], &["run", "--config", "relay.toml"]] {
        let output = run(home.path(), args);
        has(refused(&output), &["relay.toml", "network", "moonnet", "regtest"]);
    }
    let output = sdk_relay(home.path(), &[])
        .env("SDK_RELAY_NETWORK", "moonnet")
        .output()
        .unwrap();
    has(refused(&output), &["SDK_RELAY_NETWORK", "moonnet"]);
    let output = sdk_relay(home.path(), &[])
        .env("SDK_RELAY_BITCOIN_CORE__USER", "me")
        .output()
        .unwrap();
    has(
        refused(&output),
        &["the settings: bitcoin_core.password", "expected a password"],
    );
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1, "nothing was made");
}

#[test]
fn flags_override_the_environment_which_overrides_the_file() {
    let home = tempfile::tempdir().unwrap();
    let toml = "network = \"signet\"\ndata_dir = \"of-the-file\"\n[bitcoin_core]\nurl = \"http://127.0.0.1:1\"";
    std::fs::write(home.path().join("relay.toml"), toml).unwrap();
    let check = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = check_config(home.path(), &["--config", "relay.toml"]);
        let output = command.args(args).envs(env.iter().copied()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        stdout(&output).to_owned()
    };
    has(
        &check(&[], &[]),
        &["signet on http://127.0.0.1:1,", "data in of-the-file\n"],
    );
    let env = [
        ("SDK_RELAY_NETWORK", "regtest"),
        ("SDK_RELAY_BITCOIN_CORE__URL", "http://127.0.0.1:2"),
        ("SDK_RELAY_DATA_DIR", "of-the-environment"),
    ];
    has(
        &check(&[], &env),
        &["regtest on http://127.0.0.1:2,", "data in of-the-environment\n"],
    );
    let flags = ["--data-dir", "of-the-flag"];
    has(
        &check(&flags, &env),
        &["regtest on http://127.0.0.1:2,", "data in of-the-flag\n"],
    );
    has(
        &check(&["--standalone"], &env[2..]),
        &["embedded", "data in of-the-environment\n"],
    );

    // The file itself can be named in the environment, and be found in the data directory that a variable names.
    let named = check_config(home.path(), &[])
        .env("SDK_RELAY_CONFIG", "relay.toml")
        .output()
        .unwrap();
    has(stdout(&named), &["signet"]);
    std::fs::create_dir(home.path().join("data")).unwrap();
    std::fs::copy(home.path().join("relay.toml"), home.path().join("data/sdk_relay.toml")).unwrap();
    let found = check_config(home.path(), &[])
        .env("SDK_RELAY_DATA_DIR", "data")
        .output()
        .unwrap();
    has(stdout(&found), &["signet"]);
    let unknown = check_config(home.path(), &["--standalone"])
        .env("SDK_RELAY_SYNC__INTERVALS", "5")
        .output()
        .unwrap();
    // Kubernetes sets such a variable beside a service called sdk-relay; a typing error is reported with a suggestion.
    let line = "sdk_relay: warning: environment variable SDK_RELAY_SYNC__INTERVALS is ignored: there is no such setting; \
                did you mean SDK_RELAY_SYNC__INTERVAL?\n";
    assert_eq!(stderr(&unknown), line);
    assert!(unknown.status.success());
}

#[tokio::test]
async fn runs_without_a_node_and_reports_the_problem() {
    // A privileged port, where nothing listens.
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("run")
        .set("BITCOIN_CORE__URL", "http://127.0.0.1:1");
    let mut relay = RelayProcess::start_listening(options).await;
    let get = async |path: &str| http_get(&format!("{}{path}", relay.http_url())).await;
    assert_eq!(get("/health/live").await.status, 200);
    assert_eq!(get("/health/ready").await.status, 503);
    testkit::eventually(
        std::time::Duration::from_secs(30),
        "a word about the node",
        async || {
            let health = get("/health").await;
            assert_eq!(health.status, 503);
            health.text().contains("127.0.0.1:1 does not answer").then_some(())
        },
    )
    .await;
    let info = get("/bitcoin/info").await;
    assert_eq!(info.status, 503, "{}", info.text());
    has(info.text(), &["bitcoin_core", "127.0.0.1:1"]);
    assert_eq!(relay.terminate().await.code(), Some(0));
    let log = relay.stderr();
    assert_eq!(log.matches("does not answer").count(), 1, "{log}");
}

/// `std::env::vars` panics at any such variable; a setting that is not UTF-8 is reported instead, and other variables
/// are ignored.
#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_never_panics() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let odd = OsStr::from_bytes(b"caf\xe9");
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("relay.toml"), "network = \"regtest\"\n").unwrap();
    let checked = |name: &OsStr| {
        let mut command = check_config(home.path(), &["--config", "relay.toml"]);
        command.env(name, odd).output().unwrap()
    };
    for name in [OsStr::new("FOREIGN"), odd] {
        let output = checked(name);
        assert!(output.status.success(), "{output:?}");
    }
    let ours = checked(OsStr::new("SDK_RELAY_AUTH__READ_TOKEN"));
    has(refused(&ours), &["SDK_RELAY_AUTH__READ_TOKEN", "UTF-8"]);
    let unknown = checked(OsStr::from_bytes(b"SDK_RELAY_\xe9"));
    assert!(unknown.status.success(), "{unknown:?}");
    has(stderr(&unknown), &["SDK_RELAY_", "is ignored"]);
}
