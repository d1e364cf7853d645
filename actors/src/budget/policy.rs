//! Who is counted, and as doing what.

use std::net::{IpAddr, Ipv6Addr};

use aws_lc_rs::digest::{SHA256, digest};
use holdfast_domain::{ShardId, UserId, id::shard_of};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::wire::OLDEST_VERSION;

/// What a call is, as far as budgets tell calls apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Makes an account.
    Register,
    /// Shows a secret: signs in, refreshes, changes a password.
    Login,
    /// Places or pays an order.
    Orders,
    /// Changes anything else.
    Writes,
    /// Changes nothing.
    Reads,
    /// Reports what a payment provider has done, signed by it.
    ///
    /// An owner of a release that does not know this class is not asked for tokens of it; shares decide then.
    Webhooks,
}

impl Class {
    /// Returns the wire version that it came with.
    pub(crate) fn since(self) -> u8 {
        match self {
            Self::Webhooks => 2,
            Self::Register | Self::Login | Self::Orders | Self::Writes | Self::Reads => OLDEST_VERSION,
        }
    }

    /// Lists every class, in order.
    pub const ALL: [Self; 6] = [
        Self::Register,
        Self::Login,
        Self::Orders,
        Self::Writes,
        Self::Reads,
        Self::Webhooks,
    ];

    /// Returns the class's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Register => "register",
            Self::Login => "login",
            Self::Orders => "orders",
            Self::Writes => "writes",
            Self::Reads => "reads",
            Self::Webhooks => "webhooks",
        }
    }

    /// Returns where the class stands among all.
    pub(super) const fn index(self) -> usize {
        self as usize
    }
}

/// By what requests are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The address that they come from, whoever asks.
    Address,
    /// The user who is signed in, or the provider who has signed, wherever they come from.
    Caller,
}

/// One of the rules that a request has to meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// What is asked.
    pub class: Class,
    /// By what it is counted.
    pub scope: Scope,
}

impl Policy {
    /// Lists every policy, in the order of [`index`](Self::index).
    pub(super) fn all() -> impl Iterator<Item = Self> {
        Class::ALL
            .into_iter()
            .flat_map(|class| [Scope::Address, Scope::Caller].map(|scope| Self { class, scope }))
    }

    /// Returns where the policy stands among all.
    pub(super) const fn index(self) -> usize {
        self.class.index() * 2 + self.scope as usize
    }

    /// Returns the policy's name, as clients read it.
    pub const fn as_str(self) -> &'static str {
        match (self.class, self.scope) {
            (Class::Register, Scope::Address) => "register-address",
            (Class::Register, Scope::Caller) => "register-caller",
            (Class::Login, Scope::Address) => "login-address",
            (Class::Login, Scope::Caller) => "login-caller",
            (Class::Orders, Scope::Address) => "orders-address",
            (Class::Orders, Scope::Caller) => "orders-caller",
            (Class::Writes, Scope::Address) => "writes-address",
            (Class::Writes, Scope::Caller) => "writes-caller",
            (Class::Reads, Scope::Address) => "reads-address",
            (Class::Reads, Scope::Caller) => "reads-caller",
            (Class::Webhooks, Scope::Address) => "webhooks-address",
            (Class::Webhooks, Scope::Caller) => "webhooks-provider",
        }
    }
}

/// Whose requests are counted together: sixteen bytes, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// An address, or the network that one client has for itself.
    Address([u8; 16]),
    /// Somebody who is signed in, or who has signed.
    Caller([u8; 16]),
}

impl Subject {
    /// Counts by address. Of IPv6 the first 64 bits count: a client may use any of the others.
    pub fn address(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).octets(),
        })
    }

    /// Counts by user, over all of their sessions.
    pub fn caller(user: UserId) -> Self {
        Self::Caller(user.0.into_bytes())
    }

    /// Counts by provider, under the id by which its reports are remembered.
    pub fn provider(id: Uuid) -> Self {
        Self::Caller(id.into_bytes())
    }

    /// Returns by what this counts.
    pub const fn scope(&self) -> Scope {
        match self {
            Self::Address(_) => Scope::Address,
            Self::Caller(_) => Scope::Caller,
        }
    }

    /// Returns an id in the subject's shard of `sessions`, the same on all nodes. Hashed, since
    /// neighbouring addresses would all fall into one shard, and a client chooses its own.
    pub(crate) fn home(&self) -> Uuid {
        let (tag, bytes) = match self {
            Self::Address(bytes) => (b'a', bytes),
            Self::Caller(bytes) => (b'c', bytes),
        };
        let mut input = [tag; 17];
        input[1..].copy_from_slice(bytes);
        let hash = digest(&SHA256, &input);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.as_ref()[..16]);
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }

    /// Returns the shard of `sessions` whose owner has the subject's buckets.
    pub fn shard(&self) -> ShardId {
        shard_of(self.home())
    }
}

/// One bucket: a subject in a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key {
    pub(super) class: Class,
    pub(super) subject: Subject,
}

impl Key {
    /// Returns the policy that the bucket follows.
    pub(super) const fn policy(&self) -> Policy {
        Policy {
            class: self.class,
            scope: self.subject.scope(),
        }
    }
}
