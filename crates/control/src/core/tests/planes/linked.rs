//! Presence over links: an instance stands on all control planes as it does where it is connected.

use ferryway_api::DeliveryState::{self, Applied, Offline, Pending, Rejected};

use super::super::operations::check;
use super::super::puppet::{Puppet, check_failed};
use super::*;

/// Tells one control plane what another one's instances do, as a link would.
struct Link {
    from: Core,
    plane: Uuid,
    cursor: u64,
    number: u64,
}

impl Link {
    fn new(from: &House, number: u64) -> Self {
        let plane = from.core.read(|memory| memory.tracker.plane());
        Self {
            from: from.core.clone(),
            plane: plane.expect("has others beside it"),
            cursor: 0,
            number,
        }
    }

    /// Carries over everything that there is.
    fn carry(&mut self, to: &House) {
        let last = *self.from.told().borrow();
        while self.cursor < last {
            let (reports, cursor) = self.from.reports_after(self.cursor);
            to.core.relayed(self.plane, self.number, reports);
            self.cursor = cursor;
        }
        to.core.followed(self.plane, self.number);
    }
}

/// Whether an operation stands so on a control plane.
fn is_so(
    house: &House,
    operation: &Operation,
    state: OperationState,
    expect: &[DeliveryState],
) -> bool {
    let id = operation.operation.expect("is a real one");
    house.core.read(|memory| {
        let now = memory.operations.get(&id);
        now.is_some_and(|now| {
            let all = now.destinations.iter().flat_map(|it| &it.instances);
            now.state == state && all.map(|it| it.state).eq(expect.iter().copied())
        })
    })
}

/// Waits until an operation stands so on a control plane.
async fn stands(
    house: &House,
    operation: &Operation,
    state: OperationState,
    expect: &[DeliveryState],
) {
    const WITHIN: Duration = Duration::from_secs(30);
    let mut said = house.core.read(|memory| memory.tracker.listen());
    let reached = tokio::time::timeout(WITHIN, async {
        while !is_so(house, operation, state, expect) {
            said.changed().await.expect("the control plane is there");
        }
    });
    if reached.await.is_err() {
        check(house, operation, state, expect);
    }
}

fn online(house: &House) -> usize {
    house.core.read(|memory| {
        let all = memory.instances.values().flatten();
        all.filter(|(_, instance)| instance.is_online()).count()
    })
}

#[tokio::test]
async fn an_operation_made_at_one_ends_by_what_instances_of_another_say() {
    let (one, two) = two(Engine::Embedded).await;
    let mut link = Link::new(&two, 1);
    let mut back = Link::new(&one, 1);
    let (near, far) = (Puppet::joins(&one, "test"), Puppet::joins(&two, "test"));
    link.carry(&one);
    back.carry(&two);
    assert_eq!((online(&one), online(&two)), (2, 2));

    let operation = one.publish("1", &["test"]).await.expect("is published");
    catches_up(&two, &one).await;
    let mut states = [Pending, Pending];
    stands(&two, &operation, OperationState::Progressing, &states).await;
    near.applies();
    back.carry(&two);
    let place = |id: Uuid| {
        let instances = &operation.destinations[0].instances;
        instances
            .iter()
            .position(|it| it.id == id.to_string())
            .expect("is waited for")
    };
    states[place(near.peer.instance)] = Applied;
    stands(&two, &operation, OperationState::Progressing, &states).await;
    far.applies();
    link.carry(&one);
    let both = [Applied, Applied];
    for house in [&one, &two] {
        stands(house, &operation, OperationState::Succeeded, &both).await;
    }
    // One end, the same everywhere, stored once.
    let id = operation.operation.expect("is a real one");
    let ends = [&one, &two].map(|house| house.core.read(|memory| memory.operations[&id].clone()));
    assert_eq!(ends[0], ends[1]);

    // A rejection is told with its evidence, and what warns too.
    let operation = one.publish("2", &["test"]).await.expect("is published");
    catches_up(&two, &one).await;
    far.warns(None);
    near.rejects("a");
    far.applies();
    link.carry(&one);
    back.carry(&two);
    states = [Applied, Applied];
    states[place(near.peer.instance)] = Rejected;
    stands(&one, &operation, OperationState::Progressing, &states).await;
    far.warns(Some(vec![check_failed("a")]));
    link.carry(&one);
    for house in [&one, &two] {
        stands(house, &operation, OperationState::Failed, &states).await;
        let id = operation.operation.expect("is a real one");
        let now = house.core.read(|memory| memory.operations[&id].clone());
        for instance in &now.destinations[0].instances {
            assert_eq!(instance.code.as_deref(), Some("check_failed"));
            assert!(instance.evidence.is_some());
        }
    }
}

#[tokio::test]
async fn an_instance_that_moves_is_where_it_dialled_last() {
    let (one, two) = two(Engine::Embedded).await;
    let three = one.beside().await;
    let [mut one_to_two, mut one_to_three] = [(); 2].map(|()| Link::new(&one, 1));
    let [mut two_to_one, mut two_to_three] = [(); 2].map(|()| Link::new(&two, 1));
    let old = Puppet::joins(&one, "test");
    one_to_three.carry(&three);
    let newer = old.again_at(&two, 2);
    // The old stream's end is seen late, and told late, and a link begins anew before it.
    two_to_three.carry(&three);
    Link::new(&one, 2).carry(&three);
    one_to_two.carry(&two);
    two_to_one.carry(&one);
    old.leaves();
    one_to_three.carry(&three);
    one_to_two.carry(&two);
    for house in [&one, &two, &three] {
        assert_eq!(online(house), 1);
    }
    newer.leaves();
    two_to_one.carry(&one);
    two_to_three.carry(&three);
    for house in [&one, &two, &three] {
        assert_eq!(online(house), 0);
    }
}

#[tokio::test]
async fn what_is_not_told_again_after_a_link_was_down_is_gone() {
    let (one, two) = two(Engine::Embedded).await;
    let (stays, goes) = (Puppet::joins(&two, "test"), Puppet::joins(&two, "test"));
    let mut link = Link::new(&two, 1);
    link.carry(&one);
    let operation = one.publish("1", &["test"]).await.expect("is published");
    one.core.unfollowed(link.plane);
    assert_eq!(online(&one), 2, "what was known stays");
    goes.leaves();
    two.core
        .delete_instance(&actor(), &named("test"), &goes.peer.instance.to_string())
        .await
        .expect("is offline");
    stays.applies();
    let mut link = Link::new(&two, 2);
    link.carry(&one);
    assert_eq!(online(&one), 1);
    let place = operation.destinations[0].instances[0].id == goes.peer.instance.to_string();
    let states = if place {
        [Offline, Applied]
    } else {
        [Applied, Offline]
    };
    for house in [&one, &two] {
        stands(house, &operation, OperationState::Succeeded, &states).await;
    }
}

#[tokio::test]
async fn of_a_control_plane_that_is_gone_instances_get_a_while_to_arrive_elsewhere() {
    let (one, two) = two(Engine::Embedded).await;
    let three = one.beside().await;
    let mut link = Link::new(&two, 1);
    let (moves, lost) = (Puppet::joins(&two, "test"), Puppet::joins(&two, "test"));
    link.carry(&one);
    link.carry(&three);
    // Its operation is left to the others.
    let operation = two.publish("1", &["test"]).await.expect("is published");
    catches_up(&one, &two).await;
    let frozen = Frozen::now();
    let is_alone = |house: &House| house.core.read(|memory| memory.planes.len() == 1);
    assert!(two.tasks.stop(Duration::from_secs(5)).await);
    frozen
        .until(&one, || is_alone(&one) && is_alone(&three))
        .await;
    assert_eq!(online(&one), 2);
    let moved = moves.again_at(&one, 2);
    moved.applies();
    let mut from_one = Link::new(&one, 1);
    from_one.carry(&three);
    let place = operation.destinations[0].instances[0].id == lost.peer.instance.to_string();
    let states = if place {
        [Offline, Applied]
    } else {
        [Applied, Offline]
    };
    let ended = |house: &House| is_so(house, &operation, OperationState::Succeeded, &states);
    let is_settled = |house: &House| ended(house) && online(house) == 1;
    let took = frozen.until(&one, || is_settled(&one) && is_settled(&three));
    let took = took.await;
    assert!((15..=18).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn an_operation_whose_control_plane_does_not_say_so_is_ended_by_another() {
    let (one, two) = two(Engine::Embedded).await;
    let near = Puppet::joins(&two, "test");
    let mut link = Link::new(&two, 1);
    link.carry(&one);
    let operation = one.publish("1", &["test"]).await.expect("is published");
    catches_up(&two, &one).await;
    // It is not told: the link is cut, while both write to the store.
    let frozen = Frozen::now();
    near.applies();
    let ended = |house: &House| is_so(house, &operation, OperationState::Succeeded, &[Applied]);
    assert!(!ended(&two));
    let took = frozen.until(&one, || ended(&one) && ended(&two)).await;
    assert!((5..=8).contains(&took.as_secs()), "{took:?}");
}
