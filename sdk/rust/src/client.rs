use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;

use crate::answer::{count, Committed, Lookup, Stats};
use crate::commit::Commit;
use crate::error::{Error, Result};
use crate::place::{Place, DEFAULT_URL};
use crate::request::{to_body, Hint, Invalidate, Request};
use crate::run::Run;
use crate::ticket::Ticket;
use crate::transport::Connection;
use crate::verb::Verb;

/// Connections that are kept open between calls.
const MAX_IDLE: usize = 8;
/// So many calls in a row that were not answered in time count as no server.
const MAX_LATE: u32 = 3;
/// Of a lookup, when nobody says otherwise.
const LOOKUP_TIMEOUT: Duration = Duration::from_millis(50);
/// A longer bound is as good as this one, and the clock can count so far.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest body of a credential; more is certainly a mistake.
const MAX_KEY_BYTES: usize = 4096;

/// Talks to a Payonce server. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    place: std::result::Result<Place, String>,
    key: Option<String>,
    lookup_timeout: Duration,
    timeout: Duration,
    retry_after: Duration,
    idle: Mutex<Vec<Connection>>,
    born: Instant,
    /// Milliseconds after `born` before which no connection is tried.
    closed_until_ms: AtomicU64,
    late: AtomicU32,
}

impl Client {
    /// As the environment says, see the [crate's](crate) page. Never fails: with a variable that cannot be used, the
    /// client is off ([`Client::off_because`]).
    pub fn from_env() -> Self {
        Client::builder().build_or_off()
    }

    /// A client of one's own making; what is not set comes from the environment.
    pub fn builder() -> Builder {
        Builder::from_env()
    }

    /// Why this client does nothing: it was told an address that it cannot speak to, or a wrong credential or bound.
    /// `None`: it is on.
    pub fn off_because(&self) -> Option<&str> {
        self.0.place.as_ref().err().map(String::as_str)
    }

    /// The stored value, or a [`Ticket`] for making it. Without a server, or when it takes longer than
    /// [`Builder::lookup_timeout`] or [`Request::within`] (and [`Request::wait`]), it is a miss whose ticket stores nothing.
    pub fn lookup(&self, request: &Request) -> Lookup {
        let within = request.bound(self.0.lookup_timeout);
        let answer = request.body().and_then(|body| self.0.exchange(Verb::Lookup, &body, within));
        let lookup = answer.and_then(|body| Lookup::read(self, request.run_id(), &body));
        lookup.unwrap_or_else(|error| Lookup::failed(self, error))
    }

    /// Stores the value of a ticket. When the ticket's lookup was made in a [`Run`], it is pending until that is
    /// published.
    pub fn commit(&self, mut ticket: Ticket, commit: impl Into<Commit>) -> Result<Committed> {
        let commit: Commit = commit.into();
        let commit = if ticket.is_in_run() { commit.in_run() } else { commit };
        let Some(id) = ticket.id() else {
            return Err(Error::Unreachable("its lookup had found no server".into()));
        };
        let body = commit.body(id)?;
        // Only now it is used: a value that cannot be written gives the ticket back.
        ticket.take();
        Committed::read(&self.0.exchange(Verb::Commit, &body, self.0.timeout)?)
    }

    /// Gives a ticket back, so that nobody waits for it; how many pending entries that deleted. Dropping the ticket
    /// does the same.
    pub fn abort(&self, mut ticket: Ticket) -> Result<u64> {
        match ticket.take() {
            Some(id) => count(&self.call(Verb::Abort, &json!({ "ticket": id }))?, "entries"),
            None => Ok(0),
        }
    }

    /// A new [`Run`].
    pub fn run(&self) -> Run {
        Run::new(self)
    }

    /// Removes entries; how many.
    pub fn invalidate(&self, what: &Invalidate) -> Result<u64> {
        count(&self.call(Verb::Invalidate, what)?, "removed")
    }

    /// Tells what is known of a session's future.
    pub fn hint(&self, hint: &Hint) -> Result<()> {
        self.call(Verb::Hint, hint).map(drop)
    }

    /// What the server has counted.
    pub fn stats(&self) -> Result<Stats> {
        let body = self.0.exchange(Verb::Stats, b"{}", self.0.timeout)?;
        serde_json::from_slice(&body).map_err(|error| Error::protocol(error.to_string()))
    }

    pub(crate) fn call(&self, verb: Verb, body: &impl Serialize) -> Result<Vec<u8>> {
        self.0.exchange(verb, &to_body(body)?, self.0.timeout)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the credential.
        out.debug_struct("Client").field("place", &self.0.place).finish_non_exhaustive()
    }
}

impl Inner {
    fn exchange(&self, verb: Verb, body: &[u8], within: Duration) -> Result<Vec<u8>> {
        let place = self.place.as_ref().map_err(|why| Error::Off(why.clone()))?;
        let deadline = Instant::now() + within.min(LONGEST);
        if let Some(mut connection) = self.take_idle() {
            match connection.exchange(verb, body, deadline) {
                // The server closed it, or began anew, since it was last used.
                Err(broken) if broken.unheard && matches!(broken.error, Error::Unreachable(_)) => self.drop_idle(),
                answer => return self.finish(connection, answer.map_err(|broken| broken.error)),
            }
        }
        self.check_open()?;
        let opened = Connection::open(place, self.key.as_deref(), deadline);
        let mut connection = opened.inspect_err(|error| self.note(error))?;
        let answer = connection.exchange(verb, body, deadline);
        self.finish(connection, answer.map_err(|broken| broken.error))
    }

    /// Keeps the connection when it is still of use.
    fn finish(&self, connection: Connection, answer: Result<Vec<u8>>) -> Result<Vec<u8>> {
        match &answer {
            Ok(_) | Err(Error::Refused { .. }) => {
                self.late.store(0, Ordering::Relaxed);
                if connection.is_reusable() {
                    let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                    if idle.len() < MAX_IDLE {
                        idle.push(connection);
                    }
                }
            }
            Err(error) => self.note(error),
        }
        answer
    }

    /// After a refused connection, and after several late answers, no new one is tried for a while.
    fn note(&self, error: &Error) {
        let closes = match error {
            Error::Unreachable(_) => true,
            Error::Timeout => self.late.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_LATE,
            _ => false,
        };
        if closes {
            self.late.store(0, Ordering::Relaxed);
            let until = self.born.elapsed().saturating_add(self.retry_after).as_millis();
            self.closed_until_ms.store(u64::try_from(until).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    fn check_open(&self) -> Result<()> {
        let now = self.born.elapsed().as_millis();
        match now < u128::from(self.closed_until_ms.load(Ordering::Relaxed)) {
            true => Err(Error::Unreachable("it was not there a moment ago".into())),
            false => Ok(()),
        }
    }

    fn take_idle(&self) -> Option<Connection> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn drop_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Settings of a [`Client`].
#[derive(Clone)]
#[must_use]
pub struct Builder {
    socket: Option<PathBuf>,
    url: String,
    key: Option<String>,
    lookup_timeout: std::result::Result<Duration, String>,
    timeout: Duration,
    retry_after: Duration,
}

impl Builder {
    fn from_env() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        Builder {
            socket: std::env::var_os("PAYONCE_SOCKET").filter(|value| !value.is_empty()).map(PathBuf::from),
            url: text("PAYONCE_URL").unwrap_or_else(|| DEFAULT_URL.into()),
            key: text("PAYONCE_API_KEY"),
            lookup_timeout: read_bound(std::env::var_os("PAYONCE_TIMEOUT_MS")),
            timeout: Duration::from_secs(1),
            retry_after: Duration::from_secs(1),
        }
    }

    /// The server's Unix socket. Nothing else is tried then.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// The server's URL: plain HTTP on a loopback address. Its default Unix socket is used when it is there.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.socket = None;
        self.url = url.into();
        self
    }

    /// The credential; with it, the scope.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// How long a lookup may take, connecting included. `PAYONCE_TIMEOUT_MS` if not set, else 50 ms.
    pub fn lookup_timeout(mut self, bound: Duration) -> Self {
        self.lookup_timeout = Ok(bound);
        self
    }

    /// How long any other call may take. 1 s if not set.
    pub fn timeout(mut self, bound: Duration) -> Self {
        self.timeout = bound;
        self
    }

    /// How long no connection is tried after one was refused. 1 s if not set.
    pub fn retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = pause;
        self
    }

    /// The client, or what is wrong with its address, credential or bound.
    pub fn build(self) -> Result<Client> {
        match self.build_or_off() {
            client if client.off_because().is_none() => Ok(client),
            client => Err(Error::Off(client.off_because().unwrap_or_default().to_owned())),
        }
    }

    /// The client; off when its address, credential or bound cannot be used.
    pub fn build_or_off(self) -> Client {
        let key = self.key.as_deref().map_or(Ok(()), check_key);
        let bound = self.lookup_timeout.clone();
        let place = key.and(bound.map(drop)).and_then(|()| Place::new(self.socket, &self.url));
        Client(Arc::new(Inner {
            place,
            key: self.key,
            lookup_timeout: self.lookup_timeout.unwrap_or(LOOKUP_TIMEOUT),
            timeout: self.timeout,
            retry_after: self.retry_after,
            idle: Mutex::new(Vec::new()),
            born: Instant::now(),
            closed_until_ms: AtomicU64::new(0),
            late: AtomicU32::new(0),
        }))
    }
}

/// Milliseconds: digits, with a fraction or without, as all clients of Payonce read them.
fn read_bound(told: Option<OsString>) -> std::result::Result<Duration, String> {
    let Some(told) = told.filter(|told| !told.is_empty()) else {
        return Ok(LOOKUP_TIMEOUT);
    };
    let text = told.to_string_lossy();
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = text.split_once('.').unwrap_or((&*text, "0"));
    let is_decimal = is_digits(whole) && is_digits(fraction);
    match text.parse::<f64>() {
        Ok(ms) if is_decimal && ms > 0.0 && ms.is_finite() => {
            Ok(Duration::from_secs_f64((ms / 1000.0).min(LONGEST.as_secs_f64())))
        }
        _ => Err(format!("PAYONCE_TIMEOUT_MS is '{text}', no positive number of milliseconds, such as 200")),
    }
}

/// It becomes a field of an HTTP head.
fn check_key(key: &str) -> std::result::Result<(), String> {
    match key.len() <= MAX_KEY_BYTES && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(()),
        false => Err("the credential (PAYONCE_API_KEY) has characters that a credential cannot have".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    #[test]
    fn everything_may_cross_threads() {
        is_shared::<Client>();
        is_shared::<Ticket>();
        is_shared::<Run>();
        is_shared::<Lookup>();
        is_shared::<Error>();
    }

    #[test]
    fn a_client_with_a_wrong_address_is_off_and_says_why() {
        let builder = Client::builder().url("https://payonce.example");
        assert!(matches!(builder.clone().build(), Err(Error::Off(why)) if why.contains("loopback")));
        let client = builder.build_or_off();
        assert!(client.off_because().is_some());
        assert!(!client.lookup(&Request::new(crate::Kind::Llm)).is_hit());
    }

    #[test]
    fn a_credential_cannot_add_lines_to_a_head() {
        assert!(Client::builder().url(DEFAULT_URL).api_key("sk-1\r\nX-Other: 1").build().is_err());
    }

    #[test]
    fn the_variable_is_the_bound_of_a_lookup() {
        assert_eq!(read_bound(None), Ok(LOOKUP_TIMEOUT));
        let ages = "9".repeat(300);
        for (told, bound) in [
            ("", LOOKUP_TIMEOUT),
            ("1", Duration::from_millis(1)),
            ("30000", Duration::from_secs(30)),
            ("007", Duration::from_millis(7)),
            ("12.5", Duration::from_micros(12_500)),
            (ages.as_str(), LONGEST),
        ] {
            assert_eq!(read_bound(Some(told.into())), Ok(bound), "{told}");
        }
    }

    #[test]
    fn what_is_no_positive_number_is_told() {
        let endless = "9".repeat(400);
        let wrong = "soon|0|0.0|-5|+5|nan|inf|1e3|0x10|1_000| 50|50 |5.|.5|.|5.5.5|50ms|\u{665}";
        for told in wrong.split('|').chain([endless.as_str()]) {
            let why = read_bound(Some(told.into())).unwrap_err();
            assert!(why.starts_with(&format!("PAYONCE_TIMEOUT_MS is '{told}', no positive number")), "{why}");
            let mut builder = Client::builder().url(DEFAULT_URL);
            builder.lookup_timeout = Err(why.clone());
            assert_eq!(builder.clone().build_or_off().off_because(), Some(why.as_str()));
            assert!(builder.lookup_timeout(Duration::from_secs(1)).build().is_ok(), "{told}");
        }
    }

    #[test]
    fn the_credential_is_not_shown() {
        let client = Client::builder().url(DEFAULT_URL).api_key("sk-hidden").build().unwrap();
        assert!(!format!("{client:?}").contains("sk-hidden"));
    }
}
