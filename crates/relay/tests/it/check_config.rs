//! `check-config` reports the same errors as a start, and each error names the origin of the value. Then it checks the
//! machine and the node, with a line for each check.

#![cfg(unix)]

mod node;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// An address for documentation (RFC 5737): no machine has it.
const NOT_OURS: &str = "203.0.113.7:8090";

/// Runs the program in its own home directory, with free ports unless configured.
fn sdk_relay(home: &Path, args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sdk_relay"));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(args).env("HOME", home).current_dir(home);
    command.envs(env.iter().copied()).output().unwrap()
}

/// The last line of an error, without the program's name.
fn refused(output: &Output) -> String {
    let text = std::str::from_utf8(&output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let line = text.lines().last().unwrap();
    line.strip_prefix("sdk_relay: ")
        .unwrap_or_else(|| panic!("{text}"))
        .to_owned()
}

fn write(path: &Path, content: &str, mode: u32) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Lines of the file, further files (name, content, mode), and expected words of the error.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str, u32)],
    &'static [&'static str],
);

const CASES: &[Case] = &[
    (
        "network = \"moonnet\"",
        &[],
        &["relay.toml:", ": network", "moonnet", "regtest"],
    ),
    (
        "ws_url = \"127.0.0.1:8090\"\nhttp_url = \"127.0.0.1:8090\"",
        &[],
        &[
            "relay.toml:",
            ": http_url",
            "127.0.0.1:8090",
            "another port than that of ws_url",
        ],
    ),
    (
        "ws_url = \"[::]:8090\"\nhttp_url = \"127.0.0.1:8090\"",
        &[],
        &["relay.toml:", ": http_url", "another port"],
    ),
    (
        "ws_url = \"203.0.113.7:8090\"\nhttp_url = \"127.0.0.1:0\"",
        &[],
        &["relay.toml:", ": ws_url", NOT_OURS, "cannot listen there"],
    ),
    (
        "http_url = \"203.0.113.7:8090\"\nws_url = \"127.0.0.1:0\"",
        &[],
        &["relay.toml:", ": http_url", NOT_OURS, "cannot listen there"],
    ),
    (
        "data_dir = \"/dev/null/relay\"",
        &[],
        &["relay.toml:", ": data_dir", "/dev/null/relay"],
    ),
    ("data_dir = \"/proc\"", &[], &["relay.toml:", ": data_dir", "/proc"]),
    (
        "[tls]\ncert = \"none.crt\"\nkey = \"none.key\"",
        &[],
        &["relay.toml:", ": ", "tls.cert", "none.crt", "No such file"],
    ),
    (
        "[tls]\ncert = \"a.crt\"\nkey = \"none.key\"",
        &[("a.crt", "garbage", 0o644)],
        &["relay.toml:", ": tls.cert", "a.crt", "no certificate"],
    ),
    (
        "[mesh]\ntrust = \"none.pem\"",
        &[],
        &["relay.toml:", ": mesh.trust", "none.pem", "No such file"],
    ),
    (
        "[mesh]\ntrust = \"empty.pem\"",
        &[("empty.pem", "", 0o644)],
        &["relay.toml:", ": mesh.trust", "empty.pem", "no certificate"],
    ),
    (
        "[mesh]\nidentity = \"mesh.id\"",
        &[("mesh.id", "garbage", 0o600)],
        &["mesh key mesh.id", "damaged"],
    ),
    (
        "[mesh]\nidentity = \"nowhere/mesh.id\"",
        &[],
        &["mesh key: cannot create nowhere/mesh.id: No such file", "No such file"],
    ),
    (
        "[mesh]\nidentity = \"mesh.id\"",
        &[("mesh.id/x", "", 0o600)],
        &["mesh.id: it is a directory, not a regular file"],
    ),
    (
        "[bitcoin_core]\nurl = \"http://127.0.0.1:8332/wallet\"",
        &[],
        &["relay.toml:", ": bitcoin_core.url", "http://HOST:PORT"],
    ),
    (
        "[log]\nlevel = \"warning\"",
        &[],
        &["relay.toml:", ": log.level", "warning", "did you mean warn?"],
    ),
    ("", &[("data/mesh.key", "x", 0o644)], &["mesh.key", "chmod 600"]),
    // Directories where files should be.
    (
        "",
        &[("data/relay.lock/x", "", 0o600)],
        &["data_dir", "relay.lock: it is a directory, not a regular file"],
    ),
    (
        "",
        &[("data/mesh.key/x", "", 0o600)],
        &["mesh.key: it is a directory, not a regular file"],
    ),
    (
        "[tls]\ncert = \"here\"\nkey = \"here\"",
        &[("here/x", "", 0o600)],
        &["tls.cert", "it is a directory, not a regular file"],
    ),
    (
        "",
        &[("data/relay.redb/x", "", 0o600)],
        &[
            "data_dir",
            "relay.redb\": cannot be used: it is a directory, not a regular file",
        ],
    ),
    (
        "",
        &[("data/mesh.names/x", "", 0o600)],
        &[
            "data_dir",
            "mesh.names\": cannot be used: it is a directory, not a regular file",
        ],
    ),
    (
        "",
        &[("data/index", "", 0o600)],
        &[
            "data_dir",
            "index\": cannot be used: it is a regular file, not a directory",
        ],
    ),
    (
        "",
        &[("data/index/index.redb/x", "", 0o600)],
        &[
            "data_dir",
            "index.redb\": cannot be used: it is a directory, not a regular file",
        ],
    ),
    (
        "standalone = true",
        &[("data/devchain.dat/x", "", 0o600)],
        &[
            "data_dir",
            "devchain.dat\": cannot be used: it is a directory, not a regular file",
        ],
    ),
    (
        "[tls]\nself_signed = true",
        &[("data/tls-self-signed.crt/x", "", 0o600)],
        &[
            "data_dir",
            "tls-self-signed.crt\": cannot be used: it is a directory, not a regular file",
        ],
    ),
    ("", &[("data/wallet.key", "x", 0o644)], &["wallet.key", "chmod 600"]),
    ("", &[("data/wallet.key", "x", 0o600)], &["wallet.key", "damaged"]),
    (
        "",
        &[("data/settings.toml", "= 3", 0o600)],
        &["data/settings.toml", "delete it"],
    ),
    (
        "",
        &[("data/settings.toml", "ws_url = \"203.0.113.7:8090\"", 0o600)],
        &["data/settings.toml:1: ws_url", NOT_OURS, "cannot listen there"],
    ),
    (
        "",
        &[("data/settings.toml", "[sync]\ninterval = 0", 0o600)],
        &["data/settings.toml:2: sync.interval", "1 to 86400"],
    ),
    (
        "[auth]\nadmin_token = \"5ec2e7\"",
        &[],
        &["relay.toml:", ": auth.admin_token = …", "16 or more"],
    ),
];

#[test]
fn check_config_reports_the_same_error_as_the_start() {
    for (toml, files, words) in CASES {
        let home = tempfile::tempdir().unwrap();
        // Defaults of the case.
        let mut whole = format!("{toml}\n");
        for (key, value) in [
            ("data_dir", "data"),
            ("ws_url", "127.0.0.1:0"),
            ("http_url", "127.0.0.1:0"),
        ] {
            if !toml.contains(&format!("{key} = ")) {
                whole.insert_str(0, &format!("{key} = \"{value}\"\n"));
            }
        }
        std::fs::write(home.path().join("relay.toml"), &whole).unwrap();
        for (name, content, mode) in *files {
            write(&home.path().join(name), content, *mode);
        }
        let args = ["--config", "relay.toml", "--standalone"];
        let checked = sdk_relay(home.path(), &[&["check-config"], &args[..]].concat(), &[]);
        let message = refused(&checked);
        for word in *words {
            assert!(message.contains(word), "{word:?} is missing in: {message}\n{whole}");
        }
        assert!(!message.contains("5ec2e7"), "{message}");
        let started = refused(&sdk_relay(home.path(), &args, &[]));
        assert_eq!(started, message, "{whole}");
    }
}

/// A named pipe has a mode like any other, and reading it would block.
#[test]
fn a_pipe_instead_of_a_key_file_is_reported() {
    for name in ["mesh.key", "wallet.key"] {
        let home = tempfile::tempdir().unwrap();
        let pipe = home.path().join(".sdk_relay").join(name);
        std::fs::create_dir_all(pipe.parent().unwrap()).unwrap();
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let message = refused(&sdk_relay(home.path(), &["check-config", "--standalone"], &[]));
        assert!(
            message.ends_with(&format!("{name}: it is a named pipe, not a regular file")),
            "{message}"
        );
    }
}

#[test]
fn each_origin_is_named() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("relay.toml"), format!("ws_url = \"{NOT_OURS}\"\n")).unwrap();
    let check = |args: &[&str], env: &[(&str, &str)]| {
        let args = [&["check-config", "--standalone"], args].concat();
        refused(&sdk_relay(home.path(), &args, env))
    };
    let file = check(&["--config", "relay.toml"], &[]);
    assert!(
        file.starts_with("relay.toml:1: ws_url = \"203.0.113.7:8090\": cannot listen"),
        "{file}"
    );
    let variable = check(&[], &[("SDK_RELAY_WS_URL", NOT_OURS)]);
    assert!(variable.starts_with("SDK_RELAY_WS_URL: ws_url = "), "{variable}");
    let flag = check(&["--data-dir", "/dev/null/x"], &[]);
    assert!(flag.starts_with("--data-dir: data_dir = \"/dev/null/x\": "), "{flag}");
    let path = home.path().join(".sdk_relay/settings.toml");
    write(&path, &format!("http_url = \"{NOT_OURS}\"\n"), 0o600);
    let kept = check(&[], &[]);
    assert!(
        kept.starts_with(&format!("{}:1: http_url = ", path.display())),
        "{kept}"
    );
}

#[test]
fn missing_files_are_refused() {
    let home = tempfile::tempdir().unwrap();
    let missing = refused(&sdk_relay(home.path(), &["check-config", "--config", "none.toml"], &[]));
    assert!(
        missing.contains("none.toml") && missing.contains("No such file"),
        "{missing}"
    );

    // The node's cookie: a configured one must exist.
    let env = [
        ("SDK_RELAY_NETWORK", "regtest"),
        ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
    ];
    let cookie = ("SDK_RELAY_BITCOIN_CORE__COOKIE_FILE", "node/.cookie");
    let named = refused(&sdk_relay(
        home.path(),
        &["check-config", "--offline"],
        &[&env[..], &[cookie]].concat(),
    ));
    for word in [
        "SDK_RELAY_BITCOIN_CORE__COOKIE_FILE: bitcoin_core.cookie_file",
        "node/.cookie",
        "No such file",
    ] {
        assert!(named.contains(word), "{named}");
    }
    let by_itself = sdk_relay(home.path(), &["check-config", "--offline"], &env);
    assert!(
        by_itself.status.success() && by_itself.stderr.is_empty(),
        "{by_itself:?}"
    );
    write(&home.path().join("node/.cookie"), "__cookie__:00", 0o600);
    let there = sdk_relay(
        home.path(),
        &["check-config", "--offline"],
        &[&env[..], &[cookie]].concat(),
    );
    assert!(there.status.success() && there.stderr.is_empty(), "{there:?}");
    assert!(
        !home.path().join(".sdk_relay").exists(),
        "a check leaves nothing behind"
    );
}

#[test]
fn all_unusable_files_and_addresses_are_reported_at_once() {
    let home = tempfile::tempdir().unwrap();
    let toml = format!(
        "data_dir = \"data\"\nws_url = \"{NOT_OURS}\"\nhttp_url = \"127.0.0.1:0\"\n[mesh]\ntrust = \"none.pem\"\n"
    );
    std::fs::write(home.path().join("relay.toml"), toml).unwrap();
    write(&home.path().join("data/wallet.key"), "x", 0o600);
    write(&home.path().join("data/index"), "", 0o600);
    let args = ["--config", "relay.toml", "--standalone"];
    let checked = sdk_relay(home.path(), &[&["check-config"], &args[..]].concat(), &[]);
    let text = String::from_utf8(checked.stderr).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "sdk_relay: 4 files or addresses cannot be used:", "{text}");
    for (line, words) in lines[1..]
        .iter()
        .zip([": ws_url", ": mesh.trust", "index\": cannot be used", "wallet.key"])
    {
        assert!(line.starts_with("  ") && line.contains(words), "{words}: {text}");
    }
    assert_eq!((lines.len(), checked.status.code()), (5, Some(1)));
    let started = sdk_relay(home.path(), &args, &[]);
    let started = String::from_utf8(started.stderr).unwrap();
    assert!(started.ends_with(&text), "the start reports the same: {started}");
}

/// Without the check, the error would name the first file or address beyond the limit.
#[test]
fn a_limit_of_open_files_that_is_too_low_is_named() {
    let home = tempfile::tempdir().unwrap();
    for command in ["check-config", "run"] {
        let script = format!(
            "ulimit -n 20; exec '{}' {command} --standalone",
            env!("CARGO_BIN_EXE_sdk_relay")
        );
        let output = Command::new("sh")
            .args(["-c", &script])
            .env("HOME", home.path())
            .output()
            .unwrap();
        let message = refused(&output);
        assert!(
            message.starts_with(
                "this process may open only 20 files, and the relay needs at least 56: raise the limit (ulimit -n"
            ),
            "{message}"
        );
    }
}

#[test]
fn settings_of_a_node_beside_standalone_are_named() {
    let home = tempfile::tempdir().unwrap();
    let env = [
        ("SDK_RELAY_WS_URL", "127.0.0.1:0"),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
        ("SDK_RELAY_BITCOIN_CORE__URL", "http://127.0.0.1:1"),
    ];
    let checked = sdk_relay(home.path(), &["check-config", "--standalone"], &env);
    let text = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.success(), "{text}");
    let line = "! SDK_RELAY_BITCOIN_CORE__URL: bitcoin_core.url has no effect: a standalone relay has its own chain, which is on regtest";
    assert!(text.lines().any(|shown| shown == line), "{text}");
}

#[test]
fn a_port_that_another_program_has_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let env = [
        ("SDK_RELAY_WS_URL", address.as_str()),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0"),
    ];
    let checked = sdk_relay(home.path(), &["check-config", "--standalone"], &env);
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    let start =
        format!("✗ Port: SDK_RELAY_WS_URL: ws_url = \"{address}\": cannot listen there: Address already in use");
    assert!(text.lines().any(|line| line.starts_with(&start)), "{text}");
    assert!(
        text.lines().any(|line| line == "✓ Port: http_url 127.0.0.1:0 is free"),
        "{text}"
    );
    assert_eq!(refused(&checked), "1 check failed: see the line with ✗");
}
