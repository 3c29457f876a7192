//! Ten thousand hostile URLs.

use std::collections::BTreeSet;

use sdk_relay_outbound::{Failure, Host, Kind, Rules, Target};

use crate::servers::Server;
use crate::stage::{CLIENT, PUBLIC, Setup, request};
use crate::urls::{hosts, urls};

#[tokio::test]
async fn ten_thousand_hostile_urls_reach_no_private_address() {
    let victim = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let port = victim.address.port();
    let redirect =
        format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:{port}/\r\nContent-Length: 0\r\n\r\n");
    let redirecting = Server::answering(redirect).await;
    let stage = Setup::default().build();
    stage.serve("public.example", PUBLIC, redirecting.address);
    let (mut seen, mut unparsed, mut refused, mut redirected) = (BTreeSet::new(), 0, 0, 0);
    let mut attempts_by_name = 0;
    for hostile in hosts(PUBLIC) {
        let answers: Vec<_> = hostile.leads_to.iter().map(Vec::as_slice).collect();
        stage.names.set(&hostile.host, &answers);
        for url in urls(&hostile.host, port) {
            // A name may lead elsewhere the second time.
            for _ in 0..=usize::from(!answers.is_empty()) {
                let Ok(target) = Target::parse(&url, true) else {
                    unparsed += 1;
                    continue;
                };
                attempts_by_name += usize::from(matches!(target.host(), Host::Name(_)));
                match stage.post(&url).await {
                    Ok(answer) => {
                        assert_eq!(
                            answer.status, 307,
                            "{url}: another server than the public one has answered"
                        );
                        redirected += 1;
                    }
                    Err(Failure::Refused) => refused += 1,
                    // The public server has no TLS.
                    Err(Failure::Tls(_)) => {}
                    Err(other) => panic!("{url}: {other}"),
                }
            }
            seen.insert(url);
        }
    }
    assert!(seen.len() >= 10_000, "{}", seen.len());
    // Each of the ways was taken.
    assert!(
        unparsed > 1000 && refused > 1000 && redirected > 100,
        "{unparsed} {refused} {redirected}"
    );
    assert_eq!(victim.connections(), 0);
    let dialled = stage.map.dialled.lock().unwrap();
    assert!(dialled.len() > 100);
    for address in &*dialled {
        assert!(Kind::of(address.ip()).is_none(), "{address} was dialled");
    }
    assert_eq!(
        stage.names.asked.lock().unwrap().len(),
        attempts_by_name,
        "a name is resolved once for each attempt"
    );
}

/// Shows that the test above would notice a connection.
#[tokio::test]
async fn a_loopback_address_that_the_operator_allows_is_reached() {
    let victim = Server::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    let rules = Rules {
        allow_http: true,
        allow: vec!["127.0.0.0/8".parse().unwrap()],
        ..Rules::default()
    };
    let url = format!("http://127.0.0.1:{}/", victim.address.port());
    let stage = Setup {
        rules: rules.clone(),
        ..Setup::default()
    }
    .build();
    assert_eq!(stage.post(&url).await.unwrap().status, 200);
    assert_eq!(victim.connections(), 1);
    // Not a port of the relay itself.
    let rules = Rules {
        listens_on: vec![([0, 0, 0, 0], victim.address.port()).into()],
        ..rules
    };
    let stage = Setup {
        rules,
        ..Setup::default()
    }
    .build();
    assert_eq!(stage.post(&url).await.unwrap_err(), Failure::Refused);
    assert_eq!(victim.connections(), 1);
}

#[tokio::test]
async fn the_names_of_the_relay_and_what_they_lead_to_are_not_called() {
    let rules = Rules {
        allow_http: true,
        own_names: vec!["relay.example".to_owned()],
        own_addresses: vec!["8.8.8.8".parse().unwrap()],
        ..Rules::default()
    };
    let stage = Setup {
        rules,
        ..Setup::default()
    }
    .build();
    stage.names.set("relay.example", &[&[PUBLIC]]);
    stage.names.set("other.example", &[&[PUBLIC]]);
    for url in [
        "https://relay.example/",
        "https://RELAY.example:8091/",
        "https://other.example/",
        "https://1.1.1.1/",
        "https://8.8.8.8/",
    ] {
        assert_eq!(stage.post(url).await.unwrap_err(), Failure::Refused, "{url}");
    }
    assert!(stage.map.dialled.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_the_setting_no_request_is_without_tls() {
    let stage = Setup {
        rules: Rules::default(),
        ..Setup::default()
    }
    .build();
    let refused = stage.outbound.post(CLIENT, &request("http://1.1.1.1/")).await;
    assert_eq!(refused.unwrap_err(), Failure::Refused);
    assert!(!stage.outbound.allows_http() && stage.map.dialled.lock().unwrap().is_empty());
}
