//! The names in a URL.

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use ferryway_api::ApiError;
use serde::de::DeserializeOwned;

use super::failure::Failure;

/// What the URL's variable parts say. A part that cannot be the name of anything names nothing:
/// 404, not 400.
#[derive(Debug)]
pub(super) struct Url<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Url<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        let path: Result<Path<T>, PathRejection> = Path::from_request_parts(parts, state).await;
        match path {
            Ok(Path(names)) => Ok(Self(names)),
            Err(rejection) => {
                let why = rejection.body_text();
                let message = format!("the URL names nothing that can be there: {why}");
                Err(ApiError::not_found(message).into())
            }
        }
    }
}
