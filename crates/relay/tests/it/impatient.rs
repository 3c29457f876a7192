//! Relays whose time limits are short, so that a test of a limit waits for seconds: the test program starts itself as
//! such a relay; or relays with a limit so long that another one must act. The last test has the limits of a real one.

use std::time::Duration;

use sdk_relay::Timeouts;
use sdk_relay::run::run_with;
use sdk_relay_config::Overrides;
use testkit::RelayOptions;

/// The variable that makes this program a relay, and says which limits are short.
const LIMITS: &str = "IMPATIENT_RELAY";

/// What a client of [`standalone`] has for its headers, for TLS, for its handshake, and for a message or a body. A
/// busy machine answers within it.
pub(crate) const INPUT: Duration = Duration::from_secs(3);

/// How long a client of [`with_electrum`] may send no request.
pub(crate) const IDLE: Duration = Duration::from_secs(4);

#[test]
#[ignore = "the relay that the other tests start"]
fn child() {
    let mut timeouts = Timeouts::default();
    match std::env::var(LIMITS).as_deref() {
        Ok("connections") => {
            timeouts.transport.headers = INPUT;
            timeouts.transport.tls_handshake = INPUT;
            timeouts.transport.input = INPUT;
            timeouts.transport.write = Duration::from_secs(8);
            timeouts.ws.handshake = INPUT;
            timeouts.ws.write = Duration::from_secs(5);
            timeouts.ws.close = Duration::from_secs(1);
        }
        Ok("mesh") => {
            timeouts.mesh.response = Duration::from_secs(4);
            timeouts.mesh.bind_after = 3;
        }
        // Longer than any test.
        Ok("patience") => timeouts.transport.headers = Duration::from_secs(3600),
        Ok("electrum") => {
            timeouts.electrum.idle = IDLE;
            timeouts.electrum.write = Duration::from_secs(2);
            timeouts.transport.input = INPUT;
        }
        Ok("webhooks") => {
            timeouts.webhooks.first_pause = Duration::from_millis(10);
            timeouts.webhooks.longest_pause = Duration::from_millis(100);
            timeouts.webhooks.attempt = Duration::from_secs(2);
        }
        Ok("memory") => timeouts.blindbit.memory = Duration::from_secs(3),
        _ => return,
    }
    match run_with(Overrides::default(), None, timeouts) {
        Ok(()) => std::process::exit(0),
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    }
}

/// A relay on its embedded chain that waits for no client as long as a real one.
pub(crate) fn standalone() -> RelayOptions {
    with("connections")
}

/// A relay on its embedded chain that closes no connection because its request is late.
pub(crate) fn patient() -> RelayOptions {
    with("patience")
}

/// A relay on its embedded chain that lets no request wait long for memory.
pub(crate) fn without_memory() -> RelayOptions {
    with("memory")
}

/// A relay on its embedded chain that soon closes an Electrum connection without requests.
pub(crate) fn with_electrum() -> RelayOptions {
    with("electrum").electrum()
}

/// A relay on its embedded chain that soon posts again what an endpoint has not accepted.
pub(crate) fn with_webhooks() -> RelayOptions {
    with("webhooks")
}

/// A relay that soon gives up a relay that does not answer, and soon binds the name of one that does.
pub(crate) fn in_mesh() -> RelayOptions {
    with("mesh").set("STANDALONE", "false")
}

fn with(limits: &str) -> RelayOptions {
    let options = RelayOptions::new(std::env::current_exe().unwrap())
        .set("STANDALONE", "true")
        .env(LIMITS, limits);
    ["impatient::child", "--exact", "--ignored", "--nocapture"]
        .into_iter()
        .fold(options, RelayOptions::arg)
}

#[test]
fn the_limits_of_a_relay_are_those_of_the_contract() {
    let Timeouts {
        transport,
        ws,
        mesh,
        blindbit,
        electrum,
        webhooks,
    } = Timeouts::default();
    let seconds = |limits: &[Duration]| limits.iter().map(Duration::as_secs).collect::<Vec<_>>();
    assert_eq!(
        seconds(&[
            transport.headers,
            transport.tls_handshake,
            transport.input,
            transport.write
        ]),
        [10, 10, 10, 30]
    );
    assert_eq!(
        seconds(&[ws.handshake, ws.ping, ws.silence, ws.write, ws.close]),
        [10, 30, 90, 20, 2]
    );
    assert_eq!((mesh.response.as_secs(), mesh.bind_after), (5, 20));
    assert_eq!(blindbit.memory.as_secs(), 20);
    assert_eq!(
        seconds(&[
            electrum.idle,
            electrum.progress,
            electrum.node,
            electrum.write,
            electrum.backend,
            electrum.backend_ping,
            electrum.backend_retry.0,
            electrum.backend_retry.1,
            electrum.close
        ]),
        [600, 5, 20, 20, 20, 60, 1, 60, 2]
    );
    assert_eq!(electrum.first_notification, Duration::from_millis(250));
    assert_eq!(
        seconds(&[
            webhooks.attempt,
            webhooks.first_pause,
            webhooks.proxied_attempt,
            webhooks.longest_pause
        ]),
        [20, 5, 45, 24 * 3600]
    );
}
