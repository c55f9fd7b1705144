//! Agent and server over real sockets, in one process.

mod fixture;
mod mangled;
mod silent;
mod wires;

use std::time::Duration;

use ferryway_model::{Key, Revision};
use ferryway_proto::{AckStage, Cause, Source};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::candidate::{Checks, Occasion};
use crate::feed::Head;
use crate::limits::LOG_TRANSACTIONS_MAX;
use crate::testing::Variant::{Bad, Good};
use crate::testing::{change, epoch, name, view_of};
use fixture::{Control, Instance, Seen};

#[tokio::test]
async fn a_change_reaches_the_instance_and_the_control_plane_hears_of_it() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    instance.until(|status| status.converged).await;
    control.publish(&[("httpbin", Some(Good(0)))]);
    instance.runs("httpbin", Some(Good(0))).await;
    let candidate = instance.installer.last();
    assert_eq!(
        (candidate.occasion, candidate.checks),
        (Occasion::Sent(Cause::Operation), Checks::Gate)
    );

    let status = instance.until(|status| status.converged).await;
    assert_eq!(status.desired, Some(control.feed.head().position()));
    assert_eq!(status.address, Some(control.url()));
    control
        .saw(|seen| matches!(seen, Seen::Connected(hello) if hello.source == Source::Empty))
        .await;
    for wanted in ["received", "applied", "durable"] {
        let stage = |stage: AckStage| match stage {
            AckStage::Received => "received",
            AckStage::Applied { .. } => "applied",
            AckStage::Durable => "durable",
        };
        control
            .saw(|seen| {
                matches!(seen, Seen::Acked(ack)
                if ack.transaction == Revision(1) && stage(ack.stage) == wanted)
            })
            .await;
    }
    control
        .saw(|seen| matches!(seen, Seen::Reported(status) if status.held == 0))
        .await;
    instance.stop().await;
    control.saw(|seen| matches!(seen, Seen::Disconnected)).await;
}

#[tokio::test]
async fn a_rejection_reaches_the_control_plane() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    control.publish(&[("a", Some(Good(0)))]);
    instance.runs("a", Some(Good(0))).await;
    control.publish(&[("a", Some(Bad(0)))]);
    control
        .saw(|seen| matches!(seen, Seen::Rejected(nack) if nack.faults[0].code == "bad_port"))
        .await;
    let status = instance.until(|status| !status.held.is_empty()).await;
    assert_eq!(status.held[&Key::service(&name("a"))].code, "bad_port");
    assert!(!status.converged);
    instance.runs("a", Some(Good(0))).await;
    instance.stop().await;
}

#[tokio::test]
async fn after_a_lost_stream_only_what_is_new_is_sent() {
    let mut control = Control::start().await;
    let instance = Instance::start(&control).await;
    instance.until(|status| status.converged).await;
    control.publish(&[("a", Some(Good(0)))]);
    instance.runs("a", Some(Good(0))).await;
    control.stop().await;
    instance.until(|status| !status.connected).await;
    control.publish(&[("a", Some(Good(1))), ("b", Some(Good(0)))]);
    control.publish(&[("b", None)]);
    control.serve().await;
    instance.runs("a", Some(Good(1))).await;
    instance.until(|status| status.converged).await;
    assert_eq!(
        instance.installer.last().checks,
        Checks::Skip,
        "it was checked when it was made"
    );
    assert_eq!(
        instance.installer.count(),
        4,
        "start, a, the two that were missed"
    );
    instance.stop().await;
}

#[tokio::test]
async fn an_instance_that_was_away_too_long_compares_and_fetches() {
    let mut control = Control::start().await;
    let instance = Instance::start(&control).await;
    control.publish(&[("a", Some(Good(0))), ("b", Some(Good(0)))]);
    instance.runs("b", Some(Good(0))).await;
    control.stop().await;
    instance.until(|status| !status.connected).await;
    for n in 0..=LOG_TRANSACTIONS_MAX {
        control.publish(&[("a", Some(Good((n % 200) as u8)))]);
    }
    control.serve().await;
    let expect = LOG_TRANSACTIONS_MAX % 200;
    instance.runs("a", Some(Good(expect as u8))).await;
    instance.until(|status| status.converged).await;
    assert_eq!(
        instance.installer.last().services.len(),
        1,
        "b is as it was"
    );
    instance.stop().await;
}

#[tokio::test]
async fn a_large_view_is_fetched_by_an_empty_instance() {
    let control = Control::start().await;
    let names: Vec<String> = (0..1_500).map(|n| format!("s{n}")).collect();
    let services: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(Good(0))))
        .collect();
    control.publish(&services);
    control.feed.replace_head(control.feed.head());
    let instance = Instance::start(&control).await;
    let status = instance.until(|status| status.converged).await;
    assert_eq!(status.desired, Some(control.feed.head().position()));
    assert_eq!(instance.installer.last().services.len(), 1_500);
    instance.stop().await;
}

#[tokio::test]
async fn an_instance_starts_from_its_disk_without_a_control_plane() {
    let mut control = Control::start().await;
    let instance = Instance::start(&control).await;
    control.publish(&[("a", Some(Good(0)))]);
    instance.runs("a", Some(Good(0))).await;
    control.publish(&[("a", Some(Bad(0)))]);
    instance.until(|status| !status.held.is_empty()).await;
    control.stop().await;
    let dir = instance.stop().await;

    let instance = Instance::start_in(dir, &control.url()).await;
    instance.runs("a", Some(Good(0))).await;
    let status = instance.until(|status| status.effective.is_some()).await;
    assert!(!status.connected && !status.confirmed && !status.converged);
    assert_eq!(status.held.len(), 1, "it is held still");
    assert_eq!(instance.installer.last().occasion, Occasion::Start);

    control.serve().await;
    let status = instance.until(|status| status.confirmed).await;
    assert!(status.connected);
    assert_eq!(
        instance.installer.count(),
        1,
        "in sync: nothing is installed again"
    );
    instance.stop().await;
}

#[tokio::test]
async fn an_unknown_group_is_waited_for() {
    let control = Control::start().await;
    control.hide_group(true);
    let instance = Instance::start(&control).await;
    control.asked_for_group().await;
    control.asked_for_group().await;
    assert!(!instance.status().connected);
    control.hide_group(false);
    instance.until(|status| status.converged).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_retired_group_ends_its_streams() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    instance.until(|status| status.converged).await;
    control.hide_group(true);
    control.feed.retire();
    instance.until(|status| !status.connected).await;
    control.saw(|seen| matches!(seen, Seen::Disconnected)).await;
    instance.stop().await;
}

#[tokio::test]
async fn another_control_plane_is_tried_when_one_is_away() {
    let control = Control::start().await;
    let nobody = "http://127.0.0.1:1".to_owned();
    let instance = Instance::start_with(vec![nobody, control.url()]).await;
    let status = instance.until(|status| status.converged).await;
    assert_eq!(status.address, Some(control.url()));
    instance.stop().await;
}

#[tokio::test]
async fn a_panic_of_the_installer_is_a_rejection() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    control.publish(&[("a", Some(Good(0)))]);
    instance.runs("a", Some(Good(0))).await;
    instance.installer.panic_next();
    control.publish(&[("a", Some(Good(1)))]);
    let status = instance.until(|status| !status.held.is_empty()).await;
    assert_eq!(status.held[&Key::service(&name("a"))].code, "panicked");
    control.publish(&[("a", Some(Good(2)))]);
    instance.runs("a", Some(Good(2))).await;
    instance.until(|status| status.converged).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_shrunken_view_is_applied_on_an_operators_word() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    control.publish(&["a", "b", "c", "d", "e"].map(|name| (name, Some(Good(0)))));
    instance.runs("e", Some(Good(0))).await;
    let (view, content) = view_of(&[("a", Good(0))]);
    control.add_content(content);
    control.feed.replace_head(Head {
        epoch: epoch(2),
        revision: Revision(1),
        view,
    });
    let status = instance.until(|status| status.held.len() == 4).await;
    assert!(
        status
            .held
            .values()
            .all(|hold| hold.code == crate::hold::SHRINK_UNCONFIRMED)
    );
    instance.runs("e", Some(Good(0))).await;
    control.feed.confirm_shrink();
    instance.until(|status| status.converged).await;
    instance.runs("e", None).await;
    instance.stop().await;
}

#[tokio::test]
async fn a_second_stream_of_an_instance_takes_the_place_of_the_first() {
    let control = Control::start().await;
    let first = Instance::start(&control).await;
    first.until(|status| status.converged).await;
    // The same identity, from a copy of the folder.
    let copy = first.copy_folder();
    let second = Instance::start_in(copy, &control.url()).await;
    second.until(|status| status.converged).await;
    first.until(|status| !status.connected).await;
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn garbage_from_a_socket_hurts_nobody() {
    let control = Control::start().await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut random = ferryway_runtime::Random::seeded(3);
    for n in 0..50_usize {
        let mut stream = TcpStream::connect(control.address()).await.unwrap();
        if n % 3 > 0 {
            stream.write_all(preface).await.unwrap();
        }
        if n % 3 > 1 {
            stream.write_all(&settings).await.unwrap();
        }
        let noise: Vec<u8> = (0..n * 20).map(|_| random.next_u64() as u8).collect();
        // The server may have hung up already.
        let _ = stream.write_all(&noise).await;
        let _ = stream.shutdown().await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await;
    }
    let instance = Instance::start(&control).await;
    instance.until(|status| status.converged).await;
    instance.stop().await;
}

#[tokio::test]
async fn an_instance_serves_a_file_alone() {
    let (view, content) = view_of(&[("a", Good(0)), ("b", Bad(0))]);
    let instance = Instance::of_file(view, content);
    instance.runs("a", Some(Good(0))).await;
    let status = instance.until(|status| status.effective.is_some()).await;
    assert!(!status.connected);
    assert_eq!(status.held.len(), 1, "b is bad, and stops nothing");
    instance.stop().await;
}

/// How long a change takes from `publish` to the end of the installation, on this machine and with
/// an installer that does nothing. Printed for the curious; held is only that nothing waits for a
/// timer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_takes_milliseconds() {
    let control = Control::start().await;
    let instance = Instance::start(&control).await;
    let names: Vec<String> = (0..500).map(|n| format!("s{n}")).collect();
    let services: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), Some(Good(0))))
        .collect();
    control.publish(&services);
    instance
        .until(|status| status.converged && status.effective.is_some_and(|p| p.revision.0 == 1))
        .await;
    let mut took = Vec::new();
    for n in 1..100_u8 {
        let (view, content) = change(&control.feed.head().view, &[("s7", Some(Good(n)))]);
        let start = tokio::time::Instant::now();
        control.publish_view(view, content);
        instance.installer.until(usize::from(n) + 2).await;
        took.push(start.elapsed());
    }
    took.sort();
    println!(
        "publish to applied: median {:?}, 99th of 99 {:?}",
        took[49], took[98]
    );
    assert!(took[49] < Duration::from_millis(500), "{:?}", took[49]);
    instance.stop().await;
}
