//! `check-config` reports the same errors as a start, and each error names the origin of the value.

#![cfg(unix)]
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
        &["mesh key nowhere/mesh.id", "No such file"],
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
    let message = refused(&sdk_relay(home.path(), &["check-config"], &[]));
    for word in [".sdk_relay/sdk_relay.toml", "sdk_relay init", "--config"] {
        assert!(message.contains(word), "{message}");
    }
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
        &["check-config"],
        &[&env[..], &[cookie]].concat(),
    ));
    for word in [
        "SDK_RELAY_BITCOIN_CORE__COOKIE_FILE: bitcoin_core.cookie_file",
        "node/.cookie",
        "No such file",
    ] {
        assert!(named.contains(word), "{named}");
    }
    let by_itself = sdk_relay(home.path(), &["check-config"], &env);
    let warning = String::from_utf8(by_itself.stderr).unwrap();
    assert!(
        by_itself.status.success() && warning.contains("warning: the settings: bitcoin_core.cookie_file"),
        "{warning}"
    );
    write(&home.path().join("node/.cookie"), "__cookie__:00", 0o600);
    let there = sdk_relay(home.path(), &["check-config"], &[&env[..], &[cookie]].concat());
    assert!(there.status.success() && there.stderr.is_empty(), "{there:?}");
    assert!(
        !home.path().join(".sdk_relay").exists(),
        "a check leaves nothing behind"
    );
}
