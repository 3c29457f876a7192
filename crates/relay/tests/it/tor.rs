//! Relays that reach their node and each other through a SOCKS proxy only, as through Tor. The names are those of onion
//! services, which nothing on this machine can look up.

use std::net::SocketAddr;
use std::process::{Command, Output};

use serde_json::Value;
use testkit::{
    Bitcoind, InputKind, Options, Payee, Payer, PooledNode, RelayOptions, RelayProcess, SocksMode, SocksProxy,
    eventually, http_get,
};

use crate::stage::silent;
use crate::support::DEADLINE;
use crate::support::recorder::Recorder;

const EXE: &str = env!("CARGO_BIN_EXE_sdk_relay");

/// The name of an onion service, and a port.
fn onion(n: char, port: u16) -> String {
    format!("{}d.onion:{port}", n.to_string().repeat(55))
}

fn address(url: &str) -> SocketAddr {
    url.split_once("://").unwrap().1.parse().unwrap()
}

/// A relay whose node is an onion service.
fn behind(proxy: &SocksProxy, node: &Bitcoind) -> RelayOptions {
    let rpc = onion('n', 8332);
    proxy.add(&rpc, address(&node.rpc_url()));
    // The address that the node reports has its own port, and the host of the RPC interface.
    let zmq = address(&node.zmq_url());
    proxy.add(&onion('n', zmq.port()), zmq);
    RelayOptions::new(EXE)
        .set("BITCOIN_CORE__URL", format!("http://{rpc}"))
        .set("BITCOIN_CORE__COOKIE_FILE", node.cookie_file())
        .set("BITCOIN_CORE__PROXY", proxy.url())
}

async fn health(relay: &RelayProcess) -> Value {
    http_get(&format!("{}/health", relay.http_url())).await.json()
}

/// The problem of `/health` that contains this text.
async fn problem(relay: &RelayProcess, text: &str) -> String {
    eventually(DEADLINE, format!("a problem with {text:?}"), async || {
        let health = health(relay).await;
        let problems = health["problems"].as_array()?;
        let found = problems.iter().filter_map(Value::as_str).find(|p| p.contains(text));
        found.map(str::to_owned)
    })
    .await
}

async fn healthy(relay: &RelayProcess) {
    eventually(DEADLINE, "no problem", async || {
        (health(relay).await["status"] == "healthy").then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_node_is_reached_through_the_proxy_only() {
    let node = PooledNode::take(Options::default()).await;
    let mut payer = Payer::funded(&node).await;
    let mut proxy = SocksProxy::start().await;
    proxy.require("relay", "isolated");
    let url = proxy.url().replace("//", "//relay:isolated@");
    let relay = RelayProcess::start(behind(&proxy, &node).set("BITCOIN_CORE__PROXY", url)).await;

    // A payment in the mempool arrives over ZMQ.
    let payee = Payee::new(&[9]);
    let mut recorder = Recorder::open(&relay, &["notifications"], None).await;
    recorder.watch(&payee).await;
    eventually(DEADLINE, "signals through the proxy", async || {
        (health(&relay).await["event_source"] == "zmq").then_some(())
    })
    .await;
    healthy(&relay).await;
    let tx = payer.pay(&[InputKind::P2tr], &[silent(payee.address(), 7_000)]);
    node.send_raw(&tx).await;
    recorder.until_paid(&tx.compute_txid().to_string(), 0, None).await;
    let zmq = onion('n', address(&node.zmq_url()).port());
    assert!(proxy.count(&zmq) >= 1 && proxy.count(&onion('n', 8332)) >= 1);
    assert!(
        proxy.asked().iter().all(|target| target.contains(".onion:")),
        "{:?}",
        proxy.asked()
    );
    assert!(!relay.stderr().contains("isolated"), "the password is not logged");

    // The proxy is down: it is named, and clients stay.
    proxy.stop().await;
    let down = format!("the SOCKS proxy {} does not answer", proxy.address());
    let said = problem(&relay, &down).await;
    assert!(
        said.contains(&onion('n', 8332)) && said.contains("bitcoin_core.proxy"),
        "{said}"
    );
    proxy.start_again();
    healthy(&relay).await;

    // The proxy works, and what is behind it does not.
    proxy.set_mode(SocksMode::Refuse(4));
    proxy.stop().await;
    proxy.start_again();
    let said = problem(&relay, "cannot connect to").await;
    assert!(
        said.contains("host unreachable") && !said.contains("start the proxy"),
        "{said}"
    );
    proxy.set_mode(SocksMode::Forward);
    healthy(&relay).await;
}

/// A relay that listens here and is an onion service of this name.
fn service(proxy: &SocksProxy, node: &Bitcoind, name: char) -> RelayOptions {
    let options = RelayOptions::new(EXE).node(node).fixed_ports();
    options
        .set("RELAY_ID", name.to_string())
        .set("SYNC__INTERVAL", "1")
        .set("MESH__PROXY", proxy.url())
        .set("MESH__ADVERTISE", format!("ws://{}", onion(name, 8090)))
}

/// The address of each other relay that a relay lists as healthy, once these are all.
async fn others(relay: &RelayProcess, names: &[&str]) -> Vec<Value> {
    eventually(DEADLINE, format!("the relays {names:?}"), async || {
        let list = http_get(&format!("{}/relays", relay.http_url())).await.json();
        let mut relays = list["relays"].as_array()?[1..].to_vec();
        relays.sort_by_key(|relay| relay["relay_id"].to_string());
        let healthy: Vec<_> = relays.iter().filter(|relay| relay["health"] == "healthy").collect();
        let found: Vec<_> = healthy.iter().filter_map(|relay| relay["relay_id"].as_str()).collect();
        (found == names).then(|| healthy.iter().map(|relay| relay["address"].clone()).collect())
    })
    .await
}

#[tokio::test]
async fn relays_link_as_onion_services() {
    let node = PooledNode::take(Options::default()).await;
    let mut proxy = SocksProxy::start().await;
    let a = RelayProcess::start(service(&proxy, &node, 'a')).await;
    let mut b =
        RelayProcess::start(service(&proxy, &node, 'b').set("MESH__PEERS", format!("ws://{}", onion('a', 8090)))).await;
    // It does not know yet where a is.
    let unreached = problem(&b, "mesh.peers: no link to").await;
    let said = format!(
        "the SOCKS proxy {} cannot connect to {}: host unreachable",
        proxy.address(),
        onion('a', 8090)
    );
    assert!(unreached.contains(&said), "{unreached}");
    proxy.add(&onion('a', 8090), address(&a.ws_url()));
    proxy.add(&onion('b', 8090), address(&b.ws_url()));
    assert_eq!(others(&b, &["a"]).await, [Value::from(onion('a', 8090))]);
    assert_eq!(others(&a, &["b"]).await, [Value::from(onion('b', 8090))]);

    // It learns from b where a is, and dials a there.
    let before = proxy.count(&onion('a', 8090));
    let c = service(&proxy, &node, 'c').set("MESH__PEERS", format!("ws://{}", onion('b', 8090)));
    let c = RelayProcess::start(c).await;
    others(&c, &["a", "b"]).await;
    eventually(DEADLINE, "a link from c to a", async || {
        (proxy.count(&onion('a', 8090)) > before).then_some(())
    })
    .await;

    // Without a proxy it knows the others by what b says, and gives their addresses to nobody.
    let d = RelayOptions::new(EXE)
        .node(&node)
        .set("RELAY_ID", "d")
        .set("SYNC__INTERVAL", "1");
    let d = RelayProcess::start(d.set("MESH__PEERS", b.ws_url())).await;
    assert_eq!(
        others(&d, &["a", "b", "c"]).await,
        [Value::Null, Value::Null, Value::Null]
    );

    // The proxy is down, and a relay that has to dial says so.
    drop((c, d));
    proxy.stop().await;
    b.terminate().await;
    b.start_again().await;
    let down = problem(&b, "does not answer").await;
    assert!(down.contains(&format!("the SOCKS proxy {}", proxy.address())), "{down}");
    proxy.start_again();
    others(&b, &["a"]).await;
}

fn run(args: &[&str], env: &[(&str, String)]) -> Output {
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(EXE);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SDK_RELAY_")) {
        command.env_remove(name);
    }
    command.args(args).env("HOME", home.path()).current_dir(home.path());
    command
        .envs(env.iter().map(|(key, value)| (key, value)))
        .output()
        .unwrap()
}

async fn in_background(args: Vec<String>, env: Vec<(&'static str, String)>) -> (bool, String) {
    let output = tokio::task::spawn_blocking(move || {
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        run(&args, &env)
    });
    let output = output.await.unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn check_config_says_whether_the_proxy_or_the_node_is_down() {
    // Blocks of a node that others have used may be ahead of the clock.
    let node = Bitcoind::start(Options::default()).await;
    node.mine(1).await;
    let mut proxy = SocksProxy::start().await;
    let rpc = onion('n', 8332);
    let zmq = address(&node.zmq_url());
    proxy.add(&onion('n', zmq.port()), zmq);
    let env = vec![
        ("SDK_RELAY_NETWORK", "regtest".to_owned()),
        ("SDK_RELAY_WS_URL", "127.0.0.1:0".to_owned()),
        ("SDK_RELAY_HTTP_URL", "127.0.0.1:0".to_owned()),
        ("SDK_RELAY_BITCOIN_CORE__URL", format!("http://{rpc}")),
        (
            "SDK_RELAY_BITCOIN_CORE__COOKIE_FILE",
            node.cookie_file().to_str().unwrap().to_owned(),
        ),
        ("SDK_RELAY_BITCOIN_CORE__PROXY", proxy.url()),
    ];
    let check = async || in_background(vec!["check-config".to_owned()], env.clone()).await;
    let at = proxy.address();

    let (fine, text) = check().await;
    let unreachable =
        format!("✗ Node: {rpc} does not answer: the SOCKS proxy {at} cannot connect to {rpc}: host unreachable");
    assert!(!fine && text.contains(&unreachable), "{text}");

    proxy.add(&rpc, address(&node.rpc_url()));
    let (fine, text) = check().await;
    let published = format!(
        "✓ ZMQ: tcp://{} publishes sequence, rawtx and hashblock",
        onion('n', zmq.port())
    );
    assert!(
        fine && text.contains(&format!("✓ Node: {rpc} answers")) && text.contains(&published),
        "{text}"
    );

    for (mode, why) in [
        (SocksMode::Close, "it closed the connection without a reply"),
        (SocksMode::Mute, "no reply within 5 s"),
    ] {
        proxy.set_mode(mode);
        let (fine, text) = check().await;
        let down = format!("✗ Node: the SOCKS proxy {at} does not answer: {why}");
        assert!(
            !fine && text.contains(&down) && text.contains("correct bitcoin_core.proxy"),
            "{text}"
        );
    }
    proxy.set_mode(SocksMode::Forward);
    proxy.require("me", "pw");
    let (_, text) = check().await;
    assert!(
        text.contains(&format!(
            "✗ Node: the SOCKS proxy {at} cannot be used: it requires a user and a password"
        )),
        "{text}"
    );
    proxy.stop().await;
    let (_, text) = check().await;
    assert!(
        text.contains(&format!("✗ Node: the SOCKS proxy {at} does not answer: ")),
        "{text}"
    );
}

#[tokio::test]
async fn commands_reach_an_onion_service_through_a_proxy() {
    let proxy = SocksProxy::start().await;
    let options = RelayOptions::new(EXE).arg("--standalone");
    let relay = RelayProcess::start(options.set("HTTP__HOSTS", onion('r', 80).split(':').next().unwrap())).await;
    proxy.add(&onion('r', 8091), address(&relay.http_url()));
    proxy.add(&onion('r', 8090), address(&relay.ws_url()));
    let url = format!("http://{}", onion('r', 8091));
    let shown = |more: &[&str]| {
        let args = [&["status", "--url", &url][..], more].concat();
        in_background(args.into_iter().map(str::to_owned).collect(), Vec::new())
    };
    let (fine, text) = shown(&["--proxy", &proxy.url()]).await;
    assert!(fine && text.contains("healthy"), "{text}");
    let (fine, text) = shown(&[]).await;
    assert!(!fine && text.contains("through a SOCKS proxy of Tor only"), "{text}");

    let keys = tempfile::NamedTempFile::new().unwrap();
    let secrets = "0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c \
                   025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36";
    std::fs::write(keys.path(), secrets).unwrap();
    let scan = |more: &[&str]| {
        let relay = format!("ws://{}", onion('r', 8090));
        let keys = keys.path().to_str().unwrap().to_owned();
        let args = [&["scan", "--from", "1", "--keys", &keys, "--relay", &relay][..], more].concat();
        in_background(args.into_iter().map(str::to_owned).collect(), Vec::new())
    };
    let (fine, text) = scan(&["--proxy", &proxy.url()]).await;
    assert!(fine && text.contains("payments up to block"), "{text}");
    let (fine, text) = scan(&[]).await;
    assert!(!fine && text.contains("through a SOCKS proxy of Tor only"), "{text}");
    proxy.set_mode(SocksMode::Refuse(0xf0));
    let (fine, text) = scan(&["--proxy", &proxy.url()]).await;
    assert!(!fine && text.contains("the onion service is not found"), "{text}");
}

#[tokio::test]
async fn an_oracle_is_reached_through_its_proxy() {
    let node = PooledNode::take(Options::default()).await;
    let proxy = SocksProxy::start().await;
    let truth = RelayOptions::new(EXE)
        .node(&node)
        .set("BLINDBIT__GRPC_LISTEN", "127.0.0.1:0");
    let truth = RelayProcess::start(truth).await;
    let (http, grpc) = (onion('o', 80), onion('g', 7001));
    proxy.add(&http, address(&truth.http_url()));
    proxy.add(&grpc, address(&truth.grpc_url()));
    let host = http.split(':').next().unwrap();
    for (oracle, url) in [
        (&http, format!("http://{host}/blindbit/v2")),
        (&grpc, format!("grpc://{grpc}")),
    ] {
        let before = proxy.asked().len();
        let options = RelayOptions::new(EXE).node(&node).set("BLINDBIT__PROXY", proxy.url());
        let relay = RelayProcess::start(options.set("BLINDBIT__URL", url)).await;
        eventually(DEADLINE, "the Oracle behind the proxy", async || {
            (health(&relay).await["services"]["blindbit"] == "connected").then_some(())
        })
        .await;
        let asked = proxy.asked();
        assert!(asked[before..].iter().all(|target| target == oracle), "{asked:?}");
    }
}
