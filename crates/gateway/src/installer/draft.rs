//! A candidate, built: the table that would serve, and what would be installed with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ferryway_delivery::{Candidate, Service};
use ferryway_discovery::{Target, Unfollowable};
use ferryway_model::{Binding, Key, Name, Registry, Scheme, Sealed};
use ferryway_proto::{Fault, Stage};
use ferryway_proxy::{ProxyRoute, Table, Upstream, service_routes};
use ferryway_router::Change;
use ferryway_runtime::Random;

use super::content::{Content, ContentChanges, Identity, Link, Running};
use super::{Tools, fault};

/// A candidate, built. Costs what changes, and shares everything else with what is installed.
#[derive(Debug)]
pub(super) struct Draft {
    table: Table,
    changes: ContentChanges,
    new_links: Vec<Arc<Link>>,
}

type RouteChange = Change<Arc<ProxyRoute>>;

impl Draft {
    /// Builds a candidate upon what is installed.
    ///
    /// # Errors
    ///
    /// All faults at once.
    pub(super) fn build(
        candidate: &Candidate,
        content: &Content,
        table: &Table,
        tools: &Tools,
        random: &mut Random,
    ) -> Result<Self, Vec<Fault>> {
        let mut drafting = Drafting::new(candidate, content, tools, random);
        for changed in &candidate.services {
            match &changed.content {
                Some(service) => drafting.put(&changed.name, service),
                None => drafting.remove(&changed.name),
            }
        }
        if !candidate.registries.is_empty() {
            drafting.follow_changed_registries();
        }
        drafting.finish(table)
    }

    /// The table that would serve.
    pub(super) fn table(&self) -> &Table {
        &self.table
    }

    /// Upstreams that nothing installed has.
    pub(super) fn new_links(&self) -> impl Iterator<Item = &Link> {
        self.new_links.iter().map(Arc::as_ref)
    }

    pub(super) fn into_parts(self) -> (Table, ContentChanges) {
        (self.table, self.changes)
    }
}

struct Drafting<'d> {
    candidate: &'d Candidate,
    content: &'d Content,
    tools: &'d Tools,
    random: &'d mut Random,
    changes: ContentChanges,
    routes: Vec<RouteChange>,
    new_links: Vec<Arc<Link>>,
    faults: Vec<Fault>,
}

impl<'d> Drafting<'d> {
    fn new(
        candidate: &'d Candidate,
        content: &'d Content,
        tools: &'d Tools,
        random: &'d mut Random,
    ) -> Self {
        let registries = candidate.registries.iter();
        let registries = registries.map(|it| (it.name.clone(), it.content.clone()));
        Self {
            candidate,
            content,
            tools,
            random,
            changes: ContentChanges {
                registries: registries.collect(),
                services: BTreeMap::new(),
            },
            routes: Vec::new(),
            new_links: Vec::new(),
            faults: Vec::new(),
        }
    }

    fn finish(self, table: &Table) -> Result<Draft, Vec<Fault>> {
        if !self.faults.is_empty() {
            return Err(self.faults);
        }
        Ok(Draft {
            table: table.with(self.routes),
            changes: self.changes,
            new_links: self.new_links,
        })
    }

    fn remove(&mut self, name: &Name) {
        self.changes.services.insert(name.clone(), None);
        self.routes.push(Change::Remove(name.clone()));
    }

    fn put(&mut self, name: &Name, service: &Service) {
        if !service.enabled {
            self.routes.push(Change::Remove(name.clone()));
            return self.keep(name, service, None);
        }
        match self.link(name, service) {
            Ok(link) => self.route(name, service, link),
            Err(error) => self.unfollowable(name, &Key::service(name), &error),
        }
    }

    /// A registry that changes takes along the services that ask it and do not change themselves.
    fn follow_changed_registries(&mut self) {
        let content = self.content;
        for running in content.services() {
            let Some(before) = running.link.as_deref() else {
                continue;
            };
            let name = &running.name;
            let registry = running.binding.content.registry();
            let registry = registry.filter(|it| self.changes.registries.contains_key(*it));
            let Some(registry) = registry.filter(|_| !self.changes.services.contains_key(name))
            else {
                continue;
            };
            match self.target(&running.binding.content, before.scheme()) {
                Ok(target) if target == before.identity.target => {}
                Ok(_) => self.put_again(running),
                Err(error) => self.unfollowable(name, &Key::registry(registry), &error),
            }
        }
    }

    /// A service that stays what it was, with another upstream.
    fn put_again(&mut self, running: &Running) {
        match running.service() {
            Ok(service) => self.put(&running.name, &service),
            Err(problems) => {
                let key = Key::service(&running.name);
                self.faults.extend(problems.iter().map(|problem| {
                    let (code, path) = (problem.code.as_str(), &problem.path);
                    let target = &self.candidate.target;
                    fault(
                        target,
                        key.clone(),
                        Stage::Decode,
                        code,
                        path,
                        &problem.message,
                    )
                }));
            }
        }
    }

    fn route(&mut self, name: &Name, service: &Service, link: Arc<Link>) {
        let routes = service_routes(
            name,
            service.version.as_ref(),
            &service.definition.content,
            &service.binding.content,
            &link.upstream,
            &self.tools.metrics,
        );
        self.routes.push(Change::Put(routes));
        self.keep(name, service, Some(link));
    }

    fn keep(&mut self, name: &Name, service: &Service, link: Option<Arc<Link>>) {
        let running = Some(Arc::new(Running::new(name, service, link)));
        self.changes.services.insert(name.clone(), running);
    }

    /// The upstream that the service has, if that is the same; or a new one.
    fn link(&mut self, name: &Name, service: &Service) -> Result<Arc<Link>, Unfollowable> {
        let identity = self.identity(service)?;
        let before = self.content.service(name).and_then(|it| it.link.as_ref());
        if let Some(same) = before.filter(|link| link.identity == identity) {
            return Ok(Arc::clone(same));
        }
        let definition = &service.definition.content;
        let followed = self.tools.discovery.follow(identity.target.clone());
        let upstream = Upstream::new(
            &definition.upstream,
            service.binding.content.effective_scheme(definition),
            Arc::clone(followed.endpoints()),
            self.random.next_u64(),
        );
        let link = Arc::new(Link {
            identity,
            followed,
            upstream,
        });
        self.new_links.push(Arc::clone(&link));
        Ok(link)
    }

    fn identity(&self, service: &Service) -> Result<Identity, Unfollowable> {
        let (definition, binding) = (&service.definition.content, &service.binding.content);
        let scheme = binding.effective_scheme(definition);
        Ok(Identity {
            scheme,
            target: self.target(binding, scheme)?,
            load_balancing: definition.upstream.load_balancing,
            keepalive: definition.upstream.keepalive,
        })
    }

    fn target(&self, binding: &Binding, scheme: Scheme) -> Result<Target, Unfollowable> {
        let registry = binding.registry().and_then(|name| self.registry(name));
        let registry = registry.map(|it| &it.content);
        Target::of(binding, registry, scheme.default_port())
    }

    fn registry(&self, name: &Name) -> Option<&Arc<Sealed<Registry>>> {
        match self.changes.registries.get(name) {
            Some(changed) => changed.as_ref(),
            None => self.content.registry(name),
        }
    }

    fn unfollowable(&mut self, service: &Name, key: &Key, error: &Unfollowable) {
        let (code, path) = match error {
            Unfollowable::NoRegistry(_) => ("registry_missing", "binding.discovery.registry"),
            Unfollowable::Query { .. } => ("invalid", "binding.discovery"),
        };
        let detail = format!("the binding of service `{service}` cannot be followed: {error}");
        let target = &self.candidate.target;
        let fault = fault(target, key.clone(), Stage::Reference, code, path, &detail);
        self.faults.push(fault);
    }
}
