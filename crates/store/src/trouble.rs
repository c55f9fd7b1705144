use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Why an etcd does not serve, in words that say what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No member that the address names could be reached.
    Unreachable {
        /// What the last one tried said.
        detail: Arc<str>,
    },
    /// The members that answer have no leader: more than half of them must see each other.
    NoLeader,
    /// No answer in time.
    Slow {
        /// How long was waited.
        within: Duration,
    },
    /// etcd's quota is used up; it takes no write until that is mended and the alarm is cleared.
    Full,
    /// etcd doesn't let us in, or not where the store is.
    Denied {
        /// In etcd's words.
        detail: Arc<str>,
    },
    /// etcd's certificate is none that we trust, or it doesn't trust ours.
    Untrusted {
        /// What TLS said.
        detail: Arc<str>,
    },
    /// Behind the address is another cluster than before.
    OtherCluster {
        /// The id of the one before.
        expected: u64,
        /// The id of this one.
        found: u64,
    },
    /// The store under the prefix has been replaced, or put back from a backup, while it was open.
    Replaced,
    /// What lies under the prefix is not what this program wrote.
    Damaged {
        /// How it was noticed.
        detail: Arc<str>,
    },
    /// Anything else that etcd refuses.
    Refused {
        /// In etcd's words.
        detail: Arc<str>,
    },
}

impl Trouble {
    /// Whether it may pass by itself, on this member or another one.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NoLeader | Self::Slow { .. } => true,
            // Another member may do better: certificates are each one's own, and an address can be
            // that of a balancer.
            Self::OtherCluster { .. } | Self::Untrusted { .. } => true,
            Self::Full
            | Self::Denied { .. }
            | Self::Replaced
            | Self::Damaged { .. }
            | Self::Refused { .. } => false,
        }
    }

    /// A word for metrics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::NoLeader => "no_leader",
            Self::Slow { .. } => "slow",
            Self::Full => "full",
            Self::Denied { .. } => "denied",
            Self::Untrusted { .. } => "untrusted",
            Self::OtherCluster { .. } => "other_cluster",
            Self::Replaced => "replaced",
            Self::Damaged { .. } => "damaged",
            Self::Refused { .. } => "refused",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable { detail } => write!(
                f,
                "no member answers ({detail}); check that etcd runs and can be reached from here"
            ),
            Self::NoLeader => f.write_str(
                "etcd has no leader; check that more than half of its members run and reach each \
                 other",
            ),
            Self::Slow { within } => write!(
                f,
                "no answer within {within:?}; check etcd's members and their disks"
            ),
            Self::Full => f.write_str(
                "etcd's quota is used up; compact and defragment it (or raise \
                 --quota-backend-bytes), then run `etcdctl alarm disarm`",
            ),
            Self::Denied { detail } => write!(
                f,
                "etcd refuses us ({detail}); check the user, the password, the client certificate \
                 and the role's permission on the prefix"
            ),
            Self::Untrusted { detail } => write!(
                f,
                "no TLS with etcd ({detail}); check the authority, the client certificate and its \
                 key, and the names in etcd's certificate"
            ),
            Self::OtherCluster { expected, found } => write!(
                f,
                "behind the address is the cluster {found:x} and not {expected:x}; correct the \
                 address, or restart the control plane if it was moved on purpose"
            ),
            Self::Replaced => f.write_str(
                "the store was replaced or put back from a backup while it was in use; restart \
                 the control plane",
            ),
            Self::Damaged { detail } => write!(
                f,
                "what lies there is not a store of ours ({detail}); choose another prefix, or put \
                 a backup back"
            ),
            Self::Refused { detail } => write!(f, "etcd refuses ({detail})"),
        }
    }
}
