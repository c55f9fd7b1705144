//! Content by digest, in bulk.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use ferryway_model::{Digest, Name};
use ferryway_proto::limits::PART_BYTES;
use ferryway_proto::{Blob, Chunk, wire};
use ferryway_runtime::Stop;
use prost::Message;
use tokio::sync::mpsc::Sender;
use tonic::Status;

use super::{Presence, Shared, Source};
use crate::blob::pack;

/// How many blobs are read at a time: what a fetch has in memory.
const BATCH: usize = 32;

/// Sends what there is for these digests, and which there is nothing for.
pub(super) async fn run<S: Source, P: Presence>(
    shared: Arc<Shared<S, P>>,
    group: Name,
    digests: Vec<Digest>,
    outgoing: Sender<Result<Bytes, Status>>,
    stop: Stop,
) {
    let sending = async {
        // Waits for its turn; the semaphore is never closed.
        let _permit = shared.fetches.acquire().await;
        for batch in digests.chunks(BATCH) {
            let chunks = match shared.source.blobs(&group, batch).await {
                Ok(found) => chunks(batch, found),
                Err(error) => {
                    let status = Status::unavailable(error.to_string());
                    // Whoever asked may be gone, and needs no answer then.
                    let _ = outgoing.send(Err(status)).await;
                    return;
                }
            };
            for chunk in chunks {
                if outgoing.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = sending => {}
        () = stop.requested() => {}
        // The instance went away while the content was being read.
        () = outgoing.closed() => {}
    }
}

/// A batch as messages of about `PART_BYTES`.
fn chunks(asked: &[Digest], found: Vec<Bytes>) -> Vec<Bytes> {
    let mut missing: BTreeSet<Digest> = asked.iter().copied().collect();
    let mut done = Vec::new();
    let mut blobs: Vec<Blob> = Vec::new();
    let mut bytes = 0;
    for content in found {
        let wanted = missing.remove(&Digest::of(&content));
        let Some(blob) = pack(&content).filter(|_| wanted) else {
            continue;
        };
        if bytes > 0 && bytes + blob.content.len() > PART_BYTES {
            done.push(encode(std::mem::take(&mut blobs), Vec::new()));
            bytes = 0;
        }
        bytes += blob.content.len();
        blobs.push(blob);
    }
    done.push(encode(blobs, missing.into_iter().collect()));
    done
}

fn encode(blobs: Vec<Blob>, missing: Vec<Digest>) -> Bytes {
    let chunk = wire::Chunk::from(Chunk { blobs, missing });
    chunk.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::unpack;

    #[test]
    fn chunks_stay_small_and_name_what_is_missing() {
        let large: Vec<Bytes> = (0..3_u64)
            .map(|n| {
                let mut random = ferryway_runtime::Random::seeded(n);
                (0..80_000)
                    .flat_map(|_| random.next_u64().to_le_bytes())
                    .collect()
            })
            .collect();
        let gone = Digest::of(b"gone");
        let mut asked: Vec<Digest> = large.iter().map(|bytes| Digest::of(bytes)).collect();
        asked.push(gone);
        let mut found = large.clone();
        found.push(Bytes::from_static(b"nobody asked"));

        let mut got = Vec::new();
        let mut missing = Vec::new();
        for chunk in chunks(&asked, found) {
            assert!(chunk.len() < PART_BYTES + 1_000);
            let chunk = wire::Chunk::decode(chunk).unwrap();
            let chunk = Chunk::try_from(chunk).unwrap();
            got.extend(chunk.blobs.iter().map(|blob| unpack(blob).unwrap()));
            missing.extend(chunk.missing);
        }
        assert_eq!(got, large);
        assert_eq!(missing, [gone]);
    }
}
