//! What the authority does by itself: it follows the store, renews the ports' certificate, and ends
//! the trust in an old authority that nobody needs any more.

use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Identity, Source};
use crate::core::Actor;

/// How often it is looked whether an old authority is still needed, and how old the certificate is.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After how many looks the port gets a new certificate: at half its life.
const LOOKS_UNTIL_RENEWAL: u64 =
    super::SERVER_CERTIFICATE_LIVES.as_secs().unsigned_abs() / 2 / LOOK_EVERY.as_secs();

impl Identity {
    /// For as long as the control plane runs.
    pub(super) async fn keep(&self) {
        let mut changes = self.0.core.revisions();
        // Not what there is now: it may have changed since it was opened.
        let mut known = None;
        let mut looks = 0_u64;
        // Of its own, and not a wait that every change of the store begins anew.
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = self.0.core.authorities();
                    if now == known {
                        continue;
                    }
                    known = now;
                    if let Err(why) = self.follow() {
                        tracing::error!(why, "the authority was changed by another control plane, and this one cannot follow");
                    }
                }
                _ = look.tick() => {
                    looks += 1;
                    if looks.is_multiple_of(LOOKS_UNTIL_RENEWAL)
                        && let Err(error) = self.renew_server_key()
                    {
                        tracing::error!(%error, "the delivery port's certificate could not be renewed");
                    }
                    self.note_shown().await;
                    self.drop_unneeded().await;
                }
            }
        }
    }

    /// Notes which instances have shown a certificate that was not known to have reached them. What
    /// cannot be noted now is left to the next look.
    pub(crate) async fn note_shown(&self) {
        let shown = || self.0.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let all = shown().clone();
        for (instance, (serial, until)) in all {
            if let Err(error) = self.0.core.shown(instance, serial, until).await {
                tracing::debug!(%instance, %error, "a certificate that was shown could not be noted yet");
                continue;
            }
            let mut shown = shown();
            if shown.get(&instance) == Some(&(serial, until)) {
                shown.remove(&instance);
            }
        }
    }

    /// Ends the trust in the old authority, once every instance has a certificate of the new one,
    /// and has shown it: the answer to a renewal may be lost.
    async fn drop_unneeded(&self) {
        let authorities = self.authorities();
        let [old, _] = authorities.as_slice() else {
            return;
        };
        if matches!(self.0.source, Source::Files) {
            return;
        }
        let old = old.fingerprint().to_string();
        let now = self.0.core.now();
        let is_needed = self.0.core.read(|memory| {
            let mut living = memory.living_identities(now);
            living.any(|(_, record)| record.needs(&old))
        });
        if is_needed {
            return;
        }
        let actor = Actor {
            name: "control".to_owned(),
            from: "here".to_owned(),
            token: None,
        };
        match self.drop_authority(&actor, &old).await {
            Ok(()) => {
                tracing::info!(
                    old,
                    "every instance has a certificate of the new authority; the old one is not trusted any more"
                );
            }
            // Another control plane may have been faster.
            Err(error) => tracing::warn!(old, %error, "the old authority could not be dropped"),
        }
    }
}
