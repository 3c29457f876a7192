//! The answers of a relay as lines of text.

use sdk_relay_echo::{message, short};
use serde_json::Value;

use super::fetch::Answers;

/// Width of the names on the left.
const NAMES: usize = 10;
const MEGABYTE: f64 = 1e6;

/// Colours of the terminal, if it wants them.
pub(super) struct Paint(bool);

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn new(is_terminal: bool) -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self(is_terminal && !is_unwanted)
    }

    /// Green, yellow or red, by condition.
    fn condition(&self, condition: &str, text: &str) -> String {
        let colour = match condition {
            "healthy" => 32,
            "degraded" => 33,
            _ => 31,
        };
        if self.0 {
            format!("\x1b[{colour}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The lines: one for each part of the relay, then its problems.
pub(super) fn view(url: &str, answers: &Answers, paint: &Paint) -> String {
    let Answers {
        health,
        ready,
        metrics,
        relays,
        config,
    } = answers;
    let condition = health["status"].as_str().unwrap_or("unknown");
    let mut text = format!(
        "sdk_relay {} · {} · {} · {url} · {}\n\n",
        word(&health["software_version"]),
        word(&config["relay_id"]),
        word(&config["network"]),
        paint.condition(condition, &short(condition)),
    );
    let mut line = |name: &str, parts: Vec<String>| {
        text.push_str(&format!("{name:NAMES$}  {}\n", parts.join("   ")));
    };
    line("Ready", vec![readiness(ready)]);
    line("Chain", chain(health, metrics));
    line("Index", index(&health["index"]));
    line("Clients", clients(metrics));
    if let Some(watches) = metrics["relay_metrics"]["watches"].as_u64() {
        let found = many(&metrics["relay_metrics"]["watch_payments_detected"], "payment");
        line("Watches", vec![count(watches), format!("{found} sent to them")]);
    }
    let wallets = wallets(config);
    if !wallets.is_empty() {
        line("Wallets", wallets);
    }
    if config["restart_required"] == true {
        let pending = "changes of the configuration, shown here, wait for a restart (POST /restart)";
        line("Restart", vec![pending.to_owned()]);
    }
    line("Mesh", mesh(metrics, relays));
    line("Process", process(&metrics["system_metrics"]));
    let problems = health["problems"].as_array().map_or(&[][..], Vec::as_slice);
    if problems.is_empty() {
        line("Problems", vec!["none".to_owned()]);
    }
    for (place, problem) in problems.iter().enumerate() {
        let name = if place == 0 { "Problems" } else { "" };
        line(name, vec![paint.condition(condition, &word(problem))]);
    }
    text.truncate(text.trim_end().len());
    text
}

fn readiness(ready: &Value) -> String {
    match ready["reason"].as_str() {
        Some(reason) => format!("no: {}", message(reason)),
        None => "yes: it follows the tip, and knows the mempool".to_owned(),
    }
}

fn chain(health: &Value, metrics: &Value) -> Vec<String> {
    let (tip, node) = (
        &metrics["relay_metrics"]["tip_height"],
        &metrics["bitcoin_metrics"]["block_height"],
    );
    let mut parts = vec![format!("block {}", number(tip))];
    match (tip.as_u64(), node.as_u64()) {
        (Some(tip), Some(node)) if node > tip => {
            parts.push(format!("{} behind the node", counted(node - tip, "block")));
        }
        (Some(_), Some(_)) => parts.push("at the tip of the node".to_owned()),
        _ => parts.push(format!("node {}", word(&health["services"]["bitcoin_core"]))),
    }
    parts.push(format!("events: {}", word(&health["event_source"])));
    let mempool = &metrics["bitcoin_metrics"]["mempool_size"];
    parts.push(format!("mempool {}", many(mempool, "transaction")));
    parts
}

fn index(index: &Value) -> Vec<String> {
    let Some(state) = index["state"].as_str() else {
        return vec!["off (index.enabled = false)".to_owned()];
    };
    let percent = index["progress"].as_f64().unwrap_or_default() * 100.0;
    vec![
        short(state),
        format!(
            "blocks {} to {}",
            number(&index["first_height"]),
            number(&index["height"])
        ),
        format!("of {} ({percent:.1} %)", number(&index["target"])),
    ]
}

fn clients(metrics: &Value) -> Vec<String> {
    let relay = &metrics["relay_metrics"];
    vec![
        many(&metrics["system_metrics"]["active_connections"], "connection"),
        format!("{} sent", many(&relay["notifications_sent"], "event")),
        format!("{} closed as too slow", number(&relay["slow_clients_cut"])),
    ]
}

/// The ports for wallets that are on.
fn wallets(config: &Value) -> Vec<String> {
    let ports = [
        ("Electrum", &config["electrum"]["listen"]),
        ("Electrum with TLS", &config["electrum"]["tls_listen"]),
        ("BlindBit gRPC", &config["blindbit"]["grpc_listen"]),
    ];
    let on = ports.into_iter().filter_map(|(name, port)| {
        let port = port.as_str().filter(|port| !port.is_empty())?;
        Some(format!("{name} {}", short(port)))
    });
    on.collect()
}

fn mesh(metrics: &Value, relays: &Value) -> Vec<String> {
    let sync = &metrics["sync_metrics"];
    let known = sync["known_relays"].as_u64().unwrap_or(1);
    if known <= 1 {
        return vec!["no other relays".to_owned()];
    }
    let mut parts = vec![
        counted(known, "relay"),
        many(&sync["mesh_connections"], "link"),
        format!(
            "{} healthy, {} with a warning, {} critical",
            number(&relays["healthy"]),
            number(&relays["warning"]),
            number(&relays["critical"])
        ),
    ];
    if let Some(latency) = sync["avg_latency"].as_f64() {
        parts.push(format!("{latency:.1} ms per sync"));
    }
    parts
}

fn process(system: &Value) -> Vec<String> {
    let megabytes = |field: &str| {
        let bytes = system[field].as_f64();
        bytes.map_or_else(|| "–".to_owned(), |bytes| format!("{:.0} MB", bytes / MEGABYTE))
    };
    let cpu = system["cpu_percent"].as_f64();
    vec![
        format!("up {}", duration(system["uptime"].as_u64().unwrap_or_default())),
        format!("memory {}", megabytes("memory_bytes")),
        format!(
            "processor {}",
            cpu.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"))
        ),
        format!("disk {}", megabytes("disk_bytes")),
    ]
}

/// A text, without what would control the terminal; a dash if the relay has not sent it.
fn word(value: &Value) -> String {
    message(value.as_str().unwrap_or("–"))
}

/// A whole number in groups of three digits; a dash if it is not known.
fn number(value: &Value) -> String {
    value.as_u64().map_or_else(|| "–".to_owned(), count)
}

/// A number with the name of what it counts; a dash if it is not known.
fn many(value: &Value, name: &str) -> String {
    match value.as_u64() {
        Some(number) => counted(number, name),
        None => format!("– {name}s"),
    }
}

fn counted(number: u64, name: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {name}{ending}", count(number))
}

fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests;
