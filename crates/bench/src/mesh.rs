//! Simulation of the mesh: time and traffic until all relays know each other, and traffic at rest, by number of relays.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context as _;
use sdk_relay_mesh::Config;
use sdk_relay_mesh_sim::{Shape, Simulation};
use serde_json::json;

use crate::report::{Report, Table};

/// Rounds after which an unfinished run is reported.
const MOST_ROUNDS: u32 = 40;

/// Rounds of the measurement at rest.
const REST_ROUNDS: u32 = 10;

/// Each relay initially knows one other: measures until all know all, then at rest, then after the loss of one. Runs in
/// memory, with a simulated clock
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Numbers of relays.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 30, 100, 300, 1000])]
    relays: Vec<usize>,
    /// The same seed gives the same figures.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Output file of the drawing
    #[arg(long, default_value = "docs/mesh.svg")]
    svg: PathBuf,
}

struct Row {
    relays: usize,
    rounds: Option<u32>,
    list: u64,
    most: u64,
    mean: f64,
    /// Bytes sent per relay and round.
    learning: f64,
    rest: f64,
    rest_most: f64,
    death: Option<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<Report> {
    let rows: Vec<Row> = arguments
        .relays
        .iter()
        .map(|relays| measure(*relays, arguments.seed))
        .collect();
    std::fs::write(&arguments.svg, drawing(&rows)?).with_context(|| arguments.svg.display().to_string())?;
    let mut table = Table::new([
        "relays",
        "rounds to know all",
        "full list B",
        "most sent / list",
        "mean sent / list",
        "B/relay/round learning",
        "at rest",
        "at rest, most",
        "rounds to know a death",
    ]);
    for row in &rows {
        let rounds = |rounds: Option<u32>| rounds.map_or(f64::NAN, f64::from);
        let list = row.list as f64;
        let numbers = [
            rounds(row.rounds),
            list,
            row.most as f64 / list,
            row.mean / list,
            row.learning,
            row.rest,
            row.rest_most,
            rounds(row.death),
        ];
        table = table.row(&row.relays.to_string(), &numbers, 1);
    }
    let json: Vec<_> = rows
        .iter()
        .map(|row| {
            json!({
                "relays": row.relays, "rounds": row.rounds, "full_list_bytes": row.list, "most_sent_bytes": row.most, "mean_sent_bytes": row.mean,
                "learning_bytes_per_relay_and_round": row.learning, "rest_bytes_per_relay_and_round": row.rest,
                "rest_most_bytes_per_round": row.rest_most, "death_known_rounds": row.death,
            })
        })
        .collect();
    Ok(Report {
        title: format!(
            "A mesh of relays that know one other each, 8 links at most, a round of 30 s, seed {}; drawn in {}",
            arguments.seed,
            arguments.svg.display()
        ),
        tables: vec![table],
        json: json!(json),
    })
}

fn measure(relays: usize, seed: u64) -> Row {
    let mut mesh = Simulation::new(relays, Shape::Tree, Config::default(), seed);
    let rounds = mesh.until(MOST_ROUNDS, Simulation::agree_on_health);
    let (most, mean, list) = (mesh.most_sent(), mesh.mean_sent(), mesh.full_list());
    // Messages still in flight when the last relay knows all do not count as traffic at rest.
    mesh.rounds(REST_ROUNDS);
    mesh.reset_sent();
    mesh.rounds(REST_ROUNDS);
    let per_round = f64::from(REST_ROUNDS);
    let (rest, rest_most) = (mesh.mean_sent() / per_round, mesh.most_sent() as f64 / per_round);
    let dying = relays / 2;
    mesh.kill(dying, true);
    let death = mesh.until(MOST_ROUNDS, |mesh| mesh.all_see_critical(dying));
    Row {
        relays,
        rounds,
        list,
        most,
        mean,
        learning: mean / f64::from(rounds.unwrap_or(MOST_ROUNDS).max(1)),
        rest,
        rest_most,
        death,
    }
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 80.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 50.0;
const BOTTOM: f64 = 60.0;

/// Bytes per relay and round over the number of relays, both axes logarithmic, from 1 to 10^4 relays and from 1 kB to 1
/// MB.
fn drawing(rows: &[Row]) -> Result<String, std::fmt::Error> {
    let x = |relays: f64| LEFT + relays.max(1.0).log10() / 4.0 * (WIDTH - LEFT - RIGHT);
    let y = |bytes: f64| HEIGHT - BOTTOM - (bytes.max(1e3).log10() - 3.0) / 3.0 * (HEIGHT - TOP - BOTTOM);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"28\" font-size=\"16\">Bytes sent by a relay of the mesh per round of 30 s</text>\n"
    );
    for (bytes, name) in [(1e3, "1 kB"), (1e4, "10 kB"), (1e5, "100 kB"), (1e6, "1 MB")] {
        let (at, right) = (y(bytes), WIDTH - RIGHT);
        writeln!(svg, "<path d=\"M{LEFT} {at:.1}H{right}\" stroke=\"#ddd\"/>")?;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
            LEFT - 8.0,
            at + 4.0
        )?;
    }
    for relays in [1.0, 10.0, 100.0, 1e3, 1e4] {
        let at = HEIGHT - BOTTOM + 20.0;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{at}\" text-anchor=\"middle\">{relays}</text>",
            x(relays)
        )?;
    }
    writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">relays</text>",
        (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 18.0
    )?;
    type Figure = fn(&Row) -> f64;
    let lines: [(&str, &str, Figure); 3] = [
        ("until all know all, mean", "#c0392b", |row| row.learning),
        ("at rest, the one that sends most", "#7f8c8d", |row| row.rest_most),
        ("at rest, mean", "#2471a3", |row| row.rest),
    ];
    for (n, (name, colour, figure)) in lines.into_iter().enumerate() {
        let points: Vec<String> = rows
            .iter()
            .map(|row| format!("{:.1},{:.1}", x(row.relays as f64), y(figure(row))))
            .collect();
        writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        )?;
        for point in &points {
            if let Some((cx, cy)) = point.split_once(',') {
                writeln!(svg, "<circle cx=\"{cx}\" cy=\"{cy}\" r=\"3\" fill=\"{colour}\"/>")?;
            }
        }
        let at = TOP + 16.0 + 18.0 * n as f64;
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{at}\" fill=\"{colour}\">{name}</text>",
            LEFT + 14.0
        )?;
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}
