//! `/gateway-groups/{group}/join-tokens`: how new instances are let in.

use std::collections::BTreeMap;
use std::ops::Bound;

use ferryway_api::body::JoinTokenBody;
use ferryway_api::{ApiError, JoinToken, JoinTokenDraft, List, NewJoinToken};
use ferryway_model::Name;
use serde_json::json;
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown};
use super::groups::exists;
use super::page::page;
use super::query::{Params, PlainListQuery};
use super::sent::Sent;
use super::url::Url;
use crate::core::{JoinToken as Kept, Memory};

/// The join tokens of a group, oldest first; used and expired ones too, until a day after their
/// end.
#[utoipa::path(get, path = "/gateway-groups/{group}/join-tokens", tag = "groups", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<JoinToken>)))]
pub(super) async fn list_join_tokens(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::JoinTokens, Some(&group))?;
    exists(allowed.core(), &group)?;
    let query = params.plain_list()?;
    let after = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    let list = allowed.core().read(|memory| {
        let all = memory.join_tokens.range((after, Bound::Unbounded));
        let wanted = all.filter(|(_, token)| {
            token.group == group && query.matches(&BTreeMap::new(), &[&token.record.created_by])
        });
        page(&query, wanted.map(|(id, _)| *id), |id| show(memory, *id))
    });
    Ok(shown(&list))
}

/// Makes a join token. What a gateway is started with is in this answer and nowhere else.
#[utoipa::path(post, path = "/gateway-groups/{group}/join-tokens", tag = "groups",
    request_body = JoinTokenBody,
    responses((status = 201, description = "Made", body = NewJoinToken)))]
pub(super) async fn create_join_token(
    caller: Caller,
    Url(group): Url<Name>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::JoinTokens, Some(&group))?;
    let core = allowed.core();
    exists(core, &group)?;
    params.none()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let draft = JoinTokenDraft::read(&body)?;
    let fingerprint = allowed.identity().fingerprint()?;
    let token = ferryway_tls::JoinToken::make(Uuid::now_v7(), fingerprint)
        .map_err(|_| ApiError::Internal)?;
    let secret = (token.id, token.secret());
    let mut answered = core
        .create_join_token(&allowed.actor, &group, &draft, secret, idempotency.as_ref())
        .await?;
    // Of one made before by the same idempotency key, the store has the digest alone.
    let is_this = answered.body["id"] == json!(token.id);
    answered.body["secret"] = json!(is_this.then(|| token.to_string()));
    created(&answered)
}

/// Deletes a join token. Nobody joins with it from then on; who has joined stays.
#[utoipa::path(delete, path = "/gateway-groups/{group}/join-tokens/{id}", tag = "groups",
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete_join_token(
    caller: Caller,
    Url((group, id)): Url<(Name, Uuid)>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::JoinTokens, Some(&group))?;
    let core = allowed.core();
    exists(core, &group)?;
    let of_group = |token: &Kept| token.group == group;
    if !core.read(|memory| memory.join_tokens.get(&id).is_some_and(of_group)) {
        return Err(no_token(&group, id).into());
    }
    params.none()?;
    sent.nothing().await?;
    core.delete_join_token(&allowed.actor, &group, id).await?;
    Ok(gone())
}

fn no_token(group: &Name, id: Uuid) -> ApiError {
    ApiError::not_found(format!("{group} has no join token {id}"))
}

fn show(memory: &Memory, id: Uuid) -> Option<JoinToken> {
    Some(memory.join_tokens.get(&id)?.record.shown(id))
}
