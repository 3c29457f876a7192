//! The node refuses the relay temporarily.

use testkit::{Options, RelayProcess};

use crate::outages::{logged, unwell, well};
use crate::story::listener::Listener;
use crate::story::scene::Scene;

fn with_password(password: &str) -> Options {
    Options {
        user: Some(("relay".to_owned(), password.to_owned())),
        ..Options::default()
    }
}

#[tokio::test]
async fn a_wrong_password_that_is_corrected() {
    let mut scene = Scene::new(with_password("the-right-one")).await;
    let options = scene.relay().set("BITCOIN_CORE__PASSWORD", "another-one");
    let relay = RelayProcess::start_listening(options).await;
    let problem = unwell(&relay, "critical", "refuses the credentials").await;
    assert!(
        problem.contains("bitcoin_core.password") && problem.contains("\"relay\""),
        "{problem}"
    );
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    // On the node's side: the relay needs no restart.
    scene.node.stop().await;
    scene.node.start_again_with(with_password("another-one")).await;
    scene.mempool_loaded().await;
    well(&relay).await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;
    let log = relay.stderr();
    assert!(
        log.contains("refuses the credentials") && !log.contains("another-one"),
        "{log}"
    );
}

#[tokio::test]
async fn a_cookie_file_that_appears_later() {
    let mut scene = Scene::new(Options::default()).await;
    let dir = tempfile::tempdir().unwrap();
    let cookie = dir.path().join("cookie");
    let options = scene.relay().set("BITCOIN_CORE__COOKIE_FILE", &cookie);
    let relay = RelayProcess::start_listening(options).await;
    let problem = unwell(&relay, "critical", "no credentials for").await;
    let named = format!("cannot read the cookie file {}: No such file", cookie.display());
    assert!(problem.contains(&named), "{problem}");
    assert!(problem.contains("bitcoin_core.cookie_file"), "{problem}");
    assert!(!problem.contains("refuses"), "the node has seen none: {problem}");
    scene.meet(&relay).await;
    let listener = Listener::start(relay.ws_url());
    std::fs::copy(scene.node.cookie_file(), &cookie).unwrap();
    well(&relay).await;
    scene.mixed_activity().await;
    scene.agrees(&listener).await;
    assert_eq!(logged(&relay, "no credentials for"), 1, "{}", relay.stderr());
    let secret = std::fs::read_to_string(&cookie).unwrap();
    let secret = secret.trim().rsplit(':').next().unwrap();
    assert!(!relay.stderr().contains(secret), "the cookie is in the log");
}
