use std::num::NonZeroU32;
use std::time::Duration;

use sdk_relay_outbound::{Limit, Limits, OutboundMetrics, Parts, Rules, SystemDialer, SystemResolver, system_tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::subscription::tests::{AUTH, P256DH};

/// A push service on a loopback address: the test reads each request, and answers it.
struct Service(TcpListener);

impl Service {
    async fn new() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn endpoint(&self) -> String {
        format!("http://{}/endpoint", self.0.local_addr().unwrap())
    }

    /// The head of the next request, and its connection.
    async fn request(&self) -> (String, TcpStream) {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut read = Vec::new();
        let head = loop {
            assert_ne!(stream.read_buf(&mut read).await.unwrap(), 0, "a request ends early");
            if let Some(end) = read.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break String::from_utf8(read[..end].to_vec()).unwrap();
            }
        };
        (head, stream)
    }

    async fn answer(&self, status: &str) -> String {
        let (head, mut stream) = self.request().await;
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The body may still be under way: a connection that is closed before would be reset.
        let mut rest = Vec::new();
        drop(stream.read_to_end(&mut rest).await);
        head
    }
}

fn push(limits: Limits) -> Push {
    let parts = Parts {
        rules: Rules {
            allow_http: true,
            allow: vec!["127.0.0.0/8".parse().unwrap()],
            ..Rules::default()
        },
        limits,
        timeouts: sdk_relay_outbound::Timeouts::default(),
        tls: system_tls().unwrap(),
        resolver: Arc::new(SystemResolver),
        dialer: Arc::new(SystemDialer),
        metrics: OutboundMetrics::default(),
    };
    let key = PushKey::from_pkcs8(PushKey::generate().unwrap().as_ref()).unwrap();
    let pause = Duration::from_millis(1);
    let timeouts = Timeouts {
        between: pause,
        first_pause: pause,
        longest_pause: pause,
    };
    let subject = "mailto:relay@example.com".to_owned();
    Push::new(Outbound::new(parts), key, subject, PushMetrics::default(), timeouts)
}

fn receiver(push: &Push, service: &Service, client: u8) -> Receiver {
    let client = [10, 0, 0, client].into();
    push.receiver((&service.endpoint(), P256DH, AUTH), client).unwrap()
}

/// Runs a test while the messages are sent.
async fn while_running(push: &Push, test: impl Future<Output = ()>) {
    tokio::select! {
        () = push.clone().run() => panic!("it has ended"),
        () = test => {}
    }
}

#[tokio::test]
async fn a_message_is_repeated_until_it_is_taken_and_a_subscription_that_is_gone_gets_no_more() {
    let push = push(Limits::default());
    let (service, other) = (Service::new().await, Service::new().await);
    let (one, two) = (receiver(&push, &service, 1), receiver(&push, &other, 2));
    while_running(&push, async {
        one.wake("a", 1);
        for status in ["503 Service Unavailable", "429 Too Many Requests", "201 Created"] {
            let head = service.answer(status).await;
            assert!(head.starts_with("POST /endpoint HTTP/1.1\r\n"), "{head}");
            for field in [
                &format!("k={}", push.public_key()),
                "authorization: vapid t=ey",
                "content-encoding: aes128gcm",
                "ttl: 86400",
                "urgency: high",
                "topic: ",
            ] {
                assert!(head.contains(field), "{field} is missing: {head}");
            }
        }
        one.wake("a", 2);
        service.answer("410 Gone").await;
        // The answer may not have been read yet: messages before it has, end in the same way.
        two.wake("b", 1);
        other.answer("201 Created").await;
        one.wake("a", 3);
        two.wake("b", 2);
        other.answer("201 Created").await;
        let connections = tokio::time::timeout(Duration::ZERO, service.0.accept()).await;
        assert!(connections.is_err(), "a message after the end of its subscription");
    })
    .await;
}

/// RFC 8030 puts no limit on how long a push service may take.
#[tokio::test]
async fn a_push_service_that_does_not_answer_delays_only_its_own_messages() {
    let push = push(Limits::default());
    let (slow, fast) = (Service::new().await, Service::new().await);
    let (one, two) = (receiver(&push, &slow, 1), receiver(&push, &fast, 2));
    while_running(&push, async {
        one.wake("a", 1);
        let held = slow.request().await;
        for count in 1..=5 {
            two.wake("b", count);
            fast.answer("201 Created").await;
        }
        drop(held);
        slow.answer("201 Created").await;
    })
    .await;
}

#[tokio::test]
async fn a_client_over_its_limit_is_served_later_and_nobody_waits_for_it() {
    let few = Limit {
        in_flight: 1,
        per_minute: NonZeroU32::new(60_000).unwrap(),
        burst: NonZeroU32::MIN,
    };
    let push = push(Limits {
        client: few,
        ..Limits::default()
    });
    let (service, other) = (Service::new().await, Service::new().await);
    let many = receiver(&push, &service, 1);
    let single = receiver(&push, &other, 2);
    while_running(&push, async {
        for watch in ["a", "b", "c"] {
            many.wake(watch, 1);
        }
        let held = service.request().await;
        single.wake("d", 1);
        other.answer("201 Created").await;
        drop(held);
        // The first is repeated, the others come for the first time.
        let mut topics = std::collections::BTreeSet::new();
        while topics.len() < 3 {
            let head = service.answer("201 Created").await;
            let topic = head.lines().find(|line| line.starts_with("topic: "));
            topics.insert(topic.unwrap().to_owned());
        }
    })
    .await;
}

#[tokio::test]
async fn a_wrong_subscription_is_refused() {
    let push = push(Limits::default());
    for (endpoint, p256dh, auth) in [
        ("https://127.1/", P256DH, AUTH),
        ("https://push.example/", AUTH, AUTH),
        ("https://push.example/", P256DH, P256DH),
    ] {
        let refused = push.receiver((endpoint, p256dh, auth), [9, 9, 9, 9].into());
        assert!(refused.unwrap_err().to_string().starts_with("push."));
    }
}
