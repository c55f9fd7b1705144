use std::cell::RefCell;

use ferryway_model::DnsQuery;
use proptest::prelude::*;

use super::*;
use crate::target::tests::binding;

/// A target followed in simulated time.
struct Sim {
    follow: Follow,
    start: Instant,
    now: Instant,
    /// What was asked since it was last looked at.
    asked: RefCell<Vec<String>>,
    published: Vec<Endpoint>,
    saved: BTreeMap<String, Kept>,
}

fn rules(target: &Target) -> Rules {
    let empty_after = match target {
        Target::Nodes { .. } => None,
        Target::Dns { empty_after, .. } => Some(*empty_after),
    };
    Rules {
        min_ttl: Duration::from_secs(1),
        max_ttl: Duration::from_secs(300),
        empty_after,
        retry: Backoff::new(Duration::from_secs(1), Duration::from_secs(30)),
        asked: "test".to_owned(),
    }
}

fn nodes(nodes: &str) -> Target {
    let node = |node: &str| format!(r#"{{"host": "{node}"}}"#);
    let nodes: Vec<_> = nodes.split(' ').map(node).collect();
    let binding = binding(&format!(r#"{{"nodes": [{}]}}"#, nodes.join(",")));
    Target::of(&binding, None, 80).unwrap()
}

fn dns(query: DnsQuery) -> Target {
    Target::Dns {
        servers: Vec::new(),
        empty_after: Duration::from_secs(30),
        min_ttl: Duration::from_secs(1),
        max_ttl: Duration::from_secs(300),
        query,
        default_port: 80,
    }
}

fn dns_name() -> Target {
    dns(DnsQuery::Address {
        name: "web.example".parse().unwrap(),
        port: Some(8080),
    })
}

fn dns_service() -> Target {
    dns(DnsQuery::Service {
        name: "_web._tcp.example".parse().unwrap(),
    })
}

impl Sim {
    fn new(target: &Target) -> Self {
        Self::with_kept(target, &BTreeMap::new())
    }

    fn with_kept(target: &Target, kept: &BTreeMap<String, Kept>) -> Self {
        let now = Instant::now();
        let load = |key: &str| kept.get(key).cloned();
        let mut sim = Self {
            follow: Follow::new(target, rules(target), Random::seeded(1), now, load),
            start: now,
            now,
            asked: RefCell::default(),
            published: Vec::new(),
            saved: kept.clone(),
        };
        sim.on(Event::Tick);
        sim
    }

    fn on(&mut self, event: Event) {
        for action in self.follow.on(self.now, event) {
            match action {
                Action::Ask(Question::Addresses(name) | Question::Services(name)) => {
                    self.asked.borrow_mut().push(name.to_string());
                }
                Action::Publish {
                    endpoints,
                    left_out,
                } => {
                    assert_eq!(left_out, 0);
                    assert_ne!(endpoints, self.published, "published what was published");
                    self.published = endpoints;
                }
                Action::Save { key, kept } => {
                    self.saved.insert(key, kept);
                }
            }
        }
    }

    /// Lets time come to so many milliseconds after the start.
    fn at(&mut self, millis: u64) -> &mut Self {
        let until = self.start + Duration::from_millis(millis);
        assert!(until >= self.now, "time does not run backwards");
        while let Some(wake) = self.follow.wake_at().filter(|wake| *wake <= until) {
            assert!(
                wake >= self.now || self.now == self.start,
                "woken for the past"
            );
            self.now = wake.max(self.now);
            self.on(Event::Tick);
        }
        self.now = until;
        self.on(Event::Tick);
        self
    }

    /// Answers for a name: addresses, for so many seconds.
    fn found(&mut self, name: &str, addresses: &str, ttl: u64) -> &mut Self {
        let addresses: Vec<IpAddr> = addresses.split(' ').map(|it| it.parse().unwrap()).collect();
        let v4 = |it: &IpAddr| {
            if let IpAddr::V4(it) = it {
                Some(*it)
            } else {
                None
            }
        };
        let v6 = |it: &IpAddr| {
            if let IpAddr::V6(it) = it {
                Some(*it)
            } else {
                None
            }
        };
        let records = Addresses {
            v4: Some(addresses.iter().filter_map(v4).collect()),
            v6: Some(addresses.iter().filter_map(v6).collect()),
        };
        self.answer(
            name,
            Answer::Found {
                records,
                ttl: Duration::from_secs(ttl),
            },
        )
    }

    fn nothing(&mut self, name: &str) -> &mut Self {
        self.answer(
            name,
            Answer::Nothing {
                name_exists: false,
                ttl: None,
            },
        )
    }

    fn failed(&mut self, name: &str) -> &mut Self {
        self.answer(name, Answer::Failed("did not answer".to_owned()))
    }

    fn answer(&mut self, name: &str, answer: Answer<Addresses>) -> &mut Self {
        self.on(Event::Addresses(name.parse().unwrap(), answer));
        self
    }

    /// Answers for the service: its targets, each with port 80, weight 1 and priority 0.
    fn services(&mut self, targets: &str) -> &mut Self {
        let service = |target: &str| Service {
            target: target.parse().unwrap(),
            port: 80,
            priority: 0,
            weight: 1,
        };
        let records = targets.split(' ').map(service).collect();
        self.on(Event::Services(Answer::Found {
            records,
            ttl: Duration::from_secs(5),
        }));
        self
    }

    /// What was asked since this was last called.
    #[track_caller]
    fn asked(&mut self, expect: &str) -> &mut Self {
        let asked = self.asked.take();
        assert_eq!(asked.join(" "), expect, "asked");
        self
    }

    /// The endpoints now, as `name=address`.
    #[track_caller]
    fn serves(&mut self, expect: &str) -> &mut Self {
        assert_eq!(show(&self.published), expect, "serves");
        self
    }

    #[track_caller]
    fn says(&mut self, expect: &str) -> &mut Self {
        assert_eq!(self.follow.error().unwrap_or_default(), expect, "says");
        self
    }
}

fn show(endpoints: &[Endpoint]) -> String {
    let show = |it: &Endpoint| format!("{}={}", it.name, it.address);
    endpoints.iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn addresses_need_no_asking() {
    let mut sim = Sim::new(&nodes("10.0.0.1 ::1"));
    sim.serves("10.0.0.1=10.0.0.1:80 [::1]=[::1]:80").asked("");
    assert!(sim.follow.is_settled_for_good() && sim.follow.is_ready());
    assert_eq!(sim.follow.wake_at(), None);
}

#[test]
fn a_name_is_asked_again_as_its_ttl_says() {
    let mut sim = Sim::new(&nodes("a"));
    assert!(!sim.follow.is_ready());
    sim.asked("a").serves("");
    sim.found("a", "10.0.0.2 10.0.0.1", 7)
        .serves("a=10.0.0.1:80 a=10.0.0.2:80");
    sim.at(6_999).asked("").at(7_000).asked("a");
    // Bounded both ways.
    sim.found("a", "10.0.0.3", 0).serves("a=10.0.0.3:80");
    sim.at(7_999).asked("").at(8_000).asked("a");
    sim.found("a", "10.0.0.3", 1_000_000)
        .at(307_999)
        .asked("")
        .at(308_000)
        .asked("a");
}

#[test]
fn a_failure_keeps_the_last_good_answer_for_ever() {
    let mut sim = Sim::new(&nodes("a"));
    sim.asked("a").found("a", "10.0.0.1", 1).says("");
    for second in 1..4_000 {
        let asks = sim.at(second * 1_000).asked.take().len();
        assert!(asks <= 1, "one question at a time");
        if asks == 1 {
            sim.failed("a")
                .serves("a=10.0.0.1:80")
                .says("a: did not answer");
        }
    }
    sim.at(4_100_000)
        .found("a", "10.0.0.2", 9)
        .serves("a=10.0.0.2:80")
        .says("");
}

#[test]
fn failures_are_asked_again_within_the_backoff() {
    let mut sim = Sim::new(&nodes("a"));
    sim.asked("a");
    let mut ceiling = 1_000;
    for _ in 0..20 {
        sim.failed("a");
        let wait = sim.follow.wake_at().unwrap() - sim.now;
        assert!(
            wait <= Duration::from_millis(ceiling),
            "{wait:?} is more than {ceiling}"
        );
        let now = u64::try_from((sim.now + wait - sim.start).as_millis()).unwrap() + 1;
        sim.at(now).asked("a");
        ceiling = (ceiling * 2).min(30_000);
    }
}

#[test]
fn a_named_node_is_never_emptied() {
    let mut sim = Sim::new(&nodes("a"));
    sim.found("a", "10.0.0.1", 1);
    for second in 1..100 {
        sim.at(second * 5_000).nothing("a").serves("a=10.0.0.1:80");
    }
    sim.says("a: has no address any more; the last ones are kept");
    sim.found("a", "10.0.0.2", 1)
        .serves("a=10.0.0.2:80")
        .says("");
}

#[test]
fn one_name_disturbs_no_other() {
    let mut sim = Sim::new(&nodes("a b 10.0.0.9"));
    sim.asked("a b").serves("10.0.0.9=10.0.0.9:80");
    sim.found("a", "10.0.0.1", 100)
        .failed("b")
        .serves("10.0.0.9=10.0.0.9:80 a=10.0.0.1:80");
    sim.found("b", "10.0.0.2 10.0.0.3", 100);
    sim.serves("10.0.0.9=10.0.0.9:80 a=10.0.0.1:80 b=10.0.0.2:80 b=10.0.0.3:80");
    sim.failed("a").nothing("b").found("b", "10.0.0.3", 100);
    sim.serves("10.0.0.9=10.0.0.9:80 a=10.0.0.1:80 b=10.0.0.3:80");
}

#[test]
fn a_registrys_none_is_believed_after_a_while() {
    let mut sim = Sim::new(&dns_name());
    sim.found("web.example", "10.0.0.1", 1)
        .serves("web.example=10.0.0.1:8080");
    for second in 10..40 {
        // It is asked about every second.
        sim.at(second * 1_000).asked.take();
        sim.nothing("web.example")
            .serves("web.example=10.0.0.1:8080");
        sim.says("the registry says none; not yet believed");
        assert_eq!(sim.follow.wake_at(), Some(sim.now + Duration::from_secs(1)));
    }
    // Time alone proves nothing: the registry must still say so.
    sim.at(60_000).serves("web.example=10.0.0.1:8080");
    sim.nothing("web.example").serves("").says("");
    assert!(sim.saved.values().all(Kept::is_empty));
    sim.at(65_000)
        .found("web.example", "10.0.0.1", 1)
        .serves("web.example=10.0.0.1:8080");
}

#[test]
fn doubt_begins_anew_after_any_other_answer() {
    let mut sim = Sim::new(&dns_name());
    sim.found("web.example", "10.0.0.1", 1);
    sim.at(1_000).nothing("web.example");
    sim.at(20_000).failed("web.example");
    sim.at(25_000).nothing("web.example");
    sim.at(54_000)
        .nothing("web.example")
        .serves("web.example=10.0.0.1:8080");
    sim.found("web.example", "10.0.0.1", 1)
        .says("")
        .serves("web.example=10.0.0.1:8080");
    sim.at(60_000).nothing("web.example");
    sim.at(89_999)
        .nothing("web.example")
        .serves("web.example=10.0.0.1:8080");
    sim.at(90_000).nothing("web.example").serves("");
}

#[test]
fn fewer_but_some_is_followed_at_once() {
    let mut sim = Sim::new(&dns_name());
    sim.found("web.example", "10.0.0.1 10.0.0.2 2001:db8::1", 1);
    sim.found("web.example", "10.0.0.2", 1)
        .serves("web.example=10.0.0.2:8080");
}

#[test]
fn none_from_the_start_is_an_answer() {
    let mut sim = Sim::new(&dns_name());
    sim.nothing("web.example").serves("").says("");
    assert!(sim.follow.is_ready());
    sim.asked("web.example").at(5_000).asked("web.example");
}

#[test]
fn an_address_as_a_registrys_name_needs_no_asking() {
    let query = DnsQuery::Address {
        name: "10.0.0.1".parse().unwrap(),
        port: None,
    };
    Sim::new(&dns(query))
        .serves("10.0.0.1=10.0.0.1:80")
        .asked("");
}

#[test]
fn a_service_is_its_targets_addresses() {
    let mut sim = Sim::new(&dns_service());
    sim.asked("_web._tcp.example")
        .services("a b")
        .asked("a b")
        .serves("");
    assert!(!sim.follow.is_ready());
    sim.found("a", "10.0.0.1", 60)
        .found("b", "10.0.0.2", 60)
        .serves("a=10.0.0.1:80 b=10.0.0.2:80");
    // What stays is not asked again.
    sim.at(5_000)
        .asked("_web._tcp.example")
        .services("a")
        .asked("")
        .serves("a=10.0.0.1:80");
}

#[test]
fn exchanged_hosts_wait_for_each_other() {
    let mut sim = Sim::new(&dns_service());
    sim.services("a b")
        .found("a", "10.0.0.1", 600)
        .found("b", "10.0.0.2", 600);
    sim.at(5_000)
        .services("c d")
        .serves("a=10.0.0.1:80 b=10.0.0.2:80");
    sim.found("c", "10.0.0.3", 600)
        .serves("a=10.0.0.1:80 b=10.0.0.2:80");
    sim.found("d", "10.0.0.4", 600)
        .serves("c=10.0.0.3:80 d=10.0.0.4:80");
    // But not for long.
    sim.at(10_000)
        .services("c e")
        .serves("c=10.0.0.3:80 d=10.0.0.4:80");
    sim.at(10_999)
        .serves("c=10.0.0.3:80 d=10.0.0.4:80")
        .at(11_000)
        .serves("c=10.0.0.3:80");
    sim.found("e", "10.0.0.5", 600)
        .serves("c=10.0.0.3:80 e=10.0.0.5:80");
}

#[test]
fn hosts_that_fail_do_not_empty_a_service() {
    let mut sim = Sim::new(&dns_service());
    sim.services("a").found("a", "10.0.0.1", 600);
    sim.at(5_000)
        .services("b")
        .failed("b")
        .at(500_000)
        .failed("b")
        .serves("a=10.0.0.1:80");
    sim.says("b: did not answer");
    sim.found("b", "10.0.0.2", 600).serves("b=10.0.0.2:80");
}

#[test]
fn a_service_without_targets_is_doubted() {
    let gone = || {
        Event::Services(Answer::Nothing {
            name_exists: false,
            ttl: None,
        })
    };
    let mut sim = Sim::new(&dns_service());
    sim.services("a").found("a", "10.0.0.1", 600);
    sim.on(gone());
    sim.at(29_999).on(gone());
    sim.serves("a=10.0.0.1:80").at(30_000).on(gone());
    sim.serves("");
    // Targets without addresses are the same as no targets.
    let mut sim = Sim::new(&dns_service());
    sim.services("a b")
        .found("a", "10.0.0.1", 600)
        .found("b", "10.0.0.2", 600);
    sim.nothing("a")
        .serves("b=10.0.0.2:80")
        .nothing("b")
        .serves("b=10.0.0.2:80");
    sim.at(30_000).nothing("b").serves("");
}

#[test]
fn a_service_that_cannot_be_asked_for_is_not_empty() {
    let mut sim = Sim::new(&dns_service());
    sim.services("a").found("a", "10.0.0.1", 600);
    sim.on(Event::Services(Answer::Failed("no".to_owned())));
    sim.nothing("a")
        .at(60_000)
        .nothing("a")
        .serves("a=10.0.0.1:80");
    // From here on all is said.
    sim.services("a")
        .at(89_999)
        .nothing("a")
        .serves("a=10.0.0.1:80");
    sim.at(90_000).nothing("a").serves("");
}

#[test]
fn an_answer_for_a_host_that_left_is_ignored() {
    let mut sim = Sim::new(&dns_service());
    sim.services("a").found("a", "10.0.0.1", 600).services("b");
    sim.found("b", "10.0.0.2", 600)
        .found("a", "10.0.0.9", 600)
        .serves("b=10.0.0.2:80");
}

#[test]
fn what_was_kept_is_served_at_once() {
    let mut sim = Sim::new(&dns_service());
    sim.services("a b")
        .found("a", "10.0.0.1", 60)
        .found("b", "10.0.0.2", 60);
    let mut again = Sim::with_kept(&dns_service(), &sim.saved);
    assert!(again.follow.is_restored() && again.follow.is_ready());
    again
        .serves("a=10.0.0.1:80 b=10.0.0.2:80")
        .asked("_web._tcp.example a b");
    again.failed("a").services("a b").found("b", "10.0.0.2", 60);
    again.serves("a=10.0.0.1:80 b=10.0.0.2:80");
    assert!(again.follow.is_restored());
    again
        .found("a", "10.0.0.3", 60)
        .serves("a=10.0.0.3:80 b=10.0.0.2:80");
    assert!(!again.follow.is_restored());
}

#[test]
fn a_kept_node_is_found_whatever_its_binding_has_become() {
    let mut sim = Sim::new(&nodes("a b"));
    sim.found("a", "10.0.0.1", 60).found("b", "10.0.0.2", 60);
    let mut again = Sim::with_kept(&nodes("b c"), &sim.saved);
    again
        .serves("b=10.0.0.2:80")
        .nothing("b")
        .serves("b=10.0.0.2:80");
    assert!(again.follow.is_restored());
}

#[test]
fn what_is_kept_is_doubted_like_what_was_seen() {
    let mut sim = Sim::new(&dns_name());
    sim.found("web.example", "10.0.0.1", 60);
    let mut again = Sim::with_kept(&dns_name(), &sim.saved);
    again
        .nothing("web.example")
        .serves("web.example=10.0.0.1:8080");
    again.at(30_000).nothing("web.example").serves("");
    Sim::with_kept(&dns_name(), &again.saved).serves("");
}

/// One answer about a name.
#[derive(Clone, Debug)]
enum Said {
    Some(Vec<u8>),
    Nothing,
    Failed,
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        2 => prop::collection::vec(1u8..5, 1..4).prop_map(Said::Some),
        3 => Just(Said::Nothing),
        1 => Just(Said::Failed),
    ]
}

fn tell(sim: &mut Sim, name: &str, said: &Said) {
    match said {
        Said::Some(last) => {
            let addresses: Vec<_> = last.iter().map(|last| format!("10.0.0.{last}")).collect();
            sim.found(name, &addresses.join(" "), 1);
        }
        Said::Nothing => drop(sim.nothing(name)),
        Said::Failed => drop(sim.failed(name)),
    }
}

fn addresses(sim: &Sim) -> Vec<String> {
    let mut addresses: Vec<_> = sim
        .published
        .iter()
        .map(|it| it.address.ip().to_string())
        .collect();
    addresses.sort();
    addresses
}

fn sorted(last: &[u8]) -> Vec<String> {
    let mut last = last.to_vec();
    last.sort_unstable();
    last.dedup();
    last.iter().map(|last| format!("10.0.0.{last}")).collect()
}

proptest! {
    /// A registry's name against the rule as a person would say it.
    #[test]
    fn a_registry_is_believed_as_the_rule_says(
        story in prop::collection::vec((0u64..20, said()), 1..40),
    ) {
        let mut sim = Sim::new(&dns_name());
        let mut history: Vec<(u64, Said)> = Vec::new();
        let (mut now, mut expect) = (0, Vec::new());
        for (wait, said) in story {
            now += wait;
            sim.at(now * 1_000);
            tell(&mut sim, "web.example", &said);
            history.push((now, said.clone()));
            let nothing = |(_, said): &&(u64, Said)| matches!(said, Said::Nothing);
            match said {
                Said::Some(last) => expect = sorted(&last),
                Said::Failed => {}
                // Said, and nothing else said, for as long as it takes.
                Said::Nothing => {
                    let since = history.iter().rev().take_while(nothing).last();
                    if since.is_some_and(|(since, _)| now - since >= 30) {
                        expect.clear();
                    }
                }
            }
            prop_assert_eq!(addresses(&sim), expect.clone());
        }
    }

    /// Named nodes: each name's last good answer, whatever becomes of the others.
    #[test]
    fn named_nodes_have_their_last_good_answers(
        story in prop::collection::vec((0u64..20, 0usize..3, said()), 1..40),
    ) {
        let names = ["a", "b", "c"];
        let mut sim = Sim::new(&nodes("a b c"));
        names.iter().for_each(|name| tell(&mut sim, name, &Said::Failed));
        let (mut now, mut good) = (0, [const { Vec::new() }; 3]);
        for (wait, name, said) in story {
            now += wait;
            sim.at(now * 1_000);
            tell(&mut sim, names[name], &said);
            if let Said::Some(last) = said {
                good[name] = sorted(&last);
            }
            let mut expect: Vec<_> = good.iter().flatten().cloned().collect();
            expect.sort();
            prop_assert_eq!(addresses(&sim), expect);
            let mut again = Sim::with_kept(&nodes("a b c"), &sim.saved);
            prop_assert_eq!(&sim.published, &again.serves(&show(&sim.published)).published);
        }
    }

    /// Whatever is said in whatever order, a service with endpoints loses the last of them only
    /// when there have been none for as long as "none" is doubted; and the next look is never in
    /// the past.
    #[test]
    fn a_service_is_not_emptied_in_a_hurry(
        story in prop::collection::vec((0u64..5_000, 0usize..4, said()), 1..80),
    ) {
        let mut sim = Sim::new(&dns_service());
        let (mut now, mut last_some) = (0, 0);
        for (wait, subject, said) in story {
            now += wait;
            sim.at(now);
            let served = !sim.published.is_empty();
            match (subject, said) {
                (0, Said::Some(last)) => {
                    let targets: Vec<_> = last.iter().map(|it| format!("t{it}")).collect();
                    sim.services(&targets.join(" "));
                }
                (0, Said::Nothing) => {
                    sim.on(Event::Services(Answer::Nothing { name_exists: true, ttl: None }));
                }
                (0, Said::Failed) => sim.on(Event::Services(Answer::Failed("no".to_owned()))),
                (host, said) => tell(&mut sim, &format!("t{host}"), &said),
            }
            if !expand(sim.follow.places()).0.is_empty() {
                last_some = now;
            }
            if served && sim.published.is_empty() {
                prop_assert!(now - last_some >= 30_000);
            }
            prop_assert!(sim.follow.wake_at().is_none_or(|wake| wake >= sim.now));
        }
    }
}
