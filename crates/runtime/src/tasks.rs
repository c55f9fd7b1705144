use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The owner of a set of tasks: each has a name, each is told to stop, and [`Tasks::stop`] waits
/// for their end.
///
/// Owners form a tree: [`Tasks::child`] makes one that can be stopped alone, and that is stopped
/// with its parent. Clones are handles to the same owner. Dropping a handle stops nothing.
///
/// A task that panics is logged with its name and ends; the others and the process go on.
#[derive(Clone)]
pub struct Tasks {
    owner: Arc<Owner>,
}

struct Owner {
    /// `parent/child`, as the log shows it.
    path: Cow<'static, str>,
    tracker: TaskTracker,
    stop: CancellationToken,
    running: Mutex<BTreeMap<u64, Cow<'static, str>>>,
    next_id: AtomicU64,
    /// Weak: a child that nobody holds and that runs nothing needs no stop. A running task holds
    /// its owner.
    children: Mutex<Vec<Weak<Self>>>,
}

impl Tasks {
    /// An owner without a parent.
    pub fn new(name: impl Into<Cow<'static, str>>) -> Self {
        Self {
            owner: Arc::new(Owner::new(name.into(), CancellationToken::new())),
        }
    }

    /// An owner that stops with this one, and that can be stopped before it.
    pub fn child(&self, name: impl AsRef<str>) -> Self {
        let path = format!("{}/{}", self.owner.path, name.as_ref());
        let child = Arc::new(Owner::new(path.into(), self.owner.stop.child_token()));
        let mut children = lock(&self.owner.children);
        children.retain(|child| child.strong_count() > 0);
        children.push(Arc::downgrade(&child));
        // Under the lock of `children`: `close` either sees the new child or has closed us before.
        if self.owner.tracker.is_closed() {
            child.tracker.close();
        }
        drop(children);
        Self { owner: child }
    }

    /// Runs `run` as a task of the current runtime.
    ///
    /// It should end soon after its [`Stop`] is requested. A task spawned after the stop starts
    /// with its stop already requested.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    #[track_caller]
    pub fn spawn<F, Fut>(&self, name: impl Into<Cow<'static, str>>, run: F) -> Task
    where
        F: FnOnce(Stop) -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let task = self
            .owner
            .tracker
            .track_future(self.supervise(name.into(), run));
        #[expect(
            clippy::disallowed_methods,
            reason = "this is what all others are sent to"
        )]
        let handle = tokio::spawn(task);
        Task { handle }
    }

    /// As [`Tasks::spawn`], for a task that stays on its thread and may hold what cannot leave it.
    ///
    /// # Panics
    ///
    /// Outside a tokio `LocalRuntime` or `LocalSet`.
    #[track_caller]
    pub fn spawn_local<F, Fut>(&self, name: impl Into<Cow<'static, str>>, run: F) -> Task
    where
        F: FnOnce(Stop) -> Fut + 'static,
        Fut: Future<Output = ()> + 'static,
    {
        let task = self
            .owner
            .tracker
            .track_future(self.supervise(name.into(), run));
        Task {
            handle: tokio::task::spawn_local(task),
        }
    }

    /// The signal that the tasks of this owner are given.
    pub fn stopping(&self) -> Stop {
        Stop {
            token: self.owner.stop.clone(),
        }
    }

    /// Requests the stop of all tasks, children's included, and waits for their end for at most
    /// `grace`.
    ///
    /// `false` if some are still running then; their names are logged. They are left to run:
    /// aborting a task in the middle of a write is the caller's decision ([`Task::abort`]), or that
    /// of the runtime's end.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.owner.close();
        self.owner.stop.cancel();
        if tokio::time::timeout(grace, self.owner.ended())
            .await
            .is_ok()
        {
            return true;
        }
        let left = self.running();
        if left.is_empty() {
            return true;
        }
        tracing::warn!(owner = %self.owner.path, ?grace, ?left, "tasks still run after the grace");
        false
    }

    /// The full names of what runs now, children's included.
    pub fn running(&self) -> Vec<String> {
        let mut names = Vec::new();
        self.owner.collect_running(&mut names);
        names
    }

    fn supervise<F, Fut>(
        &self,
        name: Cow<'static, str>,
        run: F,
    ) -> impl Future<Output = ()> + use<F, Fut>
    where
        F: FnOnce(Stop) -> Fut,
        Fut: Future<Output = ()>,
    {
        let entry = Entry::new(Arc::clone(&self.owner), name);
        let stop = self.stopping();
        async move {
            if let Err(panic) = caught(run, stop).await {
                tracing::error!(task = %entry.full_name(), panic, "a task panicked");
            }
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks")
            .field("path", &self.owner.path)
            .field("running", &lock(&self.owner.running).values())
            .finish()
    }
}

/// Tells a task that it should end. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Stop {
    token: CancellationToken,
}

impl Stop {
    /// Waits until the stop is requested; at once if it has been.
    pub async fn requested(&self) {
        self.token.cancelled().await;
    }

    /// Whether the stop has been requested.
    pub fn is_requested(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The token itself, for code that speaks tokio-util. Cancelling it stops the owner's tasks.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }
}

/// A spawned task. Dropping it leaves the task to its owner.
#[derive(Debug)]
pub struct Task {
    handle: JoinHandle<()>,
}

impl Task {
    /// Ends the task at its next `await`, without asking it.
    pub fn abort(&self) {
        self.handle.abort();
    }

    /// Whether the task has ended, in whatever way.
    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    /// Waits for the task's end, in whatever way it comes.
    pub async fn finished(self) {
        // A panic was logged where it was caught; an abort was the caller's own wish.
        let _ = self.handle.await;
    }
}

impl Owner {
    fn new(path: Cow<'static, str>, stop: CancellationToken) -> Self {
        Self {
            path,
            tracker: TaskTracker::new(),
            stop,
            running: Mutex::default(),
            next_id: AtomicU64::new(0),
            children: Mutex::default(),
        }
    }

    fn children(&self) -> Vec<Arc<Self>> {
        lock(&self.children)
            .iter()
            .filter_map(Weak::upgrade)
            .collect()
    }

    fn close(&self) {
        self.tracker.close();
        for child in self.children() {
            child.close();
        }
    }

    /// Waits until neither this owner nor any below it runs a task. They must be closed.
    async fn ended(&self) {
        // Again from the start after each wait: the last task of a child may have spawned one here.
        loop {
            self.tracker.wait().await;
            for child in self.children() {
                Box::pin(child.ended()).await;
            }
            if self.is_idle() {
                return;
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.tracker.is_empty() && self.children().iter().all(|child| child.is_idle())
    }

    fn collect_running(&self, names: &mut Vec<String>) {
        names.extend(
            lock(&self.running)
                .values()
                .map(|name| format!("{}/{name}", self.path)),
        );
        for child in self.children() {
            child.collect_running(names);
        }
    }
}

/// A task's line in its owner's list, for as long as the task exists.
struct Entry {
    owner: Arc<Owner>,
    id: u64,
    name: Cow<'static, str>,
}

impl Entry {
    fn new(owner: Arc<Owner>, name: Cow<'static, str>) -> Self {
        let id = owner.next_id.fetch_add(1, Ordering::Relaxed);
        lock(&owner.running).insert(id, name.clone());
        Self { owner, id, name }
    }

    fn full_name(&self) -> String {
        format!("{}/{}", self.owner.path, self.name)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        lock(&self.owner.running).remove(&self.id);
    }
}

/// Runs the task and turns a panic of it into its message.
///
/// The future is never polled again after a panic, and what it shared is either gone with it or
/// behind locks that tell of poison: that is what `AssertUnwindSafe` claims here.
async fn caught<F, Fut>(run: F, stop: Stop) -> Result<(), String>
where
    F: FnOnce(Stop) -> Fut,
    Fut: Future<Output = ()>,
{
    let future = catch_unwind(AssertUnwindSafe(|| run(stop))).map_err(|panic| message(&*panic))?;
    let mut future = pin!(future);
    poll_fn(
        |cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Err(message(&*panic)).into(),
        },
    )
    .await
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&'static str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        String::from("a panic without a message")
    }
}

/// The maps behind these locks are whole after every statement, so poison means nothing here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
