//! Random texts: arbitrary ones, and mutated messages.

use bitcoin::secp256k1::rand::Rng;
use bitcoin::secp256k1::rand::rngs::StdRng;
use bitcoin::secp256k1::rand::seq::SliceRandom;

/// A valid message of each type.
const MESSAGES: [&str; 9] = [
    r#"{"type":"handshake","client_id":"c","version":"1.0.0","capabilities":["sync","health"],"timestamp":1703001600,"resume_from":0}"#,
    r#"{"type":"handshake","client_id":"r","version":"1.0.0","capabilities":[],"role":"relay","relay_id":"relay-2","address":"h:1"}"#,
    r#"{"type":"ping","client_id":"c","timestamp":1703001600}"#,
    r#"{"type":"subscribe","subscriptions":["notifications","health","metrics"],"message_id":"m"}"#,
    r#"{"type":"unsubscribe","subscriptions":["metrics"],"client_id":"c"}"#,
    r#"{"type":"sync","sync_type":"StateSync","relay_id":"relay-1","payload":{"state":{"uptime":3600,"status":"healthy"}},"message_id":"m"}"#,
    r#"{"type":"sync","sync_type":"MetricsSync","message_id":"msg-1"}"#,
    r#"{"type":"watch","scan_private_key":"0f694e068028a717f8af6b9411f9a133dd3565258714cc226594b34db90c1f2c","spend_public_key":"025cc9856d6f8375350e123978daac200c260cb5b5ae83106cab90484dcd8fcf36","labels":[1,2]}"#,
    r#"{"type":"unwatch","watch_id":"watch-1","message_id":"m"}"#,
];

/// Difficult input for JSON parsers.
const PIECES: [&str; 24] = [
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "-",
    "-0",
    "1e999",
    "0x1",
    "18446744073709551616",
    "NaN",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "{\"type\":\"ping\"}",
    "//",
    "\n",
];

/// Random characters of every plane of Unicode; mostly short, some long.
pub(crate) fn text(rng: &mut StdRng) -> String {
    let longest = *[0, 8, 60, 400, 4000].choose(rng).expect("one");
    let length = rng.gen_range(0..=longest);
    (0..length)
        .map(|_| match rng.gen_range(0..4) {
            0 => rng.gen_range(' '..='~'),
            1 => rng.gen_range('\0'..='\u{ff}'),
            2 => *['{', '}', '"', ':', '[', ']', ',', '1'].choose(rng).expect("one"),
            _ => rng.r#gen(),
        })
        .collect()
}

/// A valid message after a few changes. Some are still valid.
pub(crate) fn message(rng: &mut StdRng) -> String {
    let mut chars: Vec<char> = MESSAGES.choose(rng).expect("one").chars().collect();
    for _ in 0..rng.gen_range(1..=4) {
        let (a, b) = (rng.gen_range(0..=chars.len()), rng.gen_range(0..=chars.len()));
        let range = a.min(b)..a.max(b).min(a.min(b) + 20);
        match rng.gen_range(0..7) {
            0 => drop(chars.drain(range)),
            1 => {
                let copy = chars[range].to_vec();
                chars.splice(a..a, copy.repeat(rng.gen_range(1..=3)));
            }
            2 => chars.truncate(a),
            3 => chars[range].reverse(),
            4 => drop(chars.splice(range, text(rng).chars().take(30))),
            _ => {
                let piece = PIECES.choose(rng).expect("one");
                let end = if rng.r#gen() { range.end } else { range.start };
                chars.splice(range.start..end, piece.chars());
            }
        }
    }
    chars.into_iter().collect()
}

/// Random bytes.
pub(crate) fn bytes(rng: &mut StdRng, longest: usize) -> Vec<u8> {
    let mut bytes = vec![0; rng.gen_range(0..=longest)];
    rng.fill(bytes.as_mut_slice());
    bytes
}
