//! `/tokens`: who may call, and how much.

use std::collections::BTreeMap;
use std::ops::Bound;

use ferryway_api::body::TokenBody;
use ferryway_api::{ApiError, List, NewToken, Token, TokenDraft};
use serde_json::json;
use uuid::Uuid;

use super::access::{Caller, Resource, Verb};
use super::answer::{Answer, created, gone, shown};
use super::page::page;
use super::query::{Params, PlainListQuery};
use super::sent::Sent;
use super::url::Url;
use crate::core::{Memory, Minted};

/// All tokens, oldest first; expired ones too, until they are deleted. The administrator's own is
/// none of them: it lies in the control plane's data folder.
#[utoipa::path(get, path = "/tokens", tag = "tokens", params(PlainListQuery),
    responses((status = 200, description = "One page", body = List<Token>)))]
pub(super) async fn list_tokens(caller: Caller, params: Params) -> Answer {
    let allowed = caller.may(Verb::Read, Resource::Tokens, None)?;
    let query = params.plain_list()?;
    let after = query
        .cursor::<Uuid>()?
        .map_or(Bound::Unbounded, Bound::Excluded);
    let list = allowed.core().read(|memory| {
        let all = memory.tokens.range((after, Bound::Unbounded));
        let wanted = all.filter(|(_, token)| query.matches(&BTreeMap::new(), &[&token.name]));
        page(&query, wanted.map(|(id, _)| *id), |id| show(memory, *id))
    });
    Ok(shown(&list))
}

/// Makes a token. Its secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = TokenBody,
    responses((status = 201, description = "Made", body = NewToken)))]
pub(super) async fn create_token(caller: Caller, params: Params, sent: Sent) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Tokens, None)?;
    params.none()?;
    let (body, idempotency) = sent.keyed_json(&allowed.actor).await?;
    let draft = TokenDraft::read(&body)?;
    let core = allowed.core();
    let made = core
        .create_token(&allowed.actor, &draft, idempotency.as_ref())
        .await?;
    let Minted {
        mut answered,
        secret,
    } = made;
    answered.body["secret"] = json!(secret);
    created(&answered)
}

/// Deletes a token. Whoever shows its secret from then on is nobody.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens",
    responses((status = 204, description = "Deleted")))]
pub(super) async fn delete_token(
    caller: Caller,
    Url(id): Url<Uuid>,
    params: Params,
    sent: Sent,
) -> Answer {
    let allowed = caller.may(Verb::Write, Resource::Tokens, None)?;
    let core = allowed.core();
    if !core.read(|memory| memory.tokens.contains_key(&id)) {
        return Err(no_token(id).into());
    }
    params.none()?;
    sent.nothing().await?;
    core.delete_token(&allowed.actor, id).await?;
    Ok(gone())
}

fn no_token(id: Uuid) -> ApiError {
    ApiError::not_found(format!("there is no token {id}"))
}

fn show(memory: &Memory, id: Uuid) -> Option<Token> {
    Some(memory.tokens.get(&id)?.shown(id))
}
