//! Sentences for people who cannot connect.

use sdk_relay_client::ConnectError;

/// What happened, and what to do.
pub(crate) fn sentence(error: &ConnectError) -> String {
    let todo = match error {
        // The text says what is expected.
        ConnectError::Url { .. } => "the usual port is 8090, as in ws://127.0.0.1:8090",
        ConnectError::Unreachable { .. } | ConnectError::Timeout { .. } => {
            "start a relay there (./scripts/run starts one on this machine), or name the URL of another one"
        }
        ConnectError::NotWebSocket { .. } => "name the WebSocket port of the relay (8090 unless ws_url says otherwise)",
        ConnectError::Tls {
            can_be_trusted: true, ..
        } => "name the PEM file of its certificate, or of the authority that issued it, after the URL",
        // The text says what to do.
        ConnectError::SpeaksTls { .. }
        | ConnectError::SpeaksNoTls { .. }
        | ConnectError::Tls { .. }
        | ConnectError::Trust { .. } => return error.to_string(),
        ConnectError::Rejected { .. } => "if it needs a token, name a file with it: --token-file FILE",
        _ => "try again later, or another relay",
    };
    format!("{error}: {todo}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_says_what_happened_and_what_to_do() {
        let address = || "127.0.0.1:8090".to_owned();
        let errors = [
            (
                ConnectError::Url {
                    url: "localhost".to_owned(),
                    reason: "the scheme is missing".to_owned(),
                },
                "\"localhost\" is not a relay URL: the scheme is missing; expected ws://HOST:PORT or wss://HOST:PORT: the usual port is 8090",
            ),
            (
                ConnectError::Unreachable {
                    address: address(),
                    source: std::io::ErrorKind::ConnectionRefused.into(),
                },
                "cannot connect to 127.0.0.1:8090: connection refused: start a relay there",
            ),
            (
                ConnectError::Rejected {
                    reason: "a token is required".to_owned(),
                },
                "the relay rejected the handshake: a token is required: if it needs a token, name a file with it: --token-file FILE",
            ),
            (
                ConnectError::NotWebSocket {
                    address: address(),
                    reason: "HTTP 404".to_owned(),
                },
                "127.0.0.1:8090 does not speak WebSocket: HTTP 404: name the WebSocket port",
            ),
        ];
        for (error, expected) in errors {
            let text = sentence(&error);
            assert!(text.starts_with(expected), "{text}");
        }
    }
}
