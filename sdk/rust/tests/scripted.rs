//! What the client does with a server that is slow, odd, gone or back again.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use payonce::{Client, Commit, Dependency, Error, Event, Hint, Invalidate, Kind, Lookup, Reason, Request};
use serde_json::{json, Value};
use support::{frame, Folder, Scripted};

fn request() -> Request {
    Request::new(Kind::Llm).part("question", "6*7")
}

fn miss(number: usize) -> Value {
    json!({"status": "miss", "ticket": format!("t-{number}"), "expires_in": 900, "key": "llm:v1:a:b", "reason": "cold"})
}

/// Answers every verb well.
fn well_behaved(verb: char, body: &Value) -> Option<Vec<u8>> {
    let answer = match verb {
        'L' => miss(1),
        'C' if body.get("run").is_some() => json!({"status": "stored", "entries": 2}),
        'C' => json!({"status": "stored", "entry": "e-1", "key": "llm:v1:a:b"}),
        'A' => json!({"status": "aborted", "entries": 1}),
        'I' => json!({"status": "ok", "removed": 3}),
        'S' => json!({"layers": {"llm": {"hits": 1, "misses": 2, "entries": 1, "bytes": 9, "reasons": {"cold": 2}}}}),
        _ => json!({"status": "ok"}),
    };
    Some(frame(verb, &answer))
}

fn error_of(lookup: Lookup) -> Error {
    match lookup {
        Lookup::Miss(payonce::Miss { reason: Reason::Unavailable(error), .. }) => error,
        other => panic!("expected a lookup that failed, got {other:?}"),
    }
}

fn median_of(count: usize, work: impl Fn()) -> Duration {
    let mut times: Vec<_> = (0..count)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[count / 2]
}

#[test]
fn without_a_server_every_call_ends_at_once() {
    let folder = Folder::new();
    let closed_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let builders = [
        Client::builder().socket(folder.0.join("none.sock")),
        Client::builder().url(format!("http://127.0.0.1:{closed_port}")),
    ];
    for builder in builders {
        // Without the pause, each lookup tries to connect.
        let eager = builder.clone().retry_after(Duration::ZERO).build().unwrap();
        let tried = median_of(41, || assert!(matches!(error_of(eager.lookup(&request())), Error::Unreachable(_))));
        assert!(tried < Duration::from_millis(1), "{tried:?}");

        let client = builder.build().unwrap();
        let pausing = median_of(41, || drop(client.lookup(&request())));
        assert!(pausing < Duration::from_micros(200), "{pausing:?}");
        let ticket = client.lookup(&request()).hit_or_ticket().unwrap_err();
        assert!(!ticket.is_open());
        assert!(matches!(client.commit(ticket, &1), Err(Error::Unreachable(_))));
        assert!(client.stats().is_err() && client.run().publish() == Ok(0));
    }
}

#[test]
fn a_server_that_comes_later_is_found_after_the_pause() {
    let folder = Folder::new();
    let socket = folder.0.join("p.sock");
    let client = Client::builder()
        .socket(&socket)
        .lookup_timeout(Duration::from_secs(30))
        .retry_after(Duration::from_secs(1))
        .build()
        .unwrap();
    error_of(client.lookup(&request()));
    let server = Scripted::start(well_behaved);
    std::os::unix::fs::symlink(&server.socket, &socket).unwrap();
    error_of(client.lookup(&request()));
    assert_eq!(server.verbs(), "", "it was asked during the pause");
    std::thread::sleep(Duration::from_millis(1050));
    assert!(client.lookup(&request()).hit_or_ticket().unwrap_err().is_open());
}

#[test]
fn a_server_that_never_answers_costs_the_bound_three_times_and_then_nothing() {
    let folder = Folder::new();
    let socket = folder.0.join("p.sock");
    let _listener = UnixListener::bind(&socket).unwrap(); // connections wait in its queue for ever
    let client = Client::builder().socket(&socket).build().unwrap();
    for _ in 0..3 {
        let start = Instant::now();
        assert_eq!(error_of(client.lookup(&request())), Error::Timeout);
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(50) && took < Duration::from_millis(500), "{took:?}");
    }
    let after = median_of(21, || drop(client.lookup(&request())));
    assert!(after < Duration::from_millis(1), "{after:?}");
}

/// Runs an ignored test with this PAYONCE_TIMEOUT_MS, since the environment of this process is shared by all tests.
fn elsewhere(test: &str, bound: &str) {
    let folder = Folder::new();
    let socket = folder.0.join("p.sock");
    let _listener = UnixListener::bind(&socket).unwrap(); // connections wait in its queue for ever
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test, "--ignored"]).env("PAYONCE_TIMEOUT_MS", bound).env("PAYONCE_SOCKET", &socket);
    let output = child.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

#[test]
fn the_variable_bounds_a_lookup_unless_the_caller_does() {
    elsewhere("bounded_by_the_variable", "120");
    elsewhere("off_for_a_wrong_variable", "soon");
}

#[test]
#[ignore = "run by the_variable_bounds_a_lookup_unless_the_caller_does"]
fn bounded_by_the_variable() {
    let own = Client::builder().lookup_timeout(Duration::from_millis(240)).build().unwrap();
    for (client, bound) in [(Client::from_env(), 120), (own, 240)] {
        let start = Instant::now();
        assert_eq!(error_of(client.lookup(&request())), Error::Timeout);
        assert!(start.elapsed() >= Duration::from_millis(bound));
    }
    // Without end, as far as the clock can tell: an answer comes before.
    let server = Scripted::start(well_behaved);
    let patient = Client::builder().socket(&server.socket).lookup_timeout(Duration::MAX).build().unwrap();
    assert!(patient.lookup(&request()).hit_or_ticket().unwrap_err().is_open());
}

#[test]
#[ignore = "run by the_variable_bounds_a_lookup_unless_the_caller_does"]
fn off_for_a_wrong_variable() {
    let client = Client::from_env();
    assert!(client.off_because().unwrap().starts_with("PAYONCE_TIMEOUT_MS is 'soon', no positive number"));
    assert!(matches!(error_of(client.lookup(&request())), Error::Off(_)));
    assert!(matches!(Client::builder().build(), Err(Error::Off(_))));
    assert!(Client::builder().lookup_timeout(Duration::from_secs(1)).build().is_ok());
}

#[test]
fn connecting_is_bounded_when_the_servers_queue_is_full() {
    let folder = Folder::new();
    let socket = folder.0.join("p.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    // Fills the queue without waiting in it: connecting to a full one would block for ever.
    let filler = socket.clone();
    std::thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok(stream) = std::os::unix::net::UnixStream::connect(&filler) {
            held.push(stream);
        }
    });
    let client = Client::builder().socket(&socket).retry_after(Duration::ZERO).build().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    let start = Instant::now();
    assert_eq!(error_of(client.lookup(&request())), Error::Timeout);
    assert!(start.elapsed() < Duration::from_millis(500));
}

#[test]
fn a_late_answer_is_never_taken_for_the_next_ones() {
    let number = AtomicUsize::new(0);
    let server = Scripted::start(move |verb, body| {
        if verb != 'L' {
            return well_behaved(verb, body);
        }
        let number = number.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            std::thread::sleep(Duration::from_millis(150));
        }
        Some(frame('L', &json!({"status": "hit", "value": number, "entry": "e", "key": "k", "age": 1.5})))
    });
    let client = server.client();
    assert_eq!(error_of(client.lookup(&request())), Error::Timeout);
    std::thread::sleep(Duration::from_millis(200));
    let hit = client.lookup(&request().within(Duration::from_secs(30))).hit_or_ticket().unwrap();
    assert_eq!((hit.value, hit.age), (json!(1), Duration::from_millis(1500)));
}

#[test]
fn a_lookup_that_waits_may_take_that_much_longer() {
    let server = Scripted::start(|verb, body| {
        std::thread::sleep(Duration::from_millis(150));
        well_behaved(verb, body)
    });
    let client = server.client();
    for patient in [request().wait(Duration::from_secs(2)), request().within(Duration::from_secs(2))] {
        assert!(client.lookup(&patient).hit_or_ticket().unwrap_err().is_open());
    }
    assert_eq!(error_of(client.lookup(&request())), Error::Timeout);
    assert!(server.body(2).get("within").is_none());
}

#[test]
fn calls_share_a_connection_and_the_credential_goes_ahead_once() {
    let server = Scripted::start(well_behaved);
    let client = Client::builder().socket(&server.socket).api_key("sk-1").build().unwrap();
    for _ in 0..3 {
        client.hint(&Hint::new("7", Event::Turn)).unwrap();
    }
    assert_eq!(client.invalidate(&Invalidate::Path("/a".into())), Ok(3));
    assert_eq!(client.stats().unwrap().layers["llm"].misses, 2);
    assert_eq!(server.verbs(), "KHHHIS");
    assert_eq!(server.body(0), json!({"credential": "sk-1"}));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_connection_that_was_closed_while_idle_is_replaced_unseen() {
    let asked = AtomicUsize::new(0);
    let server = Scripted::start(move |verb, body| {
        // Every second call of a connection finds it closed.
        if asked.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            return None;
        }
        well_behaved(verb, body)
    });
    let client = server.client();
    for _ in 0..4 {
        client.hint(&Hint::new("7", Event::Turn)).unwrap();
    }
}

#[test]
fn odd_answers_are_misses() {
    let odd: [Vec<u8>; 7] = [
        b"HTTP/1.1 200 OK\r\n\r\n".to_vec(),
        frame('C', &miss(1)),
        frame('L', &json!({"status": "maybe"})),
        frame('L', &json!({"status": "miss"})),
        frame('L', &json!([1, 2])),
        vec![b'L', 0xff, 0xff, 0xff, 0xff],
        [frame('L', &json!("x")), b"trailing".to_vec()].concat(),
    ];
    for answer in odd {
        let server = Scripted::start(move |_, _| Some(answer.clone()));
        let error = error_of(server.client().lookup(&request()));
        assert!(matches!(error, Error::Protocol(_) | Error::Timeout), "{error:?}");
    }
}

#[test]
fn a_refusal_is_told_in_its_own_words_and_keeps_the_connection() {
    let refusal = json!({"error": {"type": "invalid_request", "message": "kind: unknown", "status": 400}});
    let server = Scripted::start(move |_, _| Some(frame('X', &refusal)));
    let client = server.patient();
    for _ in 0..2 {
        let error = error_of(client.lookup(&request()));
        assert_eq!(error.to_string(), "refused with 400 invalid_request: kind: unknown");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dropped_ticket_is_given_back_and_a_committed_one_is_not() {
    let server = Scripted::start(well_behaved);
    let client = server.patient();
    drop(client.lookup(&request()));
    let ticket = client.lookup(&request()).hit_or_ticket().unwrap_err();
    let commit = Commit::success("42").dependencies([Dependency::file("/a")]);
    assert!(client.commit(ticket, commit).unwrap().is_stored());
    let ticket = client.lookup(&request()).hit_or_ticket().unwrap_err();
    let unwritable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(client.commit(ticket, &unwritable), Err(Error::Refused { status: 0, .. })));
    assert_eq!(server.verbs(), "LALCLA");
    assert_eq!(server.body(1), json!({"ticket": "t-1"}));
    assert_eq!(server.body(3)["outcome"], "success");
}

#[test]
fn a_run_is_pending_until_published_and_aborted_when_dropped() {
    let server = Scripted::start(well_behaved);
    let client = server.patient();
    let run = client.run();
    let ticket = run.lookup(&request()).hit_or_ticket().unwrap_err();
    run.commit(ticket, &42).unwrap();
    assert_eq!((run.publish(), run.publish(), run.abort()), (Ok(2), Ok(0), Ok(0)));
    let id = run.id().to_owned();
    drop(run);
    let dropped = client.run();
    drop(dropped.lookup(&request()));
    drop(dropped);
    drop(client.run()); // never used: nothing to tell
    assert_eq!(server.verbs(), "LCCLAA");
    assert_eq!(server.body(0)["run"], id.as_str());
    assert_eq!(server.body(1)["outcome"], "pending");
    assert_eq!(server.body(2), json!({"run": id, "outcome": "success"}));
    assert!(server.body(5)["run"].is_string());
}

#[test]
fn threads_share_a_client_and_each_gets_its_own_answer() {
    let server = Scripted::start(|verb, body| {
        let value = body["parts"]["number"].clone();
        Some(frame(verb, &json!({"status": "hit", "value": value, "entry": "e", "key": "k", "age": 0})))
    });
    let client = Client::builder().socket(&server.socket).lookup_timeout(Duration::from_secs(10)).build().unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8_u64 {
            let client = client.clone();
            scope.spawn(move || {
                for number in 0..100 {
                    let number = thread * 1000 + number;
                    let lookup = client.lookup(&Request::new(Kind::Llm).part("number", number));
                    assert_eq!(lookup.hit_or_ticket().unwrap().parse::<u64>(), Some(number));
                }
            });
        }
    });
    assert!(server.connections.load(Ordering::SeqCst) <= 16, "connections are not kept");
}

#[test]
fn http_is_spoken_where_no_socket_is() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut seen = Vec::new();
        for answer in
            [miss(1).to_string(), json!({"error": {"type": "unknown_ticket", "message": "gone"}}).to_string()]
        {
            let mut buffer = [0; 4096];
            let count = stream.read(&mut buffer).unwrap();
            seen.push(String::from_utf8(buffer[..count].to_vec()).unwrap());
            let status = if seen.len() == 1 { "200 OK" } else { "404 Not Found" };
            write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{answer}", answer.len()).unwrap();
        }
        seen
    });
    let client = Client::builder().url(format!("http://127.0.0.1:{port}")).api_key("sk-1").build().unwrap();
    let ticket = client.lookup(&request()).hit_or_ticket().unwrap_err();
    let error = client.commit(ticket, &1).unwrap_err();
    assert!(matches!(error, Error::Refused { status: 404, kind, .. } if kind == "unknown_ticket"));
    let seen = server.join().unwrap();
    assert!(seen[0].starts_with("POST /payonce/v1/lookup HTTP/1.1\r\nHost: 127.0.0.1:"), "{}", seen[0]);
    assert!(seen[0].contains("\r\nAuthorization: Bearer sk-1\r\n"), "{}", seen[0]);
    assert!(seen[1].ends_with(r#"{"ticket":"t-1","value":1,"outcome":"success"}"#), "{}", seen[1]);
}
