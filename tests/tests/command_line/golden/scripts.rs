//! What is typed. Each script begins with the groups that [`crate::site::Site`] has, a service
//! `carts` in the hub, and [`FILES`] in its folder.

use super::check;

/// A test for each script, and the list of them all.
macro_rules! scripts {
    ($($name:ident: $script:literal)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name), $script);
            }
        )*
        pub(super) const SCRIPTS: &[&str] = &[$($script),*];
    };
}

scripts! {
    groups: "
        group list
        group create production --title Production
        group create -f group.yaml
        group create test
        group create
        group list
        group list -l team=core
        group list -q nobody
        group get production
        group get production -o json
        group get none-such
        group edit production -f group.yaml
        group edit staging -f group.yaml
        group confirm-shrink test
        group delete test --yes
        group delete production --yes
        group delete production --yes
        group list -o yaml
    "
    instances: "
        instance list --in test
        instance list --in none-such
        instance get {instance} --in test
        instance get none-such --in test
        instance delete {instance} --in test --yes
        instance list
    "
    registries: "
        group create production
        registry list --in production
        registry create names --in production --kind dns --endpoint 127.0.0.1:53 --title Names
        registry create names --in production --kind dns
        registry create other --in production --kind consul
        registry create other --in production
        registry list --in production
        registry get names --in production
        registry edit names --in production -f registry.yaml
        registry list --in production -o json
        publish carts --version 1 --to production --discovery registry=names,service=carts.example
        registry delete names --in production --yes
        unpublish carts --in production --yes
        registry delete names --in production --yes
    "
    services: "
        service list
        service create -f orders.yaml
        service create -f orders.yaml
        service create -f wrong.yaml
        service create -f none-such.yaml
        service list
        service get orders
        service edit orders -f orders-2.yaml
        service edit orders -f orders-2.yaml --dry-run
        publish orders --version 1.0.0 --to test --node 127.0.0.1:9
        service list --in test
        service get orders --in test
        service get orders@1.0.0
        service get orders@9
        service versions orders
        service edit orders --in test -f orders.yaml
        service edit orders --in test -f edited.yaml --dry-run
        service edit orders --in test -f edited.yaml
        service history orders --in test
        service delete orders --yes
        service delete carts --yes
    "
    trade: "
        group create production
        publish carts --version 1.0.0 --to test --node 127.0.0.1:9 --dry-run
        publish carts --version 1.0.0 --to test --node 127.0.0.1:9
        sync carts --from test --to production --node 127.0.0.1:9 --dry-run
        sync carts --from test --to production --node 127.0.0.1:9
        sync carts --from test --to production
        service edit carts -f carts-2.yaml
        publish carts --version 1.1.0 --to test
        diff carts test production
        diff carts test production --exit-code
        diff test production
        diff carts@1.0.0 carts@1.1.0
        status
        status carts
        status none-such
        rollback carts --in test --to 1.0.0 --dry-run
        rollback carts --in test --to 1.0.0
        diff carts test production --exit-code
        bind carts --in test --node 127.0.0.1:10 --dry-run
        bind carts --in test --node 127.0.0.1:10
        bind carts --in test
        disable carts --in test
        status
        enable carts --in test
        enable carts --in test
        unpublish carts --in test --dry-run
        unpublish carts --in test --yes
        status -o json
    "
    operations: "
        operation list
        publish carts --version 1.0.0 --to test --node 127.0.0.1:9 -o yaml
        operation list
        operation list --limit 0
        operation get {operation}
        operation watch {operation}
        operation pause {operation}
        operation resume {operation}
        operation abort {operation}
        operation get 01973000-0000-7000-8000-000000000000
        audit list
        audit list --limit 1 -o json
    "
    rejected: "
        service create -f checked.yaml
        publish checked --version 1.0.0 --to test --node {upstream} --no-wait
        operation watch {operation}
        operation get {operation} -o yaml
        status checked
        instance list --in test
    "
    too_late: "
        service create -f checked.yaml
        publish checked --version 1.0.0 --to test --node {upstream} --timeout 1ms
    "
    tokens: "
        token list
        token create ci --scope read
        token create deploy --scope root
        token list
        token list --token fw_this-is-no-token-of-anybody
        token delete {token} --yes
        token delete 01973000-0000-7000-8000-000000000000 --yes
        token list-join --group test
        token create-join --group test --expires-in 1h
        token create-join --group none
        token list-join --group test
        token delete-join {join} --group test --yes
        token delete-join 01973000-0000-7000-8000-000000000000 --group test --yes
    "
    contexts: "
        context list
        context add here --server {server}
        context add there --server nonsense
        context add there --server http://127.0.0.1:1 --token secret
        context list
        context use there
        context use none-such
        context list -o json
        context remove here
        context remove here
    "
    files: "
        validate -f all.yaml
        validate -f wrong.yaml
        validate -f all.yaml wrong.yaml
        diff -f all.yaml --exit-code
        apply -f all.yaml --dry-run
        apply -f all.yaml --yes
        apply -f all.yaml --yes
        diff -f all.yaml --exit-code
        apply -f refused.yaml --yes
        apply -f wrong.yaml --yes
        apply -f none-such.yaml
        dump
        dump --group production
        dump -f out
        apply -f less.yaml --prune team=core --dry-run
        apply -f less.yaml --prune team=core --yes
        apply -f less.yaml --prune team=core --yes -o yaml
    "
    imports: "
        import openapi api.yaml
        import openapi api.yaml --document
        import openapi api.yaml --name pets --create
        import openapi orders.yaml
    "
    refused: "
        publish carts --version 1.0.0 --to test
        publish carts --version 1.0.0 --to none-such --node 127.0.0.1:9
        publish none-such --version 1 --to test --node 127.0.0.1:9
        publish carts --version 1.0.0 --to test --node 127.0.0.1:9
        publish carts --version 1.0.0 --to test --dry-run
        publish carts --version 2 --to test --waves 1,100%
        sync carts --from test --to test
        rollback carts --in test --to 9
        bind none-such --in test --node 127.0.0.1:9
        enable none-such --in test
        disable none-such --in test
        unpublish none-such --in test --yes
        publish carts --version 1.0.0 --to test -o json
    "
    usage: "
        none-such
        publish carts
        publish carts --version 1/2 --to test
        sync carts --from test
        rollback carts --in test
        group
        group list -o xml
        apply
        diff one
        bind carts --in test --node a:b
        completions
        demo --ports-from 0
        status --server http://127.0.0.1:1
        status --server nonsense
        man out
        completions bash --help
    "
    shells: "
        completions fish
        man
    "
}

/// The files that scripts name.
pub(super) const FILES: &[(&str, &str)] = &[
    (
        "group.yaml",
        "name: staging\ntitle: Staging\nlabels: {team: core}\n",
    ),
    (
        "registry.yaml",
        "kind: dns\ntitle: Other names\nendpoints: ['127.0.0.1:54']\n",
    ),
    ("orders.yaml", ORDERS),
    (
        "orders-2.yaml",
        "name: orders\nroutes: [{name: all, paths: [/orders]}, {name: one, paths: ['/orders/{id}']}]\n",
    ),
    (
        "carts-2.yaml",
        "name: carts\nroutes: [{name: all, paths: [/carts, /baskets]}]\n",
    ),
    (
        "wrong.yaml",
        "kind: service\nname: orders\nroutes:\n  - name: all\n    path: /x\n",
    ),
    (
        "checked.yaml",
        "name: checked\nroutes: [{name: all, paths: [/silent]}]\nchecks:\n  - name: answers\n    \
         path: /silent\n    expect: {status: 200}\nupstream: {timeout: {read: 1s}}\n",
    ),
    (
        "edited.yaml",
        "name: orders\nroutes: [{name: all, paths: [/edited]}]\n",
    ),
    ("all.yaml", ALL),
    (
        "refused.yaml",
        "kind: published_service\ngroup: production\nservice: none-such\nversion: 1.0.0\n",
    ),
    (
        "less.yaml",
        "kind: gateway_group\nname: production\ntitle: Production\nlabels: {team: core}\n",
    ),
    (
        "api.yaml",
        "openapi: 3.1.0\ninfo: {title: Pet Store}\nservers: [{url: /v1}]\npaths:\n  \
         /pets/{petId}:\n    get: {operationId: showPet}\n  /pets.{format}:\n    get: {}\n",
    ),
];

const ORDERS: &str = "
name: orders
title: All the orders
labels: {team: core}
routes:
  - name: all
    paths: [/orders]
";

const ALL: &str = "
kind: gateway_group
name: production
title: Production
labels: {team: core}
---
kind: registry
group: production
name: names
type: dns
endpoints: ['127.0.0.1:53']
---
kind: service
name: orders
labels: {team: core}
routes:
  - name: all
    paths: [/orders]
---
kind: published_service
group: production
service: orders
version: 1.0.0
binding: {nodes: [{host: 127.0.0.1, port: 9}]}
---
kind: published_service
group: test
service: orders
version: 1.0.0
binding: {nodes: [{host: 127.0.0.1, port: 9}]}
";
