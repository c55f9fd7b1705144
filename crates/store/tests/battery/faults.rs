//! What only etcd's engine promises: it outlives members that are killed, stopped or in another
//! place, and says what is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ferryway_store::{EtcdSettings, Expect, Revision, Store, StoreError, Trouble, Txn, Watch};
use ferryway_testkit::{Etcd, EtcdOptions, eventually};
use uuid::Uuid;

use crate::{key, list_all, put};

/// How long it may take until what was healed is noticed, on a busy machine.
const HEALED_WITHIN: Duration = Duration::from_secs(30);

/// How long a refusal may take.
const REFUSED_WITHIN: Duration = Duration::from_secs(8);

fn settings(etcd: &Etcd) -> EtcdSettings {
    EtcdSettings::new(&etcd.url()).unwrap()
}

async fn opened(settings: &EtcdSettings) -> Result<Store, StoreError> {
    Store::open_etcd(settings, Uuid::now_v7()).await
}

async fn head(store: &Store) -> Revision {
    store.list("", None, 1).await.unwrap().revision
}

fn trouble<T: std::fmt::Debug>(answer: Result<T, StoreError>) -> Trouble {
    match answer {
        Err(StoreError::Etcd { trouble, .. }) => trouble,
        other => panic!("expected trouble with etcd, not {other:?}"),
    }
}

/// Commits numbered transactions one after the other, and says which were answered.
async fn write(store: &Store, numbers: std::ops::Range<u64>) -> Vec<u64> {
    let mut answered = Vec::new();
    for number in numbers {
        let own = format!("own/{number}");
        let txn = put("last", &number.to_string())
            .put(key(&own), "x")
            .require(key(&own), Expect::Absent);
        if store.commit(txn).await.is_ok() {
            answered.push(number);
        }
    }
    answered
}

/// What a watch tells of `last` until this number has been told.
async fn told(watch: &mut Watch, until: u64) -> Vec<u64> {
    let mut told = Vec::new();
    while told.last() != Some(&until) {
        let event = watch.next().await.unwrap().unwrap();
        let last = event.changes.iter().find(|it| it.key.as_str() == "last");
        let Some(change) = last else { continue };
        let value = change.value.clone().unwrap();
        told.push(std::str::from_utf8(&value).unwrap().parse().unwrap());
    }
    told
}

/// Waits until the store says that something is wrong, or that nothing is.
fn wait_for_trouble(store: &Store, expect: bool) {
    let what = format!("trouble: {expect}");
    eventually(HEALED_WITHIN, &what, || {
        (store.trouble().is_some() == expect).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_of_three_that_dies_or_stops_costs_nothing() {
    let mut etcd = Etcd::start_three();
    let store = opened(&settings(&etcd)).await.unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    let all: Vec<u64> = (0..120).collect();
    assert_eq!(write(&store, 0..20).await, all[..20]);
    // The one that is asked first, then the one that leads.
    etcd.program(0).kill();
    assert_eq!(write(&store, 20..40).await, all[20..40]);
    etcd.start_again(0);
    let leader = etcd.leader();
    etcd.freeze(leader, true);
    assert_eq!(write(&store, 40..60).await, all[40..60]);
    etcd.freeze(leader, false);
    let leader = etcd.leader();
    etcd.program(leader).kill();
    assert_eq!(write(&store, 60..80).await, all[60..80]);
    etcd.start_again(leader);
    for round in 0..2 {
        let ids = etcd.member_ids();
        let leader = etcd.leader();
        let to = format!("{:x}", ids[(leader + 1) % 3]);
        etcd.ctl_at(leader, &["move-leader", &to]);
        let numbers = 80 + 20 * round..100 + 20 * round;
        assert_eq!(
            write(&store, numbers.clone()).await,
            numbers.collect::<Vec<_>>()
        );
    }
    assert_eq!(told(&mut watch, 119).await, all);
    let (entries, _) = list_all(&store, "own/", 1_000).await;
    assert_eq!(entries.len(), all.len());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_majority_writes_are_refused_in_time_and_go_on_afterwards() {
    let mut etcd = Etcd::start_three();
    let store = opened(&settings(&etcd)).await.unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    let mut answered = write(&store, 0..5).await;
    assert_eq!(answered.len(), 5);
    etcd.freeze(1, true);
    etcd.freeze(2, true);
    let refused = tokio::time::timeout(REFUSED_WITHIN, store.commit(put("x", "1"))).await;
    let why = trouble(refused.expect("is answered in time"));
    assert!(
        matches!(
            why,
            Trouble::Slow { .. } | Trouble::NoLeader | Trouble::Unreachable { .. }
        ),
        "{why:?}"
    );
    let said = store.trouble().expect("it is said").to_string();
    assert!(said.contains("check"), "{said}");
    let read = tokio::time::timeout(REFUSED_WITHIN, store.get(&key("last"))).await;
    trouble(read.expect("is answered in time"));
    etcd.freeze(1, false);
    etcd.freeze(2, false);
    wait_for_trouble(&store, false);
    answered.extend(write(&store, 5..10).await);
    assert_eq!(answered, (0..10).collect::<Vec<_>>());
    assert_eq!(told(&mut watch, 9).await, answered);
}

/// What a stopped member was asked, it does when it goes on. By then it must not happen any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_sent_twice_happens_once() {
    let mut etcd = Etcd::start_three();
    // Only a follower hands what it is asked on to the others, however late.
    let ids = etcd.member_ids();
    let leader = etcd.leader();
    if leader == 0 {
        etcd.ctl_at(0, &["move-leader", &format!("{:x}", ids[1])]);
    }
    let store = opened(&settings(&etcd)).await.unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    for round in 0..3 {
        let one = format!("{round} one");
        etcd.freeze(0, true);
        store.commit(put("a", &one)).await.unwrap();
        store
            .commit(put("a", &format!("{round} two")))
            .await
            .unwrap();
        etcd.freeze(0, false);
        // It answers by quorum only after it has heard what it missed.
        etcd.ctl_at(0, &["get", "x"]);
        let entry = store.get(&key("a")).await.unwrap().unwrap();
        assert_eq!(entry.value, format!("{round} two"));
    }
    store.commit(put("last", "0")).await.unwrap();
    let mut values = Vec::new();
    while values.last().is_none_or(|value| value != "last=0") {
        let event = watch.next().await.unwrap().unwrap();
        values.extend(event.changes.iter().map(|change| {
            let value = change.value.clone().unwrap();
            format!("{}={}", change.key, String::from_utf8_lossy(&value))
        }));
    }
    let expect = ["0 one", "0 two", "1 one", "1 two", "2 one", "2 two"];
    let expect = expect.map(|value| format!("a={value}"));
    assert_eq!(values[..values.len() - 1], expect);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_under_a_watch_is_told_and_the_next_watch_goes_on() {
    let mut etcd = Etcd::start_three();
    let near = EtcdSettings::new(&format!("etcd://{}", etcd.member(0))).unwrap();
    let store = opened(&near).await.unwrap();
    let far = EtcdSettings::new(&format!("etcd://{},{}", etcd.member(1), etcd.member(2))).unwrap();
    let far = opened(&far).await.unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    far.commit(put("last", "0")).await.unwrap();
    assert_eq!(told(&mut watch, 0).await, [0]);

    etcd.freeze(0, true);
    wait_for_trouble(&store, true);
    assert_eq!(write(&far, 1..20).await.len(), 19);
    etcd.ctl_at(1, &["compact", &head(&far).await.to_string()]);
    etcd.freeze(0, false);
    let compacted = watch.next().await;
    assert!(
        matches!(compacted, Some(Err(StoreError::Compacted { .. }))),
        "{compacted:?}"
    );
    assert!(watch.next().await.is_none());

    let (entries, revision) = list_all(&store, "", 3).await;
    assert_eq!(entries.len(), 20);
    let mut watch = store.watch("", revision).await.unwrap();
    assert_eq!(write(&far, 20..25).await.len(), 5);
    assert_eq!(told(&mut watch, 24).await, [20, 21, 22, 23, 24]);
    wait_for_trouble(&store, false);
    // What is in time is not touched by it.
    etcd.ctl_at(1, &["compact", &head(&far).await.to_string()]);
    assert_eq!(write(&far, 25..27).await.len(), 2);
    assert_eq!(told(&mut watch, 26).await, [25, 26]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_etcd_says_so_is_read_on_and_takes_writes_once_there_is_room() {
    let etcd = Etcd::start_with(EtcdOptions {
        flags: vec![String::from("--quota-backend-bytes=16777216")],
        ..EtcdOptions::default()
    });
    let store = opened(&settings(&etcd)).await.unwrap();
    store.commit(put("kept", "1")).await.unwrap();
    let mut refused = None;
    for n in 0..64_u8 {
        let txn = Txn::new().put(key("large"), vec![n; 1_000_000]);
        if let Err(error) = store.commit(txn).await {
            refused = Some(error);
            break;
        }
    }
    let said = refused.expect("there is no room for 64 MB").to_string();
    assert!(said.contains("alarm disarm"), "{said}");
    assert_eq!(trouble(store.commit(put("x", "1")).await), Trouble::Full);
    assert_eq!(store.get(&key("kept")).await.unwrap().unwrap().value, "1");
    assert!(store.trouble().is_some());

    etcd.ctl(&["compact", &etcd.revision().to_string()]);
    etcd.ctl(&["defrag"]);
    etcd.ctl(&["alarm", "disarm"]);
    // Noticed without anybody asking.
    wait_for_trouble(&store, false);
    store.commit(put("x", "2")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_are_let_in_where_they_may_be_and_passwords_are_not_told() {
    let mut etcd = Etcd::start();
    for args in [
        &["user", "add", "root:root-password"][..],
        &["user", "add", "ferryway:right-password"],
        &["role", "add", "ferryway"],
        &[
            "role",
            "grant-permission",
            "--prefix=true",
            "ferryway",
            "readwrite",
            "/ferryway/",
        ],
        &["user", "grant-role", "root", "root"],
        &["user", "grant-role", "ferryway", "ferryway"],
        &["auth", "enable"],
    ] {
        etcd.ctl(args);
    }
    let anyone = settings(&etcd);
    let refused = [
        anyone.clone(),
        anyone.clone().with_user("ferryway", "wrong-password"),
        anyone.clone().with_user("nobody", "wrong-password"),
        anyone
            .clone()
            .with_prefix("/elsewhere/")
            .unwrap()
            .with_user("ferryway", "right-password"),
    ];
    for settings in refused {
        let error = opened(&settings).await.unwrap_err();
        let text = format!("{error} {error:?} {settings:?}");
        assert!(!text.contains("-password"), "{text}");
        let why = trouble(Err::<(), _>(error));
        assert!(matches!(why, Trouble::Denied { .. }), "{why:?}");
    }
    let store = opened(&anyone.with_user("ferryway", "right-password"))
        .await
        .unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    assert_eq!(write(&store, 0..3).await, [0, 1, 2]);
    // It knows no token any more.
    etcd.start_again(0);
    wait_for_trouble(&store, false);
    assert_eq!(write(&store, 3..6).await, [3, 4, 5]);
    assert_eq!(told(&mut watch, 5).await, [0, 1, 2, 3, 4, 5]);
    // What an operator takes away is gone, and said.
    let root = ["--user", "root:root-password"];
    etcd.ctl(&[&root[..], &["user", "revoke-role", "ferryway", "ferryway"]].concat());
    let why = trouble(store.commit(put("x", "1")).await);
    assert!(matches!(why, Trouble::Denied { .. }), "{why:?}");
    etcd.ctl(&[&root[..], &["user", "grant-role", "ferryway", "ferryway"]].concat());
    wait_for_trouble(&store, false);
    store.commit(put("x", "2")).await.unwrap();
}

/// Certificates of one authority, as files in a folder.
struct Authority {
    dir: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("ca.pem"), certificate.pem()).unwrap();
        Self {
            dir,
            issuer: rcgen::Issuer::new(params, key),
        }
    }

    /// The files of a certificate and its key.
    fn issue(&self, name: &str) -> [PathBuf; 2] {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec![String::from("127.0.0.1")];
        let mut params = rcgen::CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, pem] = ["crt", "key"].map(|kind| self.dir.path().join(format!("{name}.{kind}")));
        std::fs::write(&cert, certificate.pem()).unwrap();
        std::fs::write(&pem, key.serialize_pem()).unwrap();
        [cert, pem]
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}={}", path.display())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_is_spoken_with_those_who_are_known_to_each_other() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let [server_cert, server_key] = ours.issue("server");
    let [client_cert, client_key] = ours.issue("client");
    let [other_cert, other_key] = theirs.issue("client");
    let etcd = Etcd::start_with(EtcdOptions {
        flags: vec![
            flag("cert-file", &server_cert),
            flag("key-file", &server_key),
            flag("trusted-ca-file", &ours.file()),
            String::from("--client-cert-auth"),
        ],
        tls: Some([ours.file(), client_cert.clone(), client_key.clone()]),
        ..EtcdOptions::default()
    });
    let read = |path: &Path| std::fs::read(path).unwrap();
    let tls = |authority: &Authority| settings(&etcd).with_tls(read(&authority.file()));
    let with = |settings: EtcdSettings, cert: &Path, key: &Path| {
        settings
            .with_client_certificate(read(cert), read(key))
            .unwrap()
    };
    let untrusted = [
        tls(&ours),
        with(tls(&theirs), &client_cert, &client_key),
        with(tls(&ours), &other_cert, &other_key),
    ];
    for settings in untrusted {
        let why = trouble(opened(&settings).await);
        assert!(matches!(why, Trouble::Untrusted { .. }), "{why:?}");
    }
    let why = trouble(opened(&settings(&etcd)).await);
    assert!(matches!(why, Trouble::Unreachable { .. }), "{why:?}");
    let store = opened(&with(tls(&ours), &client_cert, &client_key))
        .await
        .unwrap();
    let mut watch = store.watch("", head(&store).await).await.unwrap();
    assert_eq!(write(&store, 0..3).await, [0, 1, 2]);
    assert_eq!(told(&mut watch, 2).await, [0, 1, 2]);

    let broken = settings(&etcd).with_tls("no certificate");
    let error = opened(&broken).await.unwrap_err();
    assert!(
        matches!(error, StoreError::Settings { .. } | StoreError::Etcd { .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_etcd_behind_the_same_address_is_not_taken_for_ours() {
    let mut etcd = Etcd::start();
    let store = opened(&settings(&etcd)).await.unwrap();
    store.commit(put("a", "1")).await.unwrap();
    // Empty, under the id that its flags give it, and then under another one.
    etcd.program(0).kill();
    etcd.forget(0);
    etcd.start_again(0);
    let why = trouble(store.commit(put("a", "2")).await);
    wait_for_trouble(&store, true);
    assert!(
        matches!(
            why,
            Trouble::Replaced | Trouble::Refused { .. } | Trouble::Unreachable { .. }
        ),
        "{why:?}"
    );
    eventually(HEALED_WITHIN, "the loss is noticed", || {
        let StoreError::Etcd { trouble, .. } = store.trouble()? else {
            return None;
        };
        (trouble == Trouble::Replaced).then_some(())
    });
    assert_eq!(
        trouble(store.commit(put("a", "2")).await),
        Trouble::Replaced
    );
    assert_eq!(
        etcd.ctl(&["get", "/ferryway/data/a", "--print-value-only"]),
        ""
    );

    let other = opened(&settings(&etcd)).await.unwrap();
    etcd.program(0).kill();
    etcd.forget(0);
    etcd.start_again_with(0, &["--initial-cluster-token=other"]);
    let why = trouble(other.commit(put("a", "2")).await);
    assert!(matches!(why, Trouble::OtherCluster { .. }), "{why:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_was_brought_to_another_etcd_begins_a_new_history() {
    let etcd = Etcd::start();
    let store = opened(&settings(&etcd)).await.unwrap();
    store.commit(put("a", "1")).await.unwrap();
    let before = store.identity();
    store.close().await;
    let store = opened(&settings(&etcd)).await.unwrap();
    assert_eq!(store.identity(), before);
    store.close().await;
    // As a snapshot that was put back in another cluster says.
    etcd.ctl(&["put", "/ferryway/meta/cluster", "1234abcd"]);
    let store = opened(&settings(&etcd)).await.unwrap();
    let moved = store.identity();
    assert_eq!(moved.uuid, before.uuid);
    assert!(moved.restores > before.restores);
    store.close().await;
    // In the same cluster only an operator can say it, and others who use it find out.
    let store = opened(&settings(&etcd)).await.unwrap();
    assert_eq!(store.identity(), moved);
    let marked = Store::open_etcd_restored(&settings(&etcd), Uuid::now_v7())
        .await
        .unwrap();
    assert!(marked.identity().restores > moved.restores);
    wait_for_trouble(&store, true);
    assert_eq!(
        trouble(store.commit(put("a", "2")).await),
        Trouble::Replaced
    );
}

/// Several processes have one store open; each is told what all do, in one order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_a_store() {
    let etcd = Etcd::start();
    let mut stores = Vec::new();
    let mut watches = Vec::new();
    for _ in 0..3 {
        let store = opened(&settings(&etcd)).await.unwrap();
        watches.push(store.watch("", head(&store).await).await.unwrap());
        stores.push(store);
    }
    assert!(
        stores
            .iter()
            .all(|it| it.identity() == stores[0].identity())
    );
    let create = async |store: &Store, n: usize| {
        let txn = put(&format!("name-{n}"), "x").require(key(&format!("name-{n}")), Expect::Absent);
        store.commit(txn).await.is_ok()
    };
    for n in 0..30 {
        let (one, two, three) = tokio::join!(
            create(&stores[0], n),
            create(&stores[1], n),
            create(&stores[2], n)
        );
        assert_eq!([one, two, three].iter().filter(|won| **won).count(), 1);
    }
    stores[0].commit(put("last", "0")).await.unwrap();
    let mut all: Vec<BTreeMap<u64, String>> = Vec::new();
    for watch in &mut watches {
        let mut events = BTreeMap::new();
        while events.values().next_back().is_none_or(|key| key != "last") {
            let event = watch.next().await.unwrap().unwrap();
            if let Some(change) = event.changes.first() {
                events.insert(event.revision.number(), change.key.to_string());
            }
        }
        all.push(events);
    }
    assert_eq!(all[0].len(), 31);
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    // What one leaves behind of itself goes with it.
    for store in stores {
        store.close().await;
    }
    assert_eq!(
        etcd.ctl(&["get", "--prefix", "--keys-only", "/ferryway/meta/slot/"]),
        ""
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_etcd_that_is_not_there_is_said() {
    let [port] = ferryway_testkit::ports::free();
    let settings = EtcdSettings::new(&format!("etcd://127.0.0.1:{port}")).unwrap();
    let error = opened(&settings).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("no member answers") && text.contains(&port.to_string()),
        "{text}"
    );
}

/// What others put among the entries is found, not taken for ours.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_among_the_entries_is_found() {
    let etcd = Etcd::start();
    let store = opened(&settings(&etcd)).await.unwrap();
    etcd.ctl(&["put", "/ferryway/other", "no concern of ours"]);
    etcd.ctl(&["put", "/ferryway/data/", "no key"]);
    let why = trouble(store.list("", None, 10).await);
    assert!(matches!(why, Trouble::Damaged { .. }), "{why:?}");
    wait_for_trouble(&store, true);
    let strange = Etcd::start();
    strange.ctl(&["put", "/ferryway/meta/layout", "7"]);
    let text = opened(&settings(&strange)).await.unwrap_err().to_string();
    assert!(text.contains("layout 7"), "{text}");
}
