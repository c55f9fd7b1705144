//! The plan's digest.

use super::*;

#[test]
fn a_plan_that_is_not_the_expected_one_has_the_digest_that_can_be_expected_next() {
    let request = sync(None, None, vec![to("production", Some("p"))]);
    let mut planned = plan(&request, &small()).expect("is a plan");
    let digest = planned.digest();
    let changed = Problem::new(Code::PlanChanged, "expect_plan", "look again");
    planned.problems.push(changed);
    assert_eq!(planned.digest(), digest);
}

#[test]
fn the_plan_digest_moves_with_what_it_says_only() {
    let mut small = small();
    let request = sync(None, None, vec![to("production", Some("p"))]);
    let digest = |small: &Small| plan(&request, small).expect("is a plan").digest();
    let first = digest(&small);
    small.instances.clear();
    let with_warning = digest(&small);
    assert_ne!(
        first, with_warning,
        "no_instances is a problem that the caller hasn't seen"
    );
    small.instances = self::small().instances;
    small
        .instances
        .get_mut(&name("production"))
        .expect("is there")[0]
        .id = "other".into();
    assert_eq!(first, digest(&small));
    small.running.insert(
        (name("test"), name("a")),
        running(Some("1.0.1"), &definition("a", "/n"), "t"),
    );
    assert_ne!(first, digest(&small));
}
