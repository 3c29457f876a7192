use proptest::prelude::*;

use super::*;

const HELLO: &str =
    r#"{"type":"handshake","client_id":"c","version":"1.0.0","capabilities":["sync","notifications","flying"]}"#;

fn open() -> Session {
    let mut session = Session::new(2, Vec::new());
    assert_eq!(session.read(HELLO), Action::Welcome { begin: Begin::Now });
    session
}

fn code(action: Action) -> ErrorCode {
    match action {
        Action::Refuse(refusal) | Action::RefuseAndClose(refusal, _) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn capabilities_subscribe_to_the_topics_of_their_names() {
    let session = open();
    assert_eq!(
        session.topics().iter().collect::<Vec<_>>(),
        [Topic::Notifications, Topic::Sync]
    );
}

#[test]
fn what_is_no_handshake_is_rejected_first() {
    let bad = [
        r#"{"type":"ping"}"#,
        "nonsense",
        r#"{"type":"handshake","client_id":"","version":"1.0.0","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a\u0007","version":"1.0.0","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a","version":"2.0.0","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a","version":"1.0","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a","version":"01.0.0","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a","version":"one","capabilities":[]}"#,
        r#"{"type":"handshake","client_id":"a","version":"1.0.0"}"#,
        r#"{"type":"handshake","client_id":"a","version":"1.0.0","capabilities":[],"role":"king"}"#,
        r#"{"type":"handshake","client_id":"a","version":"1.0.0","capabilities":[],"role":"relay"}"#,
    ];
    for text in bad {
        let mut session = Session::new(2, Vec::new());
        assert!(
            matches!(session.read(text), Action::Reject(_, CloseCode::Protocol)),
            "{text}"
        );
        assert!(!session.is_open());
    }
    let long = format!(
        r#"{{"type":"handshake","client_id":"{}","version":"1.0.0","capabilities":[]}}"#,
        "é".repeat(129)
    );
    assert!(matches!(
        Session::new(2, Vec::new()).read(&long),
        Action::Reject(_, CloseCode::Protocol)
    ));
    let fits = format!(
        r#"{{"type":"handshake","client_id":"{}","version":"1.9.3-rc.1","capabilities":[]}}"#,
        "é".repeat(128)
    );
    assert!(matches!(
        Session::new(2, Vec::new()).read(&fits),
        Action::Welcome { .. }
    ));
}

#[test]
fn a_second_handshake_is_an_error_and_no_more() {
    let mut session = open();
    assert_eq!(code(session.read(HELLO)), ErrorCode::InvalidField);
    assert_eq!(session.read(r#"{"type":"ping"}"#), Action::Pong);
}

#[test]
fn topics_come_and_go() {
    let mut session = open();
    let action = session.read(r#"{"type":"subscribe","subscriptions":["health","notifications","health"]}"#);
    assert_eq!(
        action,
        Action::Subscribed {
            added: vec![Topic::Health],
            tweaks_from: None,
        }
    );
    assert_eq!(
        session.read(r#"{"type":"unsubscribe","subscriptions":["sync","metrics"]}"#),
        Action::Unsubscribed
    );
    assert_eq!(
        session.topics().iter().collect::<Vec<_>>(),
        [Topic::Notifications, Topic::Health]
    );
    assert_eq!(
        code(session.read(r#"{"type":"subscribe","subscriptions":["weather"]}"#)),
        ErrorCode::InvalidField
    );
    assert_eq!(session.topics().iter().count(), 2, "a refused message changes nothing");
}

#[test]
fn sync_needs_its_capability() {
    let sync = r#"{"type":"sync","sync_type":"StateSync","message_id":"m"}"#;
    assert!(matches!(open().read(sync), Action::Sync(_)));
    let mut session = Session::new(2, Vec::new());
    session.read(r#"{"type":"handshake","client_id":"c","version":"1.0.0","capabilities":[]}"#);
    assert_eq!(code(session.read(sync)), ErrorCode::NotAuthorized);
}

#[test]
fn watches_are_counted_and_owned() {
    let watch = r#"{"type":"watch","scan_private_key":"00","spend_public_key":"02"}"#;
    let mut session = open();
    for id in ["watch-1", "watch-2"] {
        assert!(matches!(session.read(watch), Action::Watch(_)));
        session.watching(id.to_owned(), false);
    }
    assert_eq!(code(session.read(watch)), ErrorCode::TooManyWatches);
    assert_eq!(
        code(session.read(r#"{"type":"unwatch","watch_id":"watch-3"}"#)),
        ErrorCode::InvalidField
    );
    assert!(matches!(
        session.read(r#"{"type":"unwatch","watch_id":"watch-1"}"#),
        Action::Unwatch(_)
    ));
    assert_eq!(
        code(session.read(r#"{"type":"unwatch","watch_id":"watch-1"}"#)),
        ErrorCode::InvalidField
    );
    assert!(matches!(session.read(watch), Action::Watch(_)));
}

#[test]
fn detached_watches_count_while_they_are_attached() {
    let attach = |id: &str| format!(r#"{{"type":"attach","watch_id":"{id}","watch_token":"00","after":1}}"#);
    let mut session = open();
    for id in ["watch-1", "watch-2"] {
        assert!(matches!(session.read(&attach(id)), Action::Attach(_)));
        session.watching(id.to_owned(), true);
    }
    assert_eq!(code(session.read(&attach("watch-3"))), ErrorCode::TooManyWatches);
    // It releases matches of its own.
    assert!(matches!(session.read(&attach("watch-1")), Action::Attach(_)));
    session.watching("watch-1".to_owned(), true);
    assert_eq!(session.detached().collect::<Vec<_>>(), ["watch-1", "watch-2"]);
    session.not_watching_any_more("watch-1");
    assert!(matches!(session.read(&attach("watch-3")), Action::Attach(_)));
    session.not_watching();
    assert!(session.has_watches());
    session.not_watching_any_more("watch-2");
    assert!(!session.has_watches());
    assert_eq!(
        code(session.read(r#"{"type":"unwatch","watch_id":"watch-1"}"#)),
        ErrorCode::InvalidField
    );
}

#[test]
fn ten_errors_in_a_row_end_it_and_a_valid_message_resets_the_count() {
    let mut session = open();
    for _ in 0..9 {
        assert!(matches!(session.read("{"), Action::Refuse(_)));
    }
    assert_eq!(session.read(r#"{"type":"ping"}"#), Action::Pong);
    for _ in 0..9 {
        assert!(matches!(session.read("{"), Action::Refuse(_)));
    }
    assert!(matches!(
        session.read("{"),
        Action::RefuseAndClose(_, CloseCode::Protocol)
    ));
}

#[test]
fn a_token_is_asked_for_where_one_is_set() {
    let gated = || {
        Session::new(
            2,
            ["0123456789abcdef", "fedcba9876543210"]
                .map(|token| Secret::new(token.to_owned()))
                .into(),
        )
    };
    let with = |token: &str| HELLO.replace(r#""client_id""#, &format!(r#""token":"{token}","client_id""#));
    assert!(matches!(gated().read(HELLO), Action::Reject(_, CloseCode::Policy)));
    assert!(matches!(
        gated().read(&with("0123456789abcdeF")),
        Action::Reject(_, CloseCode::Policy)
    ));
    for right in ["0123456789abcdef", "fedcba9876543210"] {
        assert!(matches!(gated().read(&with(right)), Action::Welcome { .. }));
    }
}

proptest! {
    #[test]
    fn any_conversation_is_understood_or_refused(texts in proptest::collection::vec(".{0,80}", 0..20)) {
        let mut session = open();
        for text in texts {
            session.read(&text);
        }
    }
}
