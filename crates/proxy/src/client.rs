//! What is known of one client connection, and how long it may go on doing what it does.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderValue;

use crate::headers;
use crate::settings::{Limits, Settings};
use crate::target::KnownHost;
use crate::ticks::{Ticks, Timer};

/// Who is at the other end.
#[derive(Debug)]
pub(crate) struct Peer {
    /// The address, as headers have it.
    pub(crate) address_text: HeaderValue,
    /// The listener's port, as headers have it.
    pub(crate) port: HeaderValue,
    /// Whether it is a proxy whose word is believed.
    pub(crate) trusted: bool,
    /// What every upstream is told of it, as lines of a head: ready, as it is the same for every
    /// request of the connection.
    pub(crate) told: Bytes,
}

/// One client connection, shared by its socket, its requests and their bodies.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) peer: Peer,
    limits: Limits,
    phase: Cell<Phase>,
    /// The connection's one deadline: whichever of its limits comes next.
    pub(crate) timer: Timer,
    /// Whether a response waits for the client to take more of it.
    stalled: Cell<bool>,
    in_flight: Cell<u32>,
    /// Whether its next request is its last.
    parting: Cell<bool>,
    known_host: KnownHost,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has sent nothing yet.
    Fresh,
    /// It is sending a head.
    Head,
    /// Requests are in flight.
    Busy,
    /// It waits for its next request. An HTTP/2 connection goes from here to busy at once: its
    /// frames say nothing about heads.
    Idle,
    /// As idle, on an HTTP/2 connection.
    Http2Idle,
    /// It is about to be closed.
    Lingering,
}

impl Peer {
    pub(crate) fn new(address: IpAddr, port: u16, trusted: bool) -> Self {
        let address = HeaderValue::from_str(&address.to_string());
        let mut peer = Self {
            address_text: address.unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            port: HeaderValue::from(port),
            trusted,
            told: Bytes::new(),
        };
        peer.told = headers::told_of(&peer);
        peer
    }
}

impl Client {
    /// A connection that has just been accepted at this port.
    pub(crate) fn new(
        settings: &Settings,
        ticks: &Rc<Ticks>,
        peer: SocketAddr,
        port: u16,
    ) -> Rc<Self> {
        // An IPv4 client of an IPv6 socket is an IPv4 client.
        let address = peer.ip().to_canonical();
        let client = Self {
            peer: Peer::new(address, port, settings.trusts(address)),
            limits: settings.limits,
            phase: Cell::new(Phase::Fresh),
            timer: ticks.timer(),
            stalled: Cell::new(false),
            in_flight: Cell::new(0),
            parting: Cell::new(false),
            known_host: KnownHost::default(),
        };
        client.rearm();
        Rc::new(client)
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The `Host` that its last request had.
    pub(crate) fn known_host(&self) -> &KnownHost {
        &self.known_host
    }

    /// It turned out to speak HTTP/2.
    pub(crate) fn is_http2(&self) {
        self.enter(Phase::Http2Idle);
    }

    /// Bytes came in.
    pub(crate) fn has_read(&self) {
        match self.phase.get() {
            // The time for a first head runs from the accept.
            Phase::Fresh => self.phase.set(Phase::Head),
            Phase::Idle => self.enter(Phase::Head),
            Phase::Head | Phase::Busy | Phase::Http2Idle | Phase::Lingering => {}
        }
    }

    /// A request's head is there.
    pub(crate) fn begins(&self) {
        self.in_flight.set(self.in_flight.get() + 1);
        self.enter(Phase::Busy);
    }

    /// A request's answer has been written whole, or nearly, or the request is given up.
    pub(crate) fn ends(&self, http2: bool) {
        let in_flight = self.in_flight.get().saturating_sub(1);
        self.in_flight.set(in_flight);
        if in_flight == 0 {
            self.enter(if http2 { Phase::Http2Idle } else { Phase::Idle });
        }
    }

    /// The client takes no more for now, or does again.
    pub(crate) fn is_stalled(&self, stalled: bool) {
        if self.stalled.replace(stalled) != stalled {
            self.rearm();
        }
    }

    /// The worker drains. A request may be on its way already, so one more is taken: its answer says
    /// that it was the last.
    pub(crate) fn parts(&self) {
        self.parting.set(true);
        if !self.stalled.get() {
            self.rearm();
        }
    }

    /// It gets no more answers, and is read from only so that it sees the last one.
    pub(crate) fn lingers(&self) {
        self.enter(Phase::Lingering);
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        if !self.stalled.get() {
            self.rearm();
        }
    }

    fn rearm(&self) {
        let limits = &self.limits;
        match self.phase.get() {
            _ if self.stalled.get() => self.timer.set_in(limits.write_time),
            Phase::Fresh | Phase::Idle if self.parting.get() => self.timer.set_in(PARTING_TIME),
            Phase::Fresh | Phase::Head => self.timer.set_in(limits.head_time),
            Phase::Idle | Phase::Http2Idle => self.timer.set_in(limits.idle_time),
            Phase::Lingering => self.timer.set_in(LINGER_TIME),
            // What a request waits for has deadlines of its own.
            Phase::Busy => self.timer.clear(),
        }
    }
}

/// How long a request that was on its way when the drain began may take to arrive: a long round trip.
const PARTING_TIME: Duration = Duration::from_millis(500);
/// How long a connection is read from after its last answer.
const LINGER_TIME: Duration = Duration::from_secs(2);
