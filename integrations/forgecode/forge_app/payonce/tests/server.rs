//! A stand-in for the server, as far as these tests need one: entries, tickets,
//! runs, and dependencies checked by content. What the real server does is
//! tested with the real server (tests/agents/forge.sh of Payonce).

use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

#[derive(Default)]
struct Store {
    number: usize,
    /// By entry id.
    entries: HashMap<String, Entry>,
    tickets: HashMap<String, Ticket>,
}

struct Ticket {
    key: String,
    run: Option<String>,
    /// With their states at the lookup.
    depends: Vec<(Value, String)>,
}

struct Entry {
    key: String,
    value: Value,
    /// Pending in this run.
    run: Option<String>,
    depends: Vec<(Value, String)>,
}

pub struct Server {
    pub socket: PathBuf,
    store: Arc<Mutex<Store>>,
    _folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("p.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let store = Arc::new(Mutex::new(Store::default()));
        let shared = store.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let store = shared.clone();
                std::thread::spawn(move || serve(stream, &store));
            }
        });
        Self { socket, store, _folder: folder }
    }

    /// How many entries of a kind anybody can see.
    pub fn visible(&self, kind: &str) -> usize {
        let store = self.store.lock().unwrap();
        let start = format!("\"{kind}\"");
        let is_one = |entry: &&Entry| entry.run.is_none() && entry.key.starts_with(&start);
        store.entries.values().filter(is_one).count()
    }

    pub fn pending(&self) -> usize {
        let store = self.store.lock().unwrap();
        store
            .entries
            .values()
            .filter(|entry| entry.run.is_some())
            .count()
    }
}

fn serve(mut stream: UnixStream, store: &Mutex<Store>) {
    let mut head = [0; 5];
    while stream.read_exact(&mut head).is_ok() {
        let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize];
        stream.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let mut store = store.lock().unwrap();
        let answer = match head[0] {
            b'L' => store.lookup(&body),
            b'C' => store.commit(&body),
            b'A' => store.abort(&body),
            b'I' => store.invalidate(&body),
            other => panic!("no verb {other}"),
        }
        .to_string();
        let mut bytes = vec![head[0]];
        bytes.extend((answer.len() as u32).to_be_bytes());
        bytes.extend(answer.as_bytes());
        if stream.write_all(&bytes).is_err() {
            return;
        }
    }
}

impl Store {
    fn next(&mut self, prefix: &str) -> String {
        self.number += 1;
        format!("{prefix}-{}", self.number)
    }

    fn lookup(&mut self, body: &Value) -> Value {
        let key = format!("{}{}{}", body["kind"], body["parts"], body["versions"]);
        let run = body["run"].as_str().map(str::to_owned);
        let found = self
            .entries
            .iter()
            .find(|(_, entry)| entry.key == key && (entry.run.is_none() || entry.run == run));
        let stale = match found {
            Some((id, entry)) if entry.depends.iter().all(|(one, was)| state_of(one) == *was) => {
                return json!({"status": "hit", "value": entry.value, "entry": id, "key": key, "age": 0});
            }
            Some((_, entry)) => Some(entry.depends[0].0.clone()),
            None => None,
        };
        let ticket = self.next("t");
        let depends = states_of(&body["deps"]);
        self.tickets
            .insert(ticket.clone(), Ticket { key, run, depends });
        match stale {
            Some(one) => json!({"status": "stale", "ticket": ticket, "stale": [one]}),
            None => json!({"status": "miss", "ticket": ticket, "reason": "cold"}),
        }
    }

    fn commit(&mut self, body: &Value) -> Value {
        if let Some(run) = body["run"].as_str() {
            let mut count = 0;
            for entry in self
                .entries
                .values_mut()
                .filter(|entry| entry.run.as_deref() == Some(run))
            {
                entry.run = None;
                count += 1;
            }
            return json!({"status": "stored", "entries": count});
        }
        let ticket = body["ticket"].as_str().unwrap();
        let Ticket { key, run, mut depends } = self.tickets.remove(ticket).unwrap();
        if depends.iter().any(|(one, was)| state_of(one) != *was) {
            return json!({"status": "dropped", "reason": "dependency"});
        }
        assert_eq!(
            body["outcome"], "pending",
            "all that forge stores is pending first"
        );
        depends.extend(states_of(&body["deps"]));
        let id = self.next("e");
        self.entries
            .retain(|_, entry| entry.key != key || entry.run != run);
        self.entries.insert(
            id.clone(),
            Entry { key: key.clone(), value: body["value"].clone(), run, depends },
        );
        json!({"status": "stored", "entry": id, "key": key})
    }

    fn abort(&mut self, body: &Value) -> Value {
        let before = self.entries.len();
        match body["run"].as_str() {
            Some(run) => self
                .entries
                .retain(|_, entry| entry.run.as_deref() != Some(run)),
            None => drop(self.tickets.remove(body["ticket"].as_str().unwrap())),
        }
        json!({"status": "aborted", "entries": before - self.entries.len()})
    }

    fn invalidate(&mut self, body: &Value) -> Value {
        let removed = self.entries.remove(body["entry"].as_str().unwrap());
        json!({"status": "ok", "removed": usize::from(removed.is_some())})
    }
}

fn states_of(dependencies: &Value) -> Vec<(Value, String)> {
    let all = dependencies.as_array().cloned().unwrap_or_default();
    all.into_iter()
        .map(|one| {
            let state = state_of(&one);
            (one, state)
        })
        .collect()
}

fn state_of(dependency: &Value) -> String {
    let path = Path::new(dependency["path"].as_str().unwrap());
    match dependency["type"].as_str().unwrap() {
        "file" => format!("{:?}", std::fs::read(path).ok()),
        "git" => {
            let mut files: Vec<_> = std::fs::read_dir(path)
                .unwrap()
                .flatten()
                .map(|file| file.path())
                .collect();
            files.sort();
            files
                .iter()
                .map(|file| format!("{file:?}{:?}", std::fs::read(file).ok()))
                .collect()
        }
        other => panic!("no dependency {other}"),
    }
}
