//! One connection between two machines: bytes that are carried, and how that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::sync::watch;

use crate::net::{Chance, Host, Net, branch, draw};
use crate::socket::Socket;

/// How a connection ends that nobody closes.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// Something between the ends resets it.
    Reset,
    /// The machine at one end is gone, and says so or not.
    Gone { host: Host, is_dark: bool },
}

/// The other end takes no more.
struct Refused;

/// The largest packet, in bytes.
const PACKET_BYTES: usize = 16 * 1024;
/// Into how many pieces one is torn.
const PIECES: usize = 3;
/// What is under way at most, in each direction, in bytes.
const WINDOW_BYTES: usize = 64 * 1024;

impl Net {
    /// A connection between two machines: its two ends.
    pub(crate) fn wire(&self, ends: [Host; 2], random: &Chance) -> [Socket; 2] {
        let (mine, left) = duplex(WINDOW_BYTES);
        let (theirs, right) = duplex(WINDOW_BYTES);
        let resets: [Arc<AtomicBool>; 2] = Default::default();
        let [to_left, to_right] = resets.each_ref().map(Arc::clone);
        let (end, ended) = watch::channel(None);
        self.add_wire(ends, end);
        let net = self.clone();
        let chances = [branch(random), branch(random)];
        self.tasks().spawn("wire", move |_stop| async move {
            net.carry(ends, [left, right], &resets, &chances, ended)
                .await;
        });
        [Socket::new(mine, to_left), Socket::new(theirs, to_right)]
    }

    async fn carry(
        &self,
        ends: [Host; 2],
        [mut left, mut right]: [DuplexStream; 2],
        resets: &[Arc<AtomicBool>; 2],
        chances: &[Chance; 2],
        mut ended: watch::Receiver<Option<End>>,
    ) {
        let [a, b] = ends;
        let end = {
            let (from_left, to_left) = split(&mut left);
            let (from_right, to_right) = split(&mut right);
            let there = self.pump(&chances[0], [a, b], from_left, to_right);
            let back = self.pump(&chances[1], [b, a], from_right, to_left);
            tokio::select! {
                biased;
                end = ended.wait_for(Option::is_some) => end.ok().and_then(|end| *end),
                carried = async { tokio::try_join!(there, back) } => {
                    carried.err().map(|Refused| End::Reset)
                }
            }
        };
        let reset = |side: usize| resets[side].store(true, Ordering::SeqCst);
        match end {
            None => {}
            Some(End::Reset) => {
                reset(0);
                drop(left);
                self.travel(&chances[0], a, b).await;
                reset(1);
            }
            Some(End::Gone { host, is_dark }) => {
                let (gone, near, far) = if host == a {
                    (0, left, right)
                } else {
                    (1, right, left)
                };
                reset(gone);
                drop(near);
                if is_dark {
                    self.until_lit(host).await;
                }
                self.travel(&chances[gone], host, ends[1 - gone]).await;
                reset(1 - gone);
                drop(far);
            }
        }
    }

    /// Carries bytes one way until the sender closes.
    async fn pump(
        &self,
        random: &Chance,
        [from, to]: [Host; 2],
        mut source: impl AsyncRead + Unpin,
        mut sink: impl AsyncWrite + Unpin,
    ) -> Result<(), Refused> {
        let mut packet = vec![0; PACKET_BYTES];
        loop {
            // Our side of a pipe in memory does not fail.
            let read = source.read(&mut packet).await.unwrap_or(0);
            self.travel(random, from, to).await;
            if read == 0 {
                return sink.shutdown().await.map_err(|_| Refused);
            }
            // Sometimes a message is torn to pieces. How many there are must not depend on how
            // many bytes there are: hyper sends the date, and that is the real one.
            let pieces = if draw(random, 8) == 0 { PIECES } else { 1 };
            for piece in packet[..read].chunks(read.div_ceil(pieces)) {
                sink.write_all(piece).await.map_err(|_| Refused)?;
                if pieces > 1 {
                    self.travel(random, from, to).await;
                }
            }
        }
    }
}
