//! The proxies that are believed.

use std::{fmt, net::IpAddr, str::FromStr};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// A proxy, or a network of them, whose `X-Forwarded-For` is believed: `10.0.0.1`, `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustedProxy(IpNet);

/// Text that names neither an address nor a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an IP address such as 10.0.0.1, or a network such as 10.0.0.0/8")]
pub struct BadTrustedProxy;

impl TrustedProxy {
    /// Tells whether an address is the proxy's, or one of the network's.
    pub(crate) fn is_at(&self, address: IpAddr) -> bool {
        self.0.contains(&address)
    }
}

impl From<IpAddr> for TrustedProxy {
    fn from(address: IpAddr) -> Self {
        Self(IpNet::from(address.to_canonical()))
    }
}

impl FromStr for TrustedProxy {
    type Err = BadTrustedProxy;

    fn from_str(text: &str) -> Result<Self, BadTrustedProxy> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self::from(address));
        }
        text.parse().map(Self).map_err(|_| BadTrustedProxy)
    }
}

impl TryFrom<String> for TrustedProxy {
    type Error = BadTrustedProxy;

    fn try_from(text: String) -> Result<Self, BadTrustedProxy> {
        text.parse()
    }
}

impl From<TrustedProxy> for String {
    fn from(proxy: TrustedProxy) -> Self {
        proxy.to_string()
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_networks_are_read_and_written_alike() {
        for text in ["10.0.0.1", "10.0.0.0/8", "2001:db8::1", "2001:db8::/32"] {
            let proxy: TrustedProxy = text.parse().expect("well formed");
            assert_eq!(proxy.to_string(), text);
        }
        for text in ["", "10.0.0", "10.0.0.0/33", "proxy.example.com"] {
            assert_eq!(text.parse::<TrustedProxy>(), Err(BadTrustedProxy));
        }
    }

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        let proxy: TrustedProxy = "10.1.0.0/16".parse().expect("well formed");
        assert!(proxy.is_at("10.1.2.3".parse().expect("an address")));
        assert!(!proxy.is_at("10.2.0.1".parse().expect("an address")));
        assert!(!proxy.is_at("2001:db8::1".parse().expect("an address")));
    }
}
