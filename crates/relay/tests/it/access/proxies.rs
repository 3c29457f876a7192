//! Proxies that add no header: a bare TCP proxy, like stunnel, Tor and ssh tunnels.

use testkit::RelayProcess;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::access::talk::{PRIVILEGED, TOKEN, address, request, standalone, status};

/// Passes bytes on, both ways, until it is dropped.
struct TcpProxy {
    address: String,
    _tasks: JoinSet<()>,
}

impl TcpProxy {
    async fn before(upstream: &str) -> TcpProxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let upstream = upstream.to_owned();
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let upstream = upstream.clone();
                connections.spawn(async move {
                    let mut far = TcpStream::connect(upstream).await.unwrap();
                    drop(copy_bidirectional(&mut near, &mut far).await);
                });
            }
        });
        TcpProxy { address, _tasks: tasks }
    }
}

#[tokio::test]
async fn a_tcp_proxy_passes_the_privilege_on_unless_local_admin_is_off() {
    for (options, by_address, by_name) in [
        // As docs/reverse-proxy.md says: clients of this proxy differ from local programs only by a name in Host.
        (standalone(), 200, 401),
        (standalone().set("HTTP__LOCAL_ADMIN", "false"), 401, 401),
        (standalone().set("AUTH__ADMIN_TOKEN", TOKEN), 401, 401),
        (standalone().set("HTTP__TRUSTED_PROXIES", "127.0.0.1"), 401, 401),
    ] {
        let relay = RelayProcess::start(options).await;
        let proxy = TcpProxy::before(address(&relay.http_url())).await;
        for (method, path) in PRIVILEGED
            .into_iter()
            .filter(|(_, path)| *path != "/restart" || by_address == 401)
        {
            for (host, expected) in [
                ("localhost", by_address),
                ("192.0.2.1:8091", by_address),
                ("relay.example.com", by_name),
            ] {
                let lines = format!("Host: {host}\r\nConnection: close\r\n");
                assert_eq!(
                    status(&proxy.address, request(method, path, &lines)).await,
                    expected,
                    "{method} {path} {host}"
                );
            }
        }
    }
}
