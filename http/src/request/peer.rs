//! Where a request comes from, past the proxies that are believed.

use std::net::{IpAddr, SocketAddr};

use warp::http::HeaderMap;

use super::TrustedProxy;

/// Returns the client's address: the last one in `X-Forwarded-For` that is not a trusted proxy's.
///
/// A proxy appends what it saw, so what stands left of an address that is not trusted is hearsay.
pub(crate) fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[TrustedProxy]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|proxy| proxy.is_at(address));
    // A listener for both protocols shows IPv4 peers as IPv6 ones.
    let peer = peer.to_canonical();
    if !is_trusted(peer) {
        return peer;
    }
    let mut client = peer;
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    let hops = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.rsplit(','));
    for hop in hops {
        let Some(address) = address_of(hop.trim()) else {
            break;
        };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

/// Reads a hop: an address, to which some proxies add the port.
fn address_of(hop: &str) -> Option<IpAddr> {
    let address = hop
        .parse::<IpAddr>()
        .or_else(|_| hop.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use warp::http::HeaderValue;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn seen_through(peer: &str, lines: &[&'static str]) -> IpAddr {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_static(line));
        }
        client_address(
            address(peer),
            &headers,
            &[
                address("10.0.0.1").into(),
                address("10.0.0.2").into(),
                "172.16.0.0/12".parse().expect("a network"),
            ],
        )
    }

    #[test]
    fn a_client_cannot_name_its_own_address() {
        assert_eq!(
            seen_through("::ffff:10.0.0.1", &["198.51.100.7"]),
            address("198.51.100.7")
        );
        assert_eq!(
            seen_through("203.0.113.9", &["198.51.100.7"]),
            address("203.0.113.9")
        );
        assert_eq!(
            seen_through("10.0.0.1", &["1.1.1.1, 198.51.100.7"]),
            address("198.51.100.7")
        );
    }

    #[test]
    fn a_hop_may_name_a_port_or_an_ipv4_address_as_ipv6() {
        for hop in [
            "198.51.100.7:4711",
            "::ffff:198.51.100.7",
            "[::ffff:198.51.100.7]:4711",
        ] {
            assert_eq!(seen_through("10.0.0.1", &[hop]), address("198.51.100.7"));
        }
        assert_eq!(
            seen_through("10.0.0.1", &["[2001:db8::1]:4711"]),
            address("2001:db8::1")
        );
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_the_client() {
        assert_eq!(
            seen_through("10.0.0.1", &["198.51.100.7, 10.0.0.2"]),
            address("198.51.100.7")
        );
        assert_eq!(
            seen_through("10.0.0.1", &["198.51.100.7", "10.0.0.2"]),
            address("198.51.100.7")
        );
        assert_eq!(
            seen_through("172.20.0.9", &["198.51.100.7, 172.31.0.4"]),
            address("198.51.100.7")
        );
        assert_eq!(seen_through("10.0.0.1", &[]), address("10.0.0.1"));
        assert_eq!(seen_through("10.0.0.1", &["nonsense"]), address("10.0.0.1"));
    }
}
