//! A scripted server on a Unix socket: a closure decides what each frame is answered with.
#![allow(dead_code)] // each test file uses a part

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

static NUMBER: AtomicUsize = AtomicUsize::new(0);

/// A folder of its own, removed at the end.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("payonce-rust-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub type Frames = Arc<Mutex<Vec<(char, Value)>>>;

pub struct Scripted {
    pub folder: Folder,
    pub socket: PathBuf,
    pub frames: Frames,
    pub connections: Arc<AtomicUsize>,
}

/// What to do about a frame: bytes to send, or `None` to close.
pub type Script = dyn Fn(char, &Value) -> Option<Vec<u8>> + Send + Sync;

impl Scripted {
    pub fn start(script: impl Fn(char, &Value) -> Option<Vec<u8>> + Send + Sync + 'static) -> Self {
        let folder = Folder::new();
        let socket = folder.0.join("p.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let frames = Frames::default();
        let connections = Arc::new(AtomicUsize::new(0));
        let server = (frames.clone(), connections.clone(), Arc::new(script) as Arc<Script>);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (frames, connections, script) = server.clone();
                connections.fetch_add(1, Ordering::SeqCst);
                std::thread::spawn(move || serve(stream, &frames, &*script));
            }
        });
        Scripted { folder, socket, frames, connections }
    }

    pub fn client(&self) -> payonce::Client {
        payonce::Client::builder().socket(&self.socket).build().unwrap()
    }

    /// For what is not about the bound: the machine may be busy.
    pub fn patient(&self) -> payonce::Client {
        payonce::Client::builder().socket(&self.socket).lookup_timeout(Duration::from_secs(30)).build().unwrap()
    }

    /// The verbs that came, in order.
    pub fn verbs(&self) -> String {
        self.frames.lock().unwrap().iter().map(|(verb, _)| *verb).collect()
    }

    /// The body of the nth frame.
    pub fn body(&self, index: usize) -> Value {
        self.frames.lock().unwrap()[index].1.clone()
    }
}

fn serve(mut stream: UnixStream, frames: &Frames, script: &Script) {
    let mut head = [0; 5];
    while stream.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        frames.lock().unwrap().push((head[0] as char, body.clone()));
        match script(head[0] as char, &body) {
            Some(answer) if stream.write_all(&answer).is_ok() => {}
            _ => return,
        }
    }
}

pub fn frame(verb: char, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let mut bytes = vec![verb as u8];
    bytes.extend_from_slice(&(body.len() as u32).to_be_bytes());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}
