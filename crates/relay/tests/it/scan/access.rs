//! Access to a relay that requires a token, with a certificate of a private authority.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use testkit::{InputKind, Options, Payee, Payer, PooledNode, RelayOptions, RelayProcess};

use crate::scan::{command, key_file, keys_of, run, scan};
use crate::stage::silent;

const TOKEN: &str = "a-token-to-read-with";

/// A certificate for 127.0.0.1 with its key, and that of the authority that has issued it.
fn issue(dir: &std::path::Path) -> [String; 3] {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&own_key, &issuer).unwrap();
    [
        ("relay.crt", own.pem()),
        ("relay.key", own_key.serialize_pem()),
        ("authority.crt", authority.pem()),
    ]
    .map(|(name, text)| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_authority_and_a_token_are_given_as_files() {
    let dir = tempfile::tempdir().unwrap();
    let [cert, key, authority] = issue(dir.path());
    let node = PooledNode::take(Options::default()).await;
    let payee = Payee::new(&[]);
    let tx = Payer::funded(&node)
        .await
        .pay(&[InputKind::P2wpkh], &[silent(payee.address(), 20_000)]);
    node.mine_with(std::slice::from_ref(&tx)).await;
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay")).node(&node);
    let options = options.set("TLS__CERT", &cert).set("TLS__KEY", &key);
    let relay = RelayProcess::start(options.set("AUTH__READ_TOKEN", TOKEN)).await;
    let url = relay.ws_url().replace("ws://", "wss://");
    let keys = key_file(dir.path(), &keys_of(&payee));
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (token, wrong) = (
        file("token", &format!("{TOKEN}\n")),
        file("wrong", "another-token-of-somebody"),
    );
    let base = ["--from", "1", "--relay", &url, "--keys", &keys];
    let with = async |more: &[&str]| scan(&[&base[..], more].concat(), "").await;

    let result = with(&["--ca", &authority, "--token-file", &token]).await;
    assert_eq!(
        (result.code, result.payments().len()),
        (Some(0), 1),
        "{}",
        result.stderr
    );
    assert_eq!(result.payments()[0].txid, tx.compute_txid().to_string());
    // A missing option is named in the error.
    for (more, words) in [
        (&["--token-file", token.as_str()][..], ["certificate", "--ca"]),
        (&["--ca", &authority][..], ["token", "--token-file"]),
        (&["--ca", &authority, "--token-file", &wrong], ["token", "--token-file"]),
        (&["--ca", &keys, "--token-file", &token], ["certificate", "--ca"]),
        (
            &["--ca", "/nowhere/ca", "--token-file", &token],
            ["/nowhere/ca", "No such file"],
        ),
        (
            &["--ca", &authority, "--token-file", "/nowhere/token"],
            ["token file /nowhere/token", "No such file"],
        ),
        (
            &["--ca", &authority, "--token-file", &file("empty", " \n")],
            ["token file", "one word"],
        ),
    ] {
        let result = with(more).await;
        let line = result.refused();
        for word in words {
            assert!(line.contains(word), "{word:?} is missing in {line}");
        }
        assert!(!line.contains(TOKEN) && !line.contains(&payee.scan_hex()), "{line}");
    }
    // Trusted certificates have no effect without TLS.
    let plain = scan(
        &[
            "--from",
            "1",
            "--relay",
            &relay.ws_url(),
            "--keys",
            &keys,
            "--ca",
            &authority,
        ],
        "",
    )
    .await;
    assert!(plain.refused().contains("wss://"), "{}", plain.stderr);
}

/// On the machine of the relay, its configuration is used.
#[tokio::test(flavor = "multi_thread")]
async fn the_own_relay_with_a_self_signed_certificate_needs_no_options() {
    let home = tempfile::tempdir().unwrap();
    let options = RelayOptions::new(env!("CARGO_BIN_EXE_sdk_relay"))
        .arg("--standalone")
        .arg("--tls-self-signed")
        .data_dir(home.path())
        .fixed_ports()
        .set("AUTH__READ_TOKEN", TOKEN);
    let relay = RelayProcess::start(options).await;
    let payee = Payee::new(&[]);
    let mut command = command(&["--from", "0", "--tls-self-signed"]);
    let address = relay.ws_url().replace("ws://", "");
    command
        .env("SDK_RELAY_DATA_DIR", home.path())
        .env("SDK_RELAY_WS_URL", address)
        .env("SDK_RELAY_AUTH__READ_TOKEN", TOKEN);
    let result = run(command, &keys_of(&payee)).await;
    assert_eq!(result.code, Some(0), "{}", result.stderr);
}
