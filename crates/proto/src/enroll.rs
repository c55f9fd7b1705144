use std::fmt;

use bytes::Bytes;
use ferryway_model::Name;
use uuid::Uuid;

use crate::error::DecodeError;
use crate::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX, TOKEN_BYTES_MAX};
use crate::read::{list, name, text, uuid};
use crate::wire;

/// Asks for a certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollRequest {
    /// A join token; none: the connection's certificate says who asks, and is to be renewed.
    pub token: Option<String>,
    /// A certificate request (PKCS #10), in DER.
    pub certificate_request: Bytes,
    /// The group that the instance belongs to.
    pub group: Name,
    /// The instance.
    pub instance: Uuid,
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnrollReply {
    /// The instance's own first, and what stands between it and an authority; in DER.
    pub chain: Vec<Bytes>,
    /// Whom to trust from now on, in DER.
    pub authorities: Vec<Bytes>,
}

/// Without the token.
impl fmt::Debug for EnrollRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            token: _,
            certificate_request: _,
            group,
            instance,
        } = self;
        f.debug_struct("EnrollRequest")
            .field("group", group)
            .field("instance", instance)
            .finish_non_exhaustive()
    }
}

impl From<EnrollRequest> for wire::EnrollRequest {
    fn from(request: EnrollRequest) -> Self {
        let EnrollRequest {
            token,
            certificate_request,
            group,
            instance,
        } = request;
        Self {
            token: token.unwrap_or_default(),
            certificate_request,
            group: group.as_str().to_owned(),
            instance: instance.as_bytes().to_vec().into(),
        }
    }
}

impl TryFrom<wire::EnrollRequest> for EnrollRequest {
    type Error = DecodeError;

    fn try_from(request: wire::EnrollRequest) -> Result<Self, DecodeError> {
        let wire::EnrollRequest {
            token,
            certificate_request,
            group,
            instance,
        } = request;
        let token = text("token", token, TOKEN_BYTES_MAX)?;
        Ok(Self {
            token: Some(token).filter(|token| !token.is_empty()),
            certificate_request: certificate("certificate_request", certificate_request)?,
            group: name("group", &group)?,
            instance: uuid("instance", &instance)?,
        })
    }
}

impl From<EnrollReply> for wire::EnrollReply {
    fn from(reply: EnrollReply) -> Self {
        let EnrollReply { chain, authorities } = reply;
        Self { chain, authorities }
    }
}

impl TryFrom<wire::EnrollReply> for EnrollReply {
    type Error = DecodeError;

    fn try_from(reply: wire::EnrollReply) -> Result<Self, DecodeError> {
        let wire::EnrollReply { chain, authorities } = reply;
        let read = |der| certificate("", der);
        Ok(Self {
            chain: some("chain", list("chain", chain, CERTIFICATES_MAX, read)?)?,
            authorities: some(
                "authorities",
                list("authorities", authorities, CERTIFICATES_MAX, read)?,
            )?,
        })
    }
}

fn certificate(field: &str, der: Bytes) -> Result<Bytes, DecodeError> {
    let len = der.len();
    if !(1..=CERTIFICATE_BYTES_MAX).contains(&len) {
        let why = format!("is {len} bytes long; must be 1 to {CERTIFICATE_BYTES_MAX}");
        return Err(DecodeError::new(field, why));
    }
    Ok(der)
}

fn some(field: &str, items: Vec<Bytes>) -> Result<Vec<Bytes>, DecodeError> {
    if items.is_empty() {
        return Err(DecodeError::new(field, "is empty"));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> wire::EnrollRequest {
        EnrollRequest {
            token: None,
            certificate_request: Bytes::from_static(b"csr"),
            group: "test".parse().unwrap(),
            instance: Uuid::from_u128(1),
        }
        .into()
    }

    #[track_caller]
    fn refused(change: impl FnOnce(&mut wire::EnrollRequest), expect: &str) {
        let mut request = request();
        change(&mut request);
        let error = EnrollRequest::try_from(request).unwrap_err();
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn requests() {
        let read = EnrollRequest::try_from(request()).unwrap();
        assert_eq!(read.token, None);
        assert_eq!(wire::EnrollRequest::from(read), request());
        refused(
            |request| request.token = "x".repeat(513),
            "token is 513 bytes long; at most 512 are allowed",
        );
        refused(
            |request| request.certificate_request = Bytes::new(),
            "certificate_request is 0 bytes long; must be 1 to 16384",
        );
        refused(
            |request| request.instance = Bytes::new(),
            "instance is 0 bytes long; must be 16",
        );
    }

    #[test]
    fn replies() {
        let reply = EnrollReply {
            chain: vec![Bytes::from_static(b"a")],
            authorities: vec![Bytes::from_static(b"b"), Bytes::from_static(b"c")],
        };
        let wire = wire::EnrollReply::from(reply.clone());
        assert_eq!(EnrollReply::try_from(wire.clone()), Ok(reply));
        let empty = wire::EnrollReply {
            chain: Vec::new(),
            ..wire.clone()
        };
        let error = EnrollReply::try_from(empty).unwrap_err();
        assert_eq!(error.to_string(), "chain is empty");
        let long = wire::EnrollReply {
            authorities: vec![Bytes::from_static(b"b"); 17],
            ..wire
        };
        assert!(EnrollReply::try_from(long).is_err());
    }
}
