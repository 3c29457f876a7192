//! The OpenMetrics text of `GET /metrics`.

use std::fmt::{self, Write};

use sdk_relay_chain::EventSource;
use sdk_relay_index::IndexFigures;
use sdk_relay_protocol::http::Metrics;
use sdk_relay_service::Condition;

use crate::state::Figures;

/// The counters of the registries, then the figures that are read for each answer.
pub(super) fn text(shown: &Figures, figures: &Metrics) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode_registry(&mut text, &shown.registry)?;
    if figures.relay_metrics.watches.is_some() {
        prometheus_client::encoding::text::encode_registry(&mut text, &shown.private_registry)?;
    }
    let Metrics {
        system_metrics: system,
        bitcoin_metrics: node,
        relay_metrics: relay,
        sync_metrics: sync,
        ..
    } = figures;
    let index = shown.index.as_ref().map(|index| index.status.borrow().clone());
    let gauges = [
        ("uptime_seconds", "Seconds since the start", Some(system.uptime as f64)),
        (
            "memory_bytes",
            "Resident memory in bytes",
            system.memory_bytes.map(|n| n as f64),
        ),
        (
            "cpu_percent",
            "Processor time since the last measurement, in percent of one processor",
            system.cpu_percent,
        ),
        (
            "disk_bytes",
            "Size of the data directory in bytes",
            system.disk_bytes.map(|n| n as f64),
        ),
        (
            "known_relays",
            "Known relays, including this one",
            Some(sync.known_relays as f64),
        ),
        (
            "last_event_id",
            "Id of the newest event in the log",
            Some(relay.last_event_id as f64),
        ),
        (
            "tip_height",
            "Height up to which events are logged",
            relay.tip_height.map(f64::from),
        ),
        (
            "index_height",
            "Height of the newest block in the tweak index",
            index.as_ref().and_then(|i| i.tip).map(|t| f64::from(t.height)),
        ),
        (
            "index_progress",
            "Progress of building the tweak index, 0 to 1",
            index.as_ref().map(sdk_relay_index::IndexStatus::progress),
        ),
        (
            "ready",
            "1 if GET /health/ready answers 200, otherwise 0",
            Some(f64::from(u8::from(relay.ready))),
        ),
        ("watches", "Current watches", relay.watches.map(|n| n as f64)),
        (
            "node_block_height",
            "Height of the best block of the node",
            node.block_height.map(|n| n as f64),
        ),
        (
            "node_connections",
            "Number of peers of the node",
            node.connections.map(|n| n as f64),
        ),
        (
            "node_mempool_size",
            "Number of transactions in the mempool of the node",
            node.mempool_size.map(|n| n as f64),
        ),
        (
            "node_verification_progress",
            "Verification progress of the node, 0 to 1",
            node.verification_progress,
        ),
    ];
    for (name, help, value) in gauges {
        let Some(value) = value else { continue };
        head(&mut text, name, "gauge", help)?;
        writeln!(text, "sdk_relay_{name} {value}")?;
    }
    if let Some(building) = shown.index.as_ref().map(|index| *index.figures.borrow()) {
        for (name, help, value) in of_the_build(&building) {
            head(&mut text, name, "counter", help)?;
            writeln!(text, "sdk_relay_{name}_total {value}")?;
        }
    }
    let conditions = Condition::ALL.map(Condition::as_str);
    one_of(
        &mut text,
        "health",
        "status",
        "Status of GET /health",
        &conditions,
        &relay.health,
    )?;
    let sources = EventSource::ALL.map(EventSource::as_str);
    let help = "How changes of the chain and of the mempool reach the relay";
    one_of(&mut text, "event_source", "source", help, &sources, &relay.event_source)?;
    text.push_str("# EOF\n");
    Ok(text)
}

/// Cost of building the index since the start.
fn of_the_build(figures: &IndexFigures) -> [(&'static str, &'static str, f64); 5] {
    [
        (
            "index_blocks_added",
            "Blocks added to the tweak index since the start",
            figures.blocks as f64,
        ),
        (
            "index_transactions_added",
            "Eligible transactions added to the tweak index since the start",
            figures.eligible as f64,
        ),
        (
            "index_waited_for_node_seconds",
            "Time that building the tweak index has waited for the node, in seconds",
            figures.waited_for_node,
        ),
        (
            "index_waited_for_tweaks_seconds",
            "Time that building the tweak index has waited for tweaks to be computed, in seconds",
            figures.waited_for_tweaks,
        ),
        (
            "index_waited_for_disk_seconds",
            "Time that building the tweak index has waited for the disk, in seconds",
            figures.waited_for_disk,
        ),
    ]
}

/// The first lines of a family.
fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    write!(
        text,
        "# HELP sdk_relay_{name} {help}.\n# TYPE sdk_relay_{name} {kind}\n"
    )
}

/// A gauge for each value of a state: 1 for the current one, 0 for the others.
fn one_of(text: &mut String, name: &str, label: &str, help: &str, values: &[&str], current: &str) -> fmt::Result {
    head(text, name, "gauge", help)?;
    for value in values {
        let number = u8::from(*value == current);
        writeln!(text, "sdk_relay_{name}{{{label}=\"{value}\"}} {number}")?;
    }
    Ok(())
}
