//! One connection to a control plane: the stream, and fetches beside it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ferryway_model::Digest;
use ferryway_proto::limits::{FETCH_DIGESTS_MAX, LABEL_BYTES_MAX, MESSAGE_BYTES_MAX};
use ferryway_proto::wire::delivery_client::DeliveryClient;
use ferryway_proto::{AgentMessage, Chunk, ControlMessage, FetchRequest, wire};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use uuid::Uuid;

use super::BadAddress;
use super::credentials::Credentials;
use super::dial::{Controls, Route, connect};
use super::enroll::{EnrollError, connector};
use crate::blob::unpack;
use crate::disk::InstanceDisk;
use crate::limits::{
    CONNECTION_WINDOW_BYTES, CONTENT_BYTES_MAX, PING_ANSWERED_WITHIN, PING_EVERY,
    STREAM_WINDOW_BYTES,
};
use crate::session::Event;

/// A stream, and the channel it runs over.
#[derive(Debug)]
pub(super) struct Connection {
    channel: Channel,
    outgoing: mpsc::Sender<wire::AgentMessage>,
    incoming: Streaming<wire::ControlMessage>,
    credentials: Option<Credentials>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("cannot connect")]
    Connect(#[from] tonic::transport::Error),
    #[error(transparent)]
    Enroll(#[from] EnrollError),
    #[error("the control plane refused the stream: {}", .0.message())]
    Refused(#[from] Box<Status>),
    #[error("no answer within {DIAL_MAX:?}")]
    TimedOut,
}

/// How long a connection, and the answer on it, may take. A process that is stopped takes
/// connections still and answers nothing, so this is what it costs to pass it by; a first packet
/// that is lost is sent again after a second.
const DIAL_MAX: Duration = Duration::from_secs(3);
/// Messages that may wait to be sent: more than a session sends before it has to wait for
/// something. If they do not fit, the connection is as good as gone.
const OUTGOING_MAX: usize = 1_024;
/// How long a fetch may go without a chunk.
const CHUNK_MAX: Duration = Duration::from_secs(15);
/// Most chunks of a fetch: one for each digest, and as many again.
const CHUNKS_MAX: usize = 2 * FETCH_DIGESTS_MAX;

/// How a control plane at this address is dialled.
pub(super) fn endpoint(address: &str) -> Result<Endpoint, BadAddress> {
    let invalid = || BadAddress::Invalid {
        address: address.chars().take(LABEL_BYTES_MAX).collect(),
    };
    let uri: http::Uri = address.parse().map_err(|_| invalid())?;
    let bare = matches!(
        uri.path_and_query().map(|rest| rest.as_str()),
        None | Some("/")
    );
    let is_ours = matches!(uri.scheme_str(), Some("http" | "https"));
    if !is_ours || uri.port_u16().is_none() || !bare {
        return Err(invalid());
    }
    // tonic makes the connection of what we give it, and shall make no TLS of its own.
    let mut plain = uri.clone().into_parts();
    plain.scheme = Some(http::uri::Scheme::HTTP);
    let plain = http::Uri::from_parts(plain).map_err(|_| invalid())?;
    Ok(Endpoint::from(plain)
        .origin(uri)
        .connect_timeout(DIAL_MAX)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWERED_WITHIN)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

impl Connection {
    /// Connects and opens a stream.
    pub(super) async fn open(endpoint: Endpoint, controls: Controls) -> Result<Self, DialError> {
        let tls = match &controls.credentials {
            Some(credentials) => Some(connector(credentials, &endpoint, &controls).await?),
            None => None,
        };
        let route = Route {
            dial: controls.dial.clone(),
            tls,
        };
        let opened = timeout(DIAL_MAX, async {
            let channel = connect(&endpoint, route).await?;
            let (outgoing, messages) = mpsc::channel(OUTGOING_MAX);
            let mut client = client(channel.clone());
            let answer = client.deliver(ReceiverStream::new(messages)).await;
            let incoming = answer.map_err(Box::new)?.into_inner();
            Ok(Self {
                channel,
                outgoing,
                incoming,
                credentials: controls.credentials.clone(),
            })
        });
        opened.await.unwrap_or(Err(DialError::TimedOut))
    }

    /// The next thing that comes.
    pub(super) async fn next(&mut self) -> Event {
        match self.incoming.message().await {
            Ok(Some(message)) => match ControlMessage::decode(message) {
                Ok(message) => Event::Message(Box::new(message)),
                Err(error) => Event::Undecodable(error),
            },
            Ok(None) => Event::Lost,
            Err(status) => {
                self.ended(&status);
                Event::Lost
            }
        }
    }

    /// The control plane ended the stream. One that does not take the certificate is asked for
    /// another.
    fn ended(&self, status: &Status) {
        let (code, message) = (status.code(), status.message());
        match (&self.credentials, code) {
            (Some(credentials), Code::Unauthenticated | Code::PermissionDenied) => {
                tracing::error!(
                    ?code,
                    message,
                    "the control plane does not serve this instance; what is effective serves on"
                );
                credentials.renew_now();
            }
            _ => tracing::info!(?code, message, "the control plane ended the stream"),
        }
    }

    /// Sends a message; false: the connection does not take any more.
    pub(super) fn send(&self, message: AgentMessage) -> bool {
        self.outgoing.try_send(message.encode()).is_ok()
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// Gets content: from the disk, and what is not there from the control plane.
pub(super) async fn fetch(
    digests: Vec<Digest>,
    disk: Option<Arc<InstanceDisk>>,
    control: Option<(Channel, Uuid)>,
) -> Event {
    let mut needed: BTreeSet<Digest> = digests.into_iter().collect();
    let mut found = Vec::new();
    let mut missing = Vec::new();
    if let Some(disk) = disk {
        for bytes in from_disk(disk, needed.iter().copied().collect()).await {
            if needed.remove(&Digest::of(&bytes)) {
                found.push(bytes);
            }
        }
    }
    if let Some((channel, session)) = control.filter(|_| !needed.is_empty()) {
        let needed: Vec<_> = needed.into_iter().collect();
        for batch in needed.chunks(FETCH_DIGESTS_MAX) {
            if size_of(&found) >= CONTENT_BYTES_MAX {
                tracing::error!(
                    bytes = CONTENT_BYTES_MAX,
                    "more content is named than is taken"
                );
                break;
            }
            let batch = batch.to_vec();
            let fetched = from_control(&channel, session, batch, &mut found, &mut missing).await;
            if let Err(status) = fetched {
                tracing::warn!(message = status.message(), "could not fetch content");
                break;
            }
        }
    }
    Event::Fetched { found, missing }
}

async fn from_disk(disk: Arc<InstanceDisk>, digests: Vec<Digest>) -> Vec<Bytes> {
    match disk.work(move |disk| disk.content(&digests)).await {
        Some(Ok(found)) => found,
        Some(Err(error)) => {
            tracing::error!(%error, "cannot read content from the instance's disk");
            Vec::new()
        }
        // The runtime ends.
        None => Vec::new(),
    }
}

async fn from_control(
    channel: &Channel,
    session: Uuid,
    digests: Vec<Digest>,
    found: &mut Vec<Bytes>,
    missing: &mut Vec<Digest>,
) -> Result<(), Status> {
    let mut wanted: BTreeSet<Digest> = digests.iter().copied().collect();
    let request = FetchRequest { session, digests };
    let mut client = client(channel.clone());
    let late = |_| Status::deadline_exceeded("no content came");
    let answer = timeout(CHUNK_MAX, client.fetch(wire::FetchRequest::from(request)));
    let mut chunks = answer.await.map_err(late)??.into_inner();
    for _ in 0..CHUNKS_MAX {
        let Some(chunk) = timeout(CHUNK_MAX, chunks.message()).await.map_err(late)?? else {
            // What came and could not be read is as good as missing: it will be no better.
            missing.extend(wanted);
            return Ok(());
        };
        let chunk = Chunk::try_from(chunk);
        let chunk = chunk.map_err(|error| Status::data_loss(format!("chunk.{error}")))?;
        take(&chunk, &mut wanted, found, missing)?;
        if size_of(found) >= CONTENT_BYTES_MAX {
            return Ok(());
        }
    }
    Err(Status::data_loss(format!(
        "more than {CHUNKS_MAX} chunks came"
    )))
}

/// Takes what was asked for out of a chunk. Anything else would only fill the memory.
fn take(
    chunk: &Chunk,
    wanted: &mut BTreeSet<Digest>,
    found: &mut Vec<Bytes>,
    missing: &mut Vec<Digest>,
) -> Result<(), Status> {
    for blob in &chunk.blobs {
        let plain = match unpack(blob) {
            Ok(plain) => plain,
            Err(error) => {
                tracing::warn!(%error, "content came that cannot be read");
                continue;
            }
        };
        if !wanted.remove(&Digest::of(&plain)) {
            return Err(Status::data_loss("content came that was not asked for"));
        }
        found.push(plain);
    }
    missing.extend(chunk.missing.iter().filter(|it| wanted.remove(*it)));
    Ok(())
}

fn size_of(found: &[Bytes]) -> usize {
    found.iter().map(Bytes::len).sum()
}

fn client(channel: Channel) -> DeliveryClient<Channel> {
    DeliveryClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use ferryway_proto::Encoding;

    use super::*;
    use crate::blob::pack;

    #[test]
    fn only_what_was_asked_for_is_taken() {
        let blobs = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let [a, b] = blobs.each_ref().map(|bytes| Digest::of(bytes));
        let chunk = |content: &[Bytes], missing: &[Digest]| Chunk {
            blobs: content.iter().filter_map(pack).collect(),
            missing: missing.to_vec(),
        };
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let mut wanted = BTreeSet::from([a, b]);
        let first = chunk(&blobs[..1], &[Digest::of(b"c"), b]);
        take(&first, &mut wanted, &mut found, &mut missing).unwrap();
        assert_eq!((&found[..], &missing[..]), (&blobs[..1], &[b][..]));
        let again = chunk(&blobs[..1], &[]);
        let refused = take(&again, &mut wanted, &mut found, &mut missing).unwrap_err();
        assert_eq!(refused.message(), "content came that was not asked for");
        assert_eq!(found.len(), 1);

        // What cannot be read says nothing of what is beside it.
        let mut broken = chunk(&blobs, &[]);
        broken.blobs[0].encoding = Encoding::Zstd;
        let mut wanted = BTreeSet::from([a, b]);
        take(&broken, &mut wanted, &mut found, &mut missing).unwrap();
        assert_eq!((found.len(), wanted), (2, BTreeSet::from([a])));
    }

    #[track_caller]
    fn check(address: &str, expect: Result<(), &str>) {
        let got = endpoint(address)
            .map(drop)
            .map_err(|error| error.to_string());
        match (got, expect) {
            (Ok(()), Ok(())) => {}
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, expect) => panic!("{address}: got {got:?}, expected {expect:?}"),
        }
    }

    #[test]
    fn addresses() {
        check("http://127.0.0.1:7943", Ok(()));
        check("http://control.internal:7943/", Ok(()));
        check("http://[::1]:7943", Ok(()));
        check("https://control.internal:7943", Ok(()));
        check("127.0.0.1:7943", Err("is not an address"));
        check("http://127.0.0.1", Err("is not an address"));
        check("http://127.0.0.1:7943/api", Err("is not an address"));
        check("ftp://127.0.0.1:7943", Err("is not an address"));
        check("", Err("is not an address"));
    }
}
