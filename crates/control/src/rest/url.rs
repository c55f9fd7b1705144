//! The names in a URL.

use axum::extract::path::ErrorKind;
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
                let message = format!("the URL names nothing that can be there{}", why(&rejection));
                Err(ApiError::not_found(message).into())
            }
        }
    }
}

/// What is wrong with a part, where it is one of ours to say.
fn why(rejection: &PathRejection) -> String {
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return String::new();
    };
    match error.kind() {
        ErrorKind::InvalidUtf8InPathParam { .. } => ": it has escapes that are no UTF-8".to_owned(),
        // Our own types say what they must be; others speak of how they are read.
        ErrorKind::DeserializeError { value, message, .. } if message.starts_with("must ") => {
            format!(": {value:?} {message}")
        }
        ErrorKind::DeserializeError { value, .. } => format!(": {value:?} is no id"),
        _ => String::new(),
    }
}
