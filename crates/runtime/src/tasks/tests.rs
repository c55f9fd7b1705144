use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::oneshot;

use super::*;

const GRACE: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn a_stop_is_told_and_waited_for() {
    let tasks = Tasks::new("gateway");
    let (started, was_started) = oneshot::channel();
    let (ended, was_ended) = oneshot::channel();
    tasks.spawn("delivery", |stop| async move {
        started.send(stop.is_requested()).expect("the test waits");
        stop.requested().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        ended.send(stop.is_requested()).expect("the test waits");
    });
    assert_eq!(tasks.running(), ["gateway/delivery"]);
    assert!(!was_started.await.unwrap());
    assert!(tasks.stop(GRACE).await);
    assert!(was_ended.await.unwrap());
    assert!(tasks.running().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_named_and_left() {
    let tasks = Tasks::new("gateway");
    let worker = tasks.child("worker-0");
    let stuck = worker.spawn("deaf", |_| std::future::pending());
    tasks.spawn("polite", |stop| async move { stop.requested().await });
    let before = tokio::time::Instant::now();
    assert!(!tasks.stop(GRACE).await);
    assert_eq!(before.elapsed(), GRACE);
    assert_eq!(tasks.running(), ["gateway/worker-0/deaf"]);
    stuck.abort();
    assert!(tasks.stop(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn a_child_stops_alone_and_its_parent_goes_on() {
    let tasks = Tasks::new("control");
    let child = tasks.child("rollout");
    let parents = tasks.spawn("api", |stop| async move { stop.requested().await });
    let childs = child.spawn("wave", |stop| async move { stop.requested().await });
    assert!(child.stop(GRACE).await);
    childs.finished().await;
    assert!(!parents.is_finished());
    assert!(!tasks.stopping().is_requested());
    assert!(tasks.stop(GRACE).await);
}

#[tokio::test(start_paused = true)]
async fn a_parent_waits_for_tasks_of_children_nobody_holds() {
    let tasks = Tasks::new("a");
    let grandchild = tasks.child("b").child("c");
    let (ended, was_ended) = oneshot::channel();
    grandchild.spawn("late", |stop| async move {
        stop.requested().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        ended.send(()).expect("the test waits");
    });
    drop(grandchild);
    assert!(tasks.stop(GRACE).await);
    was_ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_task_spawned_while_stopping_is_waited_for() {
    let tasks = Tasks::new("a");
    let child = tasks.child("b");
    let handle = tasks.clone();
    let (ended, was_ended) = oneshot::channel();
    child.spawn("spawner", |stop| async move {
        stop.requested().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        handle.child("c").spawn("last", |stop| async move {
            assert!(stop.is_requested());
            tokio::time::sleep(Duration::from_secs(1)).await;
            ended.send(()).expect("the test waits");
        });
    });
    drop(child);
    assert!(tasks.stop(GRACE).await);
    was_ended.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_task_only() {
    let tasks = Tasks::new("gateway");
    let neighbour = tasks.spawn("neighbour", |stop| async move { stop.requested().await });
    tasks
        .spawn("bad", |_| async { panic!("on purpose: while running") })
        .finished()
        .await;
    #[expect(
        clippy::diverging_sub_expression,
        unreachable_code,
        reason = "panics before a future"
    )]
    let early = tasks.spawn("worse", |_| {
        let _: () = panic!("on purpose: {}", "before running");
        async {}
    });
    early.finished().await;
    assert!(!neighbour.is_finished());
    assert_eq!(tasks.running(), ["gateway/neighbour"]);
    assert!(tasks.stop(GRACE).await);
}

#[test]
fn panics_say_their_message() {
    let check = |panic: Box<dyn std::any::Any + Send>, expect| assert_eq!(message(&*panic), expect);
    check(Box::new("text"), "text");
    check(Box::new(String::from("made")), "made");
    check(Box::new(7), "a panic without a message");
}

#[test]
fn local_tasks_run_on_a_local_runtime_and_hold_what_cannot_move() {
    let runtime = tokio::runtime::LocalRuntime::new().unwrap();
    let seen = Rc::new(Cell::new(0));
    let count = Rc::clone(&seen);
    runtime.block_on(async move {
        let tasks = Tasks::new("worker");
        tasks.spawn_local("count", |stop| async move {
            count.set(1);
            stop.requested().await;
            count.set(2);
        });
        tasks
            .spawn_local("bad", |_| async { panic!("on purpose") })
            .finished()
            .await;
        assert!(tasks.stop(GRACE).await);
    });
    assert_eq!(seen.get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_on_many_threads_all_end() {
    let tasks = Tasks::new("many");
    for n in 0..1_000 {
        tasks.spawn(
            format!("task-{n}"),
            |stop| async move { stop.requested().await },
        );
    }
    assert_eq!(tasks.running().len(), 1_000);
    assert!(tasks.stop(GRACE).await);
    assert!(tasks.running().is_empty());
}
