//! Against the real server: `PAYONCE_BINARY=…/payonce cargo test`.
#![cfg(unix)]

mod support;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use payonce::{
    Client, Commit, Committed, Dependency, Error, Event, Hint, Hit, Invalidate, Kind, Lookup, Reason, Request, Ticket,
};
use serde_json::json;
use support::Folder;

struct Server {
    folder: Folder,
    port: u16,
    child: Child,
}

impl Server {
    fn start() -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Self::spawn(&folder, port);
        let server = Server { folder, port, child };
        server.wait_ready();
        server
    }

    fn spawn(folder: &Folder, port: u16) -> Child {
        let binary = std::env::var_os("PAYONCE_BINARY")
            .expect("PAYONCE_BINARY is not set: the path of the payonce program that these tests start");
        let log = std::fs::File::create(folder.0.join("log.txt")).unwrap();
        Command::new(binary)
            .args(["serve", "--upstream", "http://127.0.0.1:9/v1", "--layers", "exact"])
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .arg("--data")
            .arg(folder.0.join("data"))
            .env("XDG_RUNTIME_DIR", &folder.0)
            .env("PAYONCE_HOME", &folder.0)
            .env_remove("PAYONCE_CONFIG")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !(self.socket().exists() && self.http().stats().is_ok()) {
            let log = std::fs::read_to_string(self.folder.0.join("log.txt")).unwrap_or_default();
            assert!(Instant::now() < deadline, "not ready:\n{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn socket(&self) -> PathBuf {
        self.folder.0.join("payonce").join(format!("{}.sock", self.port))
    }

    fn stop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn restart(&mut self) {
        self.child = Self::spawn(&self.folder, self.port);
        self.wait_ready();
    }

    /// Tests share a busy machine, so a lookup may take its time.
    fn unix(&self) -> Client {
        Client::builder()
            .socket(self.socket())
            .api_key("sk-ann")
            .lookup_timeout(Duration::from_secs(5))
            .build()
            .unwrap()
    }

    fn http(&self) -> Client {
        let builder = Client::builder().url(format!("http://127.0.0.1:{}", self.port)).api_key("sk-ann");
        builder.lookup_timeout(Duration::from_secs(5)).build().unwrap()
    }

    fn both(&self) -> [Client; 2] {
        [self.unix(), self.http()]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn request(text: &str) -> Request {
    Request::new(Kind::ToolResult).part("task", text)
}

fn ticket(lookup: Lookup) -> Ticket {
    match lookup.hit_or_ticket() {
        Err(ticket) if ticket.is_open() => ticket,
        other => panic!("expected an open ticket, got {other:?}"),
    }
}

fn hit(lookup: Lookup) -> Hit {
    match lookup {
        Lookup::Hit(hit) => hit,
        other => panic!("expected a hit, got {other:?}"),
    }
}

fn put(client: &Client, request: &Request, value: &str) {
    let committed = client.commit(ticket(client.lookup(request)), value).unwrap();
    assert!(committed.is_stored(), "{committed:?}");
}

#[test]
fn what_one_transport_commits_the_other_hits() {
    let server = Server::start();
    let [unix, http] = server.both();
    for (number, (by, other)) in [(&unix, &http), (&http, &unix)].into_iter().enumerate() {
        let request = Request::new(Kind::Plan)
            .part("task", json!({"number": number, "text": "ä\u{1f30d}"}))
            .version("tools", "v3")
            .semantic(false);
        match by.lookup(&request) {
            Lookup::Miss(miss) => {
                assert_eq!(miss.reason, if number == 0 { Reason::Cold } else { Reason::Parts });
                let commit = Commit::success(json!(["read", "write"])).usage(json!({"prompt_tokens": 9}));
                let Ok(Committed::Stored { entry, key }) = by.commit(miss.ticket, commit) else {
                    panic!("not stored")
                };
                assert!(key.starts_with("plan:v1:"), "{key}");
                let hit = hit(other.lookup(&request));
                assert_eq!(hit.parse::<Vec<String>>(), Some(vec!["read".into(), "write".into()]));
                assert_eq!((&hit.entry, &hit.key, hit.pending, hit.similarity), (&entry, &key, false, None));
                assert_eq!(hit.versions["tools"], "v3");
            }
            found => panic!("expected a miss, got {found:?}"),
        }
    }
    assert_eq!(unix.stats().unwrap().layers["plan"].hits, 2);
}

#[test]
fn a_changed_file_makes_stale_and_is_named() {
    let server = Server::start();
    for client in server.both() {
        let file = server.folder.file("calc.py", "one");
        let request = request("read").dependency(Dependency::file(&file));
        put(&client, &request, "one");
        assert!(client.lookup(&request).is_hit());
        server.folder.file("calc.py", "two");
        match client.lookup(&request) {
            Lookup::Stale(stale) => assert_eq!(stale.changed[0].path.as_ref(), Some(&file)),
            other => panic!("expected stale, got {other:?}"),
        }
        assert_eq!(client.invalidate(&Invalidate::Path(file)), Ok(1));
    }
}

#[test]
fn what_changes_while_it_is_made_is_not_stored() {
    let server = Server::start();
    let file = server.folder.file("calc.py", "one");
    let request = request("read").dependency(Dependency::file(&file));
    let client = server.unix();
    let open = ticket(client.lookup(&request));
    server.folder.file("calc.py", "two");
    let committed = client.commit(open, "one").unwrap();
    assert_eq!(committed, Committed::Dropped { reason: "dependency".into() });
}

#[test]
fn a_run_is_seen_by_itself_until_it_is_published() {
    let server = Server::start();
    for client in server.both() {
        let run = client.run();
        let pending = request("pending").part("by", run.id());
        let committed = run.commit(ticket(run.lookup(&pending)), "v").unwrap();
        assert!(committed.is_stored(), "{committed:?}");
        assert!(hit(run.lookup(&pending)).pending);
        assert!(!client.lookup(&pending).is_hit());
        assert_eq!(run.publish(), Ok(1));
        assert!(!hit(client.lookup(&pending)).pending);
    }
}

#[test]
fn a_dropped_run_leaves_nothing() {
    let server = Server::start();
    let client = server.unix();
    let dropped = client.run();
    dropped.commit(ticket(dropped.lookup(&request("x"))), "v").unwrap();
    let id = dropped.id().to_owned();
    drop(dropped);
    assert!(!client.lookup(&request("x")).is_hit());
    assert!(!client.lookup(&request("x").run(id)).is_hit());
    assert_eq!(client.run().publish(), Ok(0));
}

#[test]
fn failures_store_nothing_and_used_tickets_are_refused() {
    let server = Server::start();
    for client in server.both() {
        let committed = client.commit(ticket(client.lookup(&request("f"))), Commit::failed("cancelled")).unwrap();
        assert_eq!(committed, Committed::Dropped { reason: "outcome".into() });
        drop(client.lookup(&request("f")));
        client.abort(ticket(client.lookup(&request("f")))).unwrap();
        match client.lookup(&request("f")) {
            Lookup::Miss(miss) => assert!(!miss.in_flight, "a dropped ticket is still held"),
            other => panic!("expected a miss, got {other:?}"),
        }
    }
}

#[test]
fn credentials_share_nothing() {
    let server = Server::start();
    put(&server.unix(), &request("mine"), "v");
    for other in [
        Client::builder().socket(server.socket()),
        Client::builder().url(format!("http://127.0.0.1:{}", server.port)),
    ] {
        let other = other.api_key("sk-bob").lookup_timeout(Duration::from_secs(5)).build().unwrap();
        assert!(!other.lookup(&request("mine")).is_hit());
        assert_eq!(other.invalidate(&Invalidate::Kind(Kind::ToolResult)), Ok(0));
    }
    assert!(server.http().lookup(&request("mine")).is_hit());
}

#[test]
fn who_waits_gets_what_another_caller_makes() {
    let server = Server::start();
    let client = server.unix();
    let open = ticket(client.lookup(&request("slow")));
    let waiting = client.clone();
    let waiter = std::thread::spawn(move || {
        let found = waiting.lookup(&request("slow").wait(Duration::from_secs(20)));
        hit(found).parse::<String>()
    });
    std::thread::sleep(Duration::from_millis(200));
    client.commit(open, "made").unwrap();
    assert_eq!(waiter.join().unwrap().as_deref(), Some("made"));
}

#[test]
fn misses_are_explained_and_mistakes_are_told() {
    let server = Server::start();
    for client in server.both() {
        put(&client, &request("a").version("kb", "1"), "v");
        match client.lookup(&request("a").version("kb", "2").explain()) {
            Lookup::Miss(miss) => {
                assert_eq!(miss.reason, Reason::Version);
                assert_eq!(miss.explain.unwrap().changed, ["versions.kb"]);
            }
            other => panic!("expected a miss, got {other:?}"),
        }
        match client.lookup(&Request::new(Kind::Llm)) {
            Lookup::Miss(miss) => match miss.reason {
                Reason::Unavailable(Error::Refused { status: 400, message, .. }) => {
                    assert!(message.contains("parts"))
                }
                other => panic!("expected a refusal, got {other:?}"),
            },
            other => panic!("expected a miss, got {other:?}"),
        }
        client.hint(&Hint::new("7", Event::Waiting).expect_return(Duration::from_secs(30))).unwrap();
        assert_eq!(client.invalidate(&Invalidate::Version("kb=1".into())), Ok(1));
    }
}

#[test]
fn the_default_socket_is_found_beside_the_url() {
    let server = Server::start();
    put(&server.unix(), &request("a"), "v");
    // Another process, since the environment of this one is shared by all tests.
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "in_another_process", "--ignored", "--nocapture"]);
    child.env("PAYONCE_URL", format!("http://127.0.0.1:{}", server.port)).env("PAYONCE_API_KEY", "sk-ann");
    child.env("XDG_RUNTIME_DIR", &server.folder.0).env_remove("PAYONCE_SOCKET");
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("hit over the socket"), "{told}");
}

#[test]
#[ignore = "run by the_default_socket_is_found_beside_the_url"]
fn in_another_process() {
    let client = Client::from_env();
    assert_eq!(hit(client.lookup(&request("a"))).parse::<String>().as_deref(), Some("v"));
    let is_socket = |entry: std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    };
    // The client keeps its connection: a Unix socket has no row among this process's TCP connections.
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().flatten().any(is_socket));
    let port = std::env::var("PAYONCE_URL").unwrap().rsplit_once(':').unwrap().1.parse::<u16>().unwrap();
    let tcp = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let to_server = format!("0100007F:{port:04X} 01"); // as the far end, established
    assert!(!tcp.lines().any(|line| line.contains(&to_server)), "it went over HTTP");
    println!("hit over the socket");
}

#[test]
fn a_server_that_is_gone_is_missed_and_found_again() {
    let mut server = Server::start();
    let client = Client::builder()
        .socket(server.socket())
        .api_key("sk-ann")
        .lookup_timeout(Duration::from_secs(5))
        .retry_after(Duration::from_millis(100))
        .build()
        .unwrap();
    put(&client, &request("kept"), "v");
    let open = ticket(client.lookup(&request("open")));
    server.stop();
    let start = Instant::now();
    assert!(!client.lookup(&request("kept")).is_hit());
    assert!(client.commit(open, "v").is_err());
    assert!(start.elapsed() < Duration::from_millis(500));
    server.restart();
    std::thread::sleep(Duration::from_millis(120));
    // Whether the entry has survived is the server's matter; that it answers again is this crate's.
    put(&client, &request("after"), "v");
}
