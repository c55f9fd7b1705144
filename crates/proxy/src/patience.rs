//! How long an answer is waited for: while the request's body goes up, for whoever's turn it is; then
//! for the upstream.

use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::body::{Progress, Turn};
use crate::refusal::{Refusal, Wait};
use crate::ticks::Timer;

/// How long each may take, and whose turn it is.
#[derive(Debug)]
pub(crate) struct Patience {
    /// With the client, between two reads of its body.
    pub(crate) body_time: Duration,
    /// With the upstream, to take more of the body.
    pub(crate) send_time: Duration,
    /// With the upstream, to answer.
    pub(crate) read_time: Duration,
    /// When the request was sent.
    pub(crate) sent: Instant,
    /// How its body goes, if it has one.
    pub(crate) progress: Option<Rc<Progress>>,
}

impl Patience {
    /// Waits for `answer`, or until somebody is late.
    pub(crate) async fn wait<F: Future>(
        &self,
        timer: &Timer,
        answer: F,
    ) -> Result<F::Output, Refusal> {
        let mut answer = std::pin::pin!(answer);
        timer.set(self.look_again(self.sent));
        let outcome = std::future::poll_fn(|cx| {
            if let Poll::Ready(answer) = answer.as_mut().poll(cx) {
                return Poll::Ready(Ok(answer));
            }
            while timer.poll_expired(cx).is_ready() {
                let now = Instant::now();
                let (deadline, refusal) = self.deadline();
                if deadline <= now {
                    return Poll::Ready(Err(refusal));
                }
                timer.set(self.look_again(now));
            }
            Poll::Pending
        })
        .await;
        timer.clear();
        outcome
    }

    /// The deadline as things are, and who is late when it passes.
    fn deadline(&self) -> (Instant, Refusal) {
        let progress = self.progress.as_deref();
        let (turn, since) = progress.map_or((Turn::Answer, self.sent), Progress::turn);
        let (time, refusal) = match turn {
            Turn::Client => (self.body_time, Refusal::RequestTimeout),
            Turn::Upstream => (self.send_time, Refusal::UpstreamTimeout(Wait::Send)),
            Turn::Answer => (self.read_time, Refusal::UpstreamTimeout(Wait::Read)),
        };
        (since + time.min(TIME_MAX), refusal)
    }

    /// When to look at the deadline again. While a body goes up it changes with the turn, so not
    /// later than the shortest that could come to hold now.
    fn look_again(&self, now: Instant) -> Instant {
        let (deadline, _) = self.deadline();
        if self.progress.is_none() {
            return deadline;
        }
        let shortest = self.body_time.min(self.send_time).min(self.read_time);
        deadline.min(now + shortest.min(TIME_MAX))
    }
}

/// Longest time that is waited for anything.
const TIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);
