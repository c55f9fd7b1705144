//! `/authority`: who issues the instances' certificates.

use ferryway_api::{ApiError, AuthorityState};

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, gone, shown};
use super::query::Params;
use super::sent::Sent;
use super::url::Url;

/// The authorities that are trusted, and how many instances of each group hold a certificate of
/// which. Its certificate is what callers of the API need where that speaks TLS with it.
#[utoipa::path(get, path = "/authority", tag = "authority",
    responses((status = 200, description = "As it is", body = AuthorityState)))]
pub(super) async fn get_authority(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Authority, None)?;
    params.none()?;
    Ok(shown(&allowed.identity().state()?))
}

/// Makes a new authority, which issues from now on. Instances get a certificate of it when they
/// renew theirs; the old one stays trusted until all have, or somebody drops it.
#[utoipa::path(post, path = "/authority/rotate", tag = "authority",
    responses((status = 200, description = "As it is now", body = AuthorityState)))]
pub(super) async fn rotate_authority(caller: Caller, params: Params, sent: Sent) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Authority, None)?;
    params.none()?;
    let idempotency = sent.keyed_nothing(&allowed.actor).await?;
    let identity = allowed.identity();
    identity
        .rotate(&allowed.actor, idempotency.as_ref())
        .await?;
    Ok(shown(&identity.state()?))
}

/// Ends the trust in an authority that does not issue any more. Instances that have no certificate
/// of a newer one serve on with what they have, and need a new join token to be reached again.
#[utoipa::path(delete, path = "/authority/{fingerprint}", tag = "authority",
    responses((status = 204, description = "Not trusted any more")))]
pub(super) async fn drop_authority(
    caller: Caller,
    Url(fingerprint): Url<String>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Authority, None)?;
    let identity = allowed.identity();
    let known = identity.state()?.authorities;
    if known.iter().all(|one| one.fingerprint != fingerprint) {
        return Err(ApiError::not_found("there is no authority of this fingerprint").into());
    }
    params.none()?;
    sent.nothing().await?;
    identity
        .drop_authority(&allowed.actor, &fingerprint)
        .await?;
    Ok(gone())
}
