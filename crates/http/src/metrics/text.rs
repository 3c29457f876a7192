//! The OpenMetrics text of `GET /metrics`.

use std::fmt::{self, Write};

use sdk_relay_chain::{EventSource, Signalling};
use sdk_relay_index::{IndexFigures, IndexStatus};
use sdk_relay_protocol::http::Metrics;
use sdk_relay_service::Condition;
use sdk_relay_telemetry::ProcessFigures;

use crate::state::Figures;

/// What is read for each answer.
pub(super) struct Reading<'a> {
    pub(super) metrics: &'a Metrics,
    /// Number of problems that `GET /health` reports.
    pub(super) problems: usize,
    pub(super) readiness: [(&'static str, bool); 5],
    /// `None` without a ZMQ publisher.
    pub(super) signalling: Option<Signalling>,
    pub(super) process: &'a ProcessFigures,
}

/// Name, help, and value, if it is known.
type Figure = (&'static str, &'static str, Option<f64>);

/// What the registries have, then what is read for each answer.
pub(super) fn text(shown: &Figures, reading: &Reading<'_>) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode_registry(&mut text, &shown.registry)?;
    let relay = &reading.metrics.relay_metrics;
    if relay.watches.is_some() {
        prometheus_client::encoding::text::encode_registry(&mut text, &shown.private_registry)?;
    }
    let index = shown.index.as_ref().map(|index| index.status.borrow().clone());
    figures(&mut text, "sdk_relay_", "gauge", &of_the_relay(reading))?;
    figures(&mut text, "sdk_relay_", "gauge", &of_the_node(reading))?;
    figures(&mut text, "sdk_relay_", "gauge", &of_the_index(index.as_ref()))?;
    if let Some(building) = shown.index.as_ref().map(|index| *index.figures.borrow()) {
        figures(&mut text, "sdk_relay_", "counter", &of_the_build(&building))?;
    }
    figures(&mut text, "process_", "gauge", &of_the_process(reading.process))?;
    let help = "Processor time of the process";
    let cpu_seconds = ("cpu_seconds", help, reading.process.cpu_seconds);
    figures(&mut text, "process_", "counter", &[cpu_seconds])?;
    let conditions = Condition::ALL.map(Condition::as_str);
    let help = "Status of GET /health: 1 for the current one";
    one_of(&mut text, "health", "status", help, &conditions, &relay.health)?;
    let sources = EventSource::ALL.map(EventSource::as_str);
    let help = "How changes of the chain and of the mempool reach the relay: 1 for the current way";
    one_of(&mut text, "event_source", "source", help, &sources, &relay.event_source)?;
    let help = "1 for each condition of readiness that is met; the relay is ready if all are";
    head(&mut text, "sdk_relay_", "ready_condition", "gauge", help)?;
    for (condition, is_met) in reading.readiness {
        let is_met = u8::from(is_met);
        writeln!(text, "sdk_relay_ready_condition{{condition=\"{condition}\"}} {is_met}")?;
    }
    text.push_str("# EOF\n");
    Ok(text)
}

fn of_the_relay(reading: &Reading<'_>) -> [Figure; 10] {
    let system = &reading.metrics.system_metrics;
    let relay = &reading.metrics.relay_metrics;
    [
        ("uptime_seconds", "Time since the start", Some(system.uptime as f64)),
        ("memory_bytes", "Resident memory", system.memory_bytes.map(|n| n as f64)),
        (
            "cpu_percent",
            "Processor time since the last measurement, in percent of one processor",
            system.cpu_percent,
        ),
        (
            "disk_bytes",
            "Size of the data directory",
            system.disk_bytes.map(|n| n as f64),
        ),
        (
            "known_relays",
            "Known relays, including this one",
            Some(reading.metrics.sync_metrics.known_relays as f64),
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
            "ready",
            "1 if GET /health/ready answers 200, otherwise 0",
            Some(f64::from(u8::from(relay.ready))),
        ),
        (
            "problems",
            "Number of problems that GET /health reports",
            Some(reading.problems as f64),
        ),
        ("watches", "Current watches", relay.watches.map(|n| n as f64)),
    ]
}

fn of_the_node(reading: &Reading<'_>) -> [Figure; 6] {
    let node = &reading.metrics.bitcoin_metrics;
    let signalling = reading.signalling.as_ref();
    let flag = |is_set: bool| f64::from(u8::from(is_set));
    [
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
        (
            "zmq_connected",
            "1 if the relay is connected to the ZMQ publisher of the node, otherwise 0",
            signalling.map(|s| flag(s.is_connected)),
        ),
        (
            "zmq_complete",
            "1 if the node publishes all topics that the relay needs, otherwise 0: the node is polled too",
            signalling.map(|s| flag(s.url.is_some() && !s.is_partial)),
        ),
    ]
}

fn of_the_index(index: Option<&IndexStatus>) -> [Figure; 2] {
    [
        (
            "index_height",
            "Height of the newest block in the tweak index",
            index.and_then(|i| i.tip).map(|t| f64::from(t.height)),
        ),
        (
            "index_progress",
            "Progress of building the tweak index, 0 to 1",
            index.map(IndexStatus::progress),
        ),
    ]
}

/// Cost of building the index since the start.
fn of_the_build(figures: &IndexFigures) -> [Figure; 5] {
    [
        (
            "index_blocks_added",
            "Blocks added to the tweak index since the start",
            Some(figures.blocks as f64),
        ),
        (
            "index_transactions_added",
            "Eligible transactions added to the tweak index since the start",
            Some(figures.eligible as f64),
        ),
        (
            "index_waited_for_node_seconds",
            "Time that building the tweak index has waited for the node",
            Some(figures.waited_for_node),
        ),
        (
            "index_waited_for_tweaks_seconds",
            "Time that building the tweak index has waited for tweaks to be computed",
            Some(figures.waited_for_tweaks),
        ),
        (
            "index_waited_for_disk_seconds",
            "Time that building the tweak index has waited for the disk",
            Some(figures.waited_for_disk),
        ),
    ]
}

/// The names that all Prometheus clients use, without the prefix of this program.
fn of_the_process(process: &ProcessFigures) -> [Figure; 4] {
    [
        (
            "resident_memory_bytes",
            "Resident memory of the process",
            process.memory_bytes.map(|n| n as f64),
        ),
        (
            "start_time_seconds",
            "Start of the process, as Unix time",
            process.start_time.map(|n| n as f64),
        ),
        (
            "open_fds",
            "Open file descriptors of the process",
            process.open_files.map(|n| n as f64),
        ),
        (
            "max_fds",
            "File descriptors that the process may open",
            process.max_files.map(|n| n as f64),
        ),
    ]
}

/// A family for each figure that is known.
fn figures(text: &mut String, prefix: &str, kind: &str, figures: &[Figure]) -> fmt::Result {
    let suffix = if kind == "counter" { "_total" } else { "" };
    for (name, help, value) in figures {
        if let Some(value) = value {
            head(text, prefix, name, kind, help)?;
            writeln!(text, "{prefix}{name}{suffix} {value}")?;
        }
    }
    Ok(())
}

/// The first lines of a family. A name that ends in a unit has this unit.
fn head(text: &mut String, prefix: &str, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# HELP {prefix}{name} {help}.\n# TYPE {prefix}{name} {kind}")?;
    match ["seconds", "bytes"].iter().find(|unit| name.ends_with(*unit)) {
        Some(unit) => writeln!(text, "# UNIT {prefix}{name} {unit}"),
        None => Ok(()),
    }
}

/// A gauge for each value of a state: 1 for the current one, 0 for the others.
fn one_of(text: &mut String, name: &str, label: &str, help: &str, values: &[&str], current: &str) -> fmt::Result {
    head(text, "sdk_relay_", name, "gauge", help)?;
    for value in values {
        let number = u8::from(*value == current);
        writeln!(text, "sdk_relay_{name}{{{label}=\"{value}\"}} {number}")?;
    }
    Ok(())
}
