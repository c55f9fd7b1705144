use super::*;

const OWN: (&str, &str) = ("own", "s");
const ALL: (&str, &str) = ("all", "s");
const NEXT: (&str, &str) = ("next", "s");

fn place((group, service): (&str, &str)) -> Place {
    (group.to_owned(), service.to_owned())
}

/// A world that grows by calls which all take place.
#[derive(Default)]
struct World {
    calls: Vec<Call>,
    seen: Seen,
}

impl World {
    fn operation(&mut self, mark: u32, kind: &'static str, at: &[(&str, &str)], brings: Brings) {
        let id = format!("operation-{mark}");
        let places: BTreeSet<_> = at.iter().map(|at| place(*at)).collect();
        let mut touches = Vec::new();
        for place in &places {
            let runs = |place: &Place| self.seen.running[place].0.clone();
            let version = match &brings {
                Brings::Own => version(mark),
                Brings::Of(source) => runs(source),
                Brings::Kept => runs(place),
            };
            let revision = self.seen.revisions.entry(place.0.clone()).or_default();
            *revision += 1;
            touches.push(Touch {
                place: place.clone(),
                version: version.clone(),
                mark,
                revision: *revision,
            });
            let entry = Entry {
                operation: id.clone(),
                version: version.clone(),
                mark,
            };
            let history = self.seen.history.entry(place.clone()).or_default();
            history.insert(0, entry);
            self.seen
                .running
                .insert(place.clone(), (version.clone(), mark));
            if kind == "publish" {
                let versions = self.seen.versions.entry(place.1.clone()).or_default();
                versions.insert(version);
            }
        }
        self.audit(kind, &targets(&touches), Some(&id), None);
        self.seen
            .operations
            .insert(id.clone(), (kind.to_owned(), touches));
        self.calls.push(Call {
            mark,
            effect: Effect::Operation {
                kind,
                places,
                brings,
            },
            outcome: Outcome::Answered(Some(id)),
        });
    }

    fn plain(&mut self, mark: u32, action: &'static str, target: &str, moves: Option<&str>) {
        self.audit(action, target, None, Some(mark));
        self.seen.titles.insert(target.to_owned(), mark);
        if let Some(group) = moves {
            *self.seen.revisions.entry(group.to_owned()).or_default() += 1;
        }
        self.calls.push(Call {
            mark,
            effect: Effect::Plain {
                action,
                target: target.to_owned(),
                moves: moves.map(str::to_owned),
            },
            outcome: Outcome::Answered(None),
        });
    }

    fn audit(&mut self, action: &str, target: &str, operation: Option<&str>, mark: Option<u32>) {
        let entry = Audit {
            action: action.to_owned(),
            target: target.to_owned(),
            operation: operation.map(str::to_owned),
            mark,
        };
        self.seen.audit.insert(0, entry);
    }

    fn entries(&mut self, at: (&str, &str)) -> &mut Vec<Entry> {
        self.seen.history.get_mut(&place(at)).expect("it ran")
    }
}

/// Marks 1 to 7: one call of each kind, all answered.
fn world() -> World {
    let mut world = World::default();
    world.plain(1, "put service", "services/s", None);
    world.operation(2, "publish", &[OWN, ALL], Brings::Own);
    world.operation(3, "sync", &[NEXT], Brings::Of(place(OWN)));
    world.operation(4, "binding", &[NEXT], Brings::Kept);
    world.plain(
        5,
        "put registry",
        "gateway-groups/own/registries/r",
        Some("own"),
    );
    world.operation(6, "publish", &[OWN, ALL], Brings::Own);
    world.plain(7, "put service", "services/s", None);
    world
}

#[track_caller]
fn expect(world: &World, words: &[&str]) {
    let wrong = check(&world.calls, &world.seen);
    let found: BTreeSet<_> = wrong
        .iter()
        .filter_map(|sentence| sentence.split(':').next())
        .collect();
    assert_eq!(found, words.iter().copied().collect(), "{wrong:#?}");
}

/// What goes wrong, and the words that say it.
#[track_caller]
fn damaged(damage: impl FnOnce(&mut World), words: &[&str]) {
    let mut world = world();
    damage(&mut world);
    expect(&world, words);
}

#[test]
fn what_was_answered_and_is_there_is_right() {
    damaged(|_| {}, &[]);
}

#[test]
fn what_was_cut_off_is_there_or_not() {
    damaged(|world| world.calls[5].outcome = Outcome::Cut, &[]);
    // Mark 8 was cut off, and never happened.
    let never = |world: &mut World| {
        let mut call = world.calls[6].clone();
        (call.mark, call.outcome) = (8, Outcome::Cut);
        world.calls.push(call);
    };
    damaged(never, &[]);
}

#[test]
fn a_lost_answer_is_found() {
    let never = |world: &mut World| {
        let mut call = world.calls[6].clone();
        call.mark = 8;
        world.calls.push(call);
    };
    damaged(never, &["lost"]);
    // Lost with all that belongs to it, and the state as before it.
    let all = |world: &mut World| {
        world.seen.operations.remove("operation-6");
        world
            .seen
            .audit
            .retain(|it| it.operation.as_deref() != Some("operation-6"));
        for at in [OWN, ALL] {
            world.entries(at).remove(0);
            world.seen.running.insert(place(at), ("v2".to_owned(), 2));
            *world.seen.revisions.get_mut(at.0).expect("it has one") -= 1;
        }
        world
            .seen
            .versions
            .insert("s".to_owned(), ["v2".to_owned()].into());
    };
    damaged(all, &["lost"]);
}

#[test]
fn half_an_operation_is_found() {
    damaged(
        |world| drop(world.entries(ALL).remove(0)),
        &["half", "state"],
    );
    damaged(
        |world| drop(world.entries(NEXT).remove(1)),
        &["half", "version"],
    );
    damaged(|world| world.entries(OWN)[0].mark = 9, &["half", "state"]);
    damaged(
        |world| drop(world.seen.operations.remove("operation-4")),
        &["half", "lost", "revision"],
    );
    let audit = |world: &mut World| {
        world
            .seen
            .audit
            .retain(|it| it.operation.as_deref() != Some("operation-3"));
    };
    damaged(audit, &["half"]);
    damaged(|world| world.seen.audit[1].target.push('x'), &["half"]);
}

#[test]
fn a_lost_audit_entry_of_a_plain_resource_is_found() {
    damaged(|world| drop(world.seen.audit.remove(0)), &["lost", "state"]);
    damaged(
        |world| drop(world.seen.audit.remove(2)),
        &["lost", "state", "revision"],
    );
}

#[test]
fn what_happened_twice_is_found() {
    let twice = |world: &mut World| {
        world.operation(6, "publish", &[OWN, ALL], Brings::Own);
        let (kind, touches) = world.seen.operations["operation-6"].clone();
        world
            .seen
            .operations
            .insert("again".to_owned(), (kind, touches));
        world.calls.pop();
    };
    damaged(twice, &["doubled", "half", "order", "other", "revision"]);
    let audit = |world: &mut World| {
        let again = world.seen.audit[0].clone();
        world.seen.audit.insert(0, again);
    };
    damaged(audit, &["doubled", "order"]);
}

#[test]
fn what_nobody_asked_for_is_found() {
    damaged(|world| drop(world.calls.remove(3)), &["unasked"]);
    damaged(|world| drop(world.calls.remove(6)), &["unasked"]);
}

#[test]
fn another_effect_than_was_told_is_found() {
    let other = |world: &mut World| {
        world.calls[1].outcome = Outcome::Answered(Some("operation-9".to_owned()));
    };
    damaged(other, &["other"]);
}

#[test]
fn a_state_that_is_not_the_last_is_found() {
    let back = |world: &mut World| {
        let before = ("v2".to_owned(), 2);
        world.seen.running.insert(place(OWN), before);
    };
    damaged(back, &["state"]);
    damaged(
        |world| drop(world.seen.running.remove(&place(OWN))),
        &["state"],
    );
    let old = |world: &mut World| {
        world.seen.titles.insert("services/s".to_owned(), 1);
    };
    damaged(old, &["state"]);
    damaged(|world| world.seen.titles.clear(), &["state"]);
    damaged(|world| world.entries(OWN).reverse(), &["order", "state"]);
}

#[test]
fn revisions_and_versions_that_do_not_add_up_are_found() {
    let more = |world: &mut World| *world.seen.revisions.get_mut("own").expect("is there") += 1;
    damaged(more, &["revision"]);
    let used = |world: &mut World| {
        let versions = world.seen.versions.get_mut("s").expect("is there");
        versions.insert("v7".to_owned());
    };
    damaged(used, &["version"]);
    let wrong = |world: &mut World| {
        let (_, touches) = world
            .seen
            .operations
            .get_mut("operation-3")
            .expect("is there");
        "v6".clone_into(&mut touches[0].version);
        "v6".clone_into(&mut world.entries(NEXT)[1].version);
    };
    damaged(wrong, &["version"]);
}
