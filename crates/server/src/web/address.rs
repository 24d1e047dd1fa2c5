//! How pages reach this server.

use std::net::SocketAddr;

use anyhow::{Result, bail};
use http::Uri;

/// An absolute address without a trailing slash, and its parts as the clients want them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicAddress {
    protocol: &'static str,
    /// Host, port and path prefix.
    host: String,
    /// Nobody said it: it is the address of the socket.
    guessed: bool,
}

impl PublicAddress {
    /// Reads the setting `server.publicAddress`; if it is empty, the socket's address.
    pub fn read(setting: &str, listening: SocketAddr) -> Result<PublicAddress> {
        if setting.is_empty() {
            let host = listening.to_string();
            return Ok(PublicAddress { protocol: "http", host, guessed: true });
        }
        let wrong = || {
            bail!(
                "server.publicAddress: expected an absolute http or https address without query, \
                 such as \"https://cdp.shop.example\", found {setting:?}"
            )
        };
        let Ok(uri) = setting.parse::<Uri>() else { return wrong() };
        let protocol = match uri.scheme_str() {
            Some("http") => "http",
            Some("https") => "https",
            Some(_) | None => return wrong(),
        };
        let (Some(authority), None) = (uri.authority(), uri.query()) else { return wrong() };
        if authority.as_str().contains('@') {
            return wrong();
        }
        let host = format!("{authority}{}", uri.path().trim_end_matches('/'));
        Ok(PublicAddress { protocol, host, guessed: false })
    }

    /// The address, if somebody said it.
    pub fn said(&self) -> Option<String> {
        (!self.guessed).then(|| self.of(""))
    }

    /// `http` or `https`.
    pub(super) fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Where events go, without the protocol: the clients' `apiHost`.
    pub(super) fn api_host(&self) -> String {
        format!("{}/v1", self.host)
    }

    /// The address of `path`, which starts with a slash.
    pub(super) fn of(&self, path: &str) -> String {
        format!("{}://{}{path}", self.protocol, self.host)
    }

    /// The address without a path.
    pub(super) fn origin(&self) -> String {
        let authority = self.host.split('/').next().unwrap_or_default();
        format!("{}://{authority}", self.protocol)
    }

    /// Why pages elsewhere may not get here.
    pub(super) fn doubt(&self) -> Option<String> {
        let here =
            self.guessed && !self.host.starts_with("127.") && !self.host.starts_with("[::1]");
        here.then(|| {
            format!(
                "server.publicAddress is empty, so pages are told to reach this server at {}; set \
                 it to the address by which they do",
                self.of("")
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(setting: &str) -> Result<PublicAddress> {
        PublicAddress::read(setting, "127.0.0.1:8080".parse().unwrap())
    }

    #[test]
    fn a_public_address_is_cut_as_the_clients_want_it() {
        for (setting, protocol, api_host, plugin) in [
            (
                "https://cdp.shop.example",
                "https",
                "cdp.shop.example/v1",
                "https://cdp.shop.example/p",
            ),
            (
                "https://shop.example/_cdp/",
                "https",
                "shop.example/_cdp/v1",
                "https://shop.example/_cdp/p",
            ),
            ("http://10.0.0.7:8080", "http", "10.0.0.7:8080/v1", "http://10.0.0.7:8080/p"),
            ("", "http", "127.0.0.1:8080/v1", "http://127.0.0.1:8080/p"),
        ] {
            let address = read(setting).unwrap();
            assert_eq!(address.protocol(), protocol);
            assert_eq!(address.api_host(), api_host);
            assert_eq!(address.of("/p"), plugin);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_was_expected() {
        for setting in ["cdp.shop.example", "ftp://x", "/path", "https://x/?a=1", "https://u:p@x"] {
            let error = read(setting).unwrap_err().to_string();
            assert!(error.contains("expected an absolute http or https address"), "{error}");
        }
    }

    #[test]
    fn a_guess_that_only_this_machine_can_follow_is_doubted_unless_it_is_loopback() {
        let guess = |listening: &str| PublicAddress::read("", listening.parse().unwrap()).unwrap();
        assert!(guess("0.0.0.0:80").doubt().is_some());
        assert!(guess("127.0.0.1:80").doubt().is_none());
        assert!(read("http://10.0.0.7").unwrap().doubt().is_none());
        assert_eq!(guess("0.0.0.0:80").said(), None);
        assert_eq!(read("https://h.example/").unwrap().said().unwrap(), "https://h.example");
    }
}
