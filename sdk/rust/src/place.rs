//! Where the server is, from addresses and the environment.

use std::net::{SocketAddr, ToSocketAddrs};
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

pub(crate) const DEFAULT_URL: &str = "http://127.0.0.1:4141";

/// The two ways to a server, in the order of trying.
#[derive(Debug, Clone, Default)]
pub(crate) struct Place {
    /// A Unix socket, and whether its owner must be checked since nobody named it.
    #[cfg_attr(not(unix), allow(dead_code))]
    pub(crate) socket: Option<(PathBuf, Named)>,
    /// Where HTTP is spoken.
    pub(crate) http: Option<HttpPlace>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    ByUser,
    ByDefault,
}

#[derive(Debug, Clone)]
pub(crate) struct HttpPlace {
    pub(crate) addresses: Vec<SocketAddr>,
    /// For the `Host` field.
    pub(crate) host: String,
    /// What stands before `/payonce/v1`, without a slash at its end.
    pub(crate) prefix: String,
}

impl Place {
    /// A socket that somebody named wins; otherwise the default one beside the URL, then the URL.
    pub(crate) fn new(socket: Option<PathBuf>, url: &str) -> Result<Self, String> {
        if let Some(path) = socket {
            return match cfg!(unix) {
                true => Ok(Place { socket: Some((path, Named::ByUser)), http: None }),
                false => Err("no Unix sockets here: set PAYONCE_URL, and PAYONCE_SOCKET not".into()),
            };
        }
        let http = HttpPlace::parse(url)?;
        let port = http.addresses.first().map_or(0, SocketAddr::port);
        Ok(Place { socket: default_socket(port).map(|path| (path, Named::ByDefault)), http: Some(http) })
    }
}

impl HttpPlace {
    fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!("the URL '{url}' {what}; expected http://127.0.0.1:PORT (this crate speaks plain HTTP to loopback addresses only)")
        };
        let rest = url.strip_prefix("http://").ok_or_else(|| wrong("does not begin with http://"))?;
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if host.contains('@') || host.chars().any(|each| each.is_whitespace() || each.is_control()) {
            return Err(wrong("has an odd host"));
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let with_port = if has_port { host.to_owned() } else { format!("{host}:80") };
        let name = with_port.rsplit_once(':').map_or("", |(name, _)| name);
        if !is_loopback(name) {
            return Err(wrong("does not lead to this machine"));
        }
        let found = with_port.to_socket_addrs().map_err(|error| wrong(&format!("has no address ({error})")))?;
        let addresses: Vec<_> = found.filter(|address| address.ip().is_loopback()).collect();
        if addresses.is_empty() {
            return Err(wrong("does not lead to this machine"));
        }
        Ok(HttpPlace { addresses, host: host.to_owned(), prefix: path.trim_end_matches('/').to_owned() })
    }
}

/// Told by the name, so that no name service is asked about other hosts.
fn is_loopback(name: &str) -> bool {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(unix)]
fn default_socket(port: u16) -> Option<PathBuf> {
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").filter(|value| !value.is_empty()) {
        Some(runtime) => Path::new(&runtime).join("payonce"),
        None => PathBuf::from(format!("/tmp/payonce-{}", own_uid())),
    };
    Some(folder.join(format!("{port}.sock")))
}

#[cfg(not(unix))]
fn default_socket(_port: u16) -> Option<PathBuf> {
    None
}

/// Whether the file at a path that nobody named belongs to this user or root: in /tmp anybody could have put it there.
#[cfg(unix)]
pub(crate) fn is_own(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).is_ok_and(|found| found.uid() == 0 || found.uid() == own_uid())
}

#[cfg(unix)]
fn own_uid() -> u32 {
    #[allow(unsafe_code)]
    // SAFETY: POSIX has geteuid take nothing, always succeed and touch no memory; std links the C library anyway.
    unsafe {
        extern "C" {
            fn geteuid() -> u32;
        }
        geteuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_this_machine_are_taken() {
        for (url, port, prefix) in [
            ("http://127.0.0.1:4141", 4141, ""),
            ("http://127.0.0.1:4141/", 4141, ""),
            ("http://[::1]:99", 99, ""),
            ("http://127.8.9.1", 80, ""),
            ("http://localhost:7/base/", 7, "/base"),
        ] {
            let place = HttpPlace::parse(url).unwrap();
            assert_eq!((place.addresses[0].port(), place.prefix.as_str()), (port, prefix), "{url}");
        }
    }

    #[test]
    fn other_urls_are_refused_and_named() {
        for url in [
            "https://127.0.0.1",
            "http://10.0.0.1:4141",
            "http://payonce.example",
            "127.0.0.1:4141",
            "http://",
            "http://a@127.0.0.1",
            "http://127.0.0.1:4141\r\nX: y",
        ] {
            let error = HttpPlace::parse(url).unwrap_err();
            assert!(error.contains(url), "{error}");
        }
    }

    #[test]
    fn a_named_socket_stands_alone() {
        let place = Place::new(Some("/x.sock".into()), "https://not.looked.at").unwrap();
        assert!(place.http.is_none() && place.socket == Some(("/x.sock".into(), Named::ByUser)));
    }

    #[cfg(unix)]
    #[test]
    fn files_of_others_are_not_own() {
        assert!(is_own(Path::new("/etc")) && !is_own(Path::new("/no/such/file")));
    }
}
