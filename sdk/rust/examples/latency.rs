//! How long lookups take with the server that the environment names: `cargo run --release --example latency`.

use std::time::{Duration, Instant};

use payonce::{Client, Kind, Request};

const LOOKUPS: usize = 10_000;

fn main() {
    let client = Client::from_env();
    let request = Request::new(Kind::ToolResult).part("task", "latency").part("text", "x".repeat(1000));
    if let Err(ticket) = client.lookup(&request).hit_or_ticket() {
        match client.commit(ticket, "value") {
            Ok(committed) => println!("{committed:?}"),
            Err(error) => println!("{error}"),
        }
    }
    let (mut times, mut hits): (Vec<Duration>, usize) = (Vec::with_capacity(LOOKUPS), 0);
    for _ in 0..LOOKUPS {
        let start = Instant::now();
        hits += usize::from(client.lookup(&request).is_hit());
        times.push(start.elapsed());
    }
    times.sort();
    println!("{LOOKUPS} lookups, {hits} hits, p50 {:?}, p99 {:?}", times[LOOKUPS / 2], times[LOOKUPS * 99 / 100]);
}
