//! Where a request came from, as far as proxies that we trust can tell.

use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses in CIDR form, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: u128,
    bits: u32,
}

impl Network {
    fn contains(self, ip: IpAddr) -> bool {
        // A shift by all 128 bits, for a prefix of none, leaves nothing to differ.
        (number(ip) ^ self.address).checked_shr(128 - self.bits).unwrap_or(0) == 0
    }
}

/// IPv4 addresses are compared in their IPv6-mapped form.
fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_bits(),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fault = || format!("expected an address such as 10.0.0.0/8 or ::1, found {text:?}");
        let (address, prefix) = match text.split_once('/') {
            None => (text, None),
            Some((address, prefix)) => (address, Some(prefix)),
        };
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(prefix) => prefix.parse().ok().filter(|p| *p <= most).ok_or_else(fault)?,
        };
        Ok(Network { address: number(address), bits: 128 - most + prefix })
    }
}

/// The proxies whose `X-Forwarded-For` is believed. By default there are none.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(pub Vec<Network>);

impl TrustedProxies {
    /// The address nearest to us that isn't one of our proxies. `forwarded` are the lines of
    /// `X-Forwarded-For` in order; each proxy has appended whom it heard.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> IpAddr {
        let mut nearest = peer.to_canonical();
        let hops = forwarded.rev().flat_map(|line| line.rsplit(','));
        for hop in hops {
            if !self.trusts(nearest) {
                break;
            }
            let Some(ip) = address(hop.trim()) else { break };
            nearest = ip.to_canonical();
        }
        nearest
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }
}

/// Some proxies write a port, and brackets around IPv6.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    bare.parse().ok().or_else(|| hop.parse().map(|socket: std::net::SocketAddr| socket.ip()).ok())
}
