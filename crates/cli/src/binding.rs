//! Bindings: from flags to what the API takes, and from what it answers to text.

use ferryway_model::{Binding, Discovery, Node, Upstream};
use serde_json::{Value, json};

use crate::args::BindingArgs;
use crate::exit::Failure;

impl BindingArgs {
    /// The binding that the flags describe; none if they name no upstream.
    pub(crate) fn to_value(&self) -> Result<Option<Value>, Failure> {
        let mut binding = match (&self.nodes[..], &self.discovery) {
            ([], None) if self.hosts.is_empty() && self.scheme.is_none() => return Ok(None),
            ([], None) => {
                return Err(Failure::Usage(
                    "--host and --scheme are parts of a binding: give it with --node or \
                     --discovery, too"
                        .to_owned(),
                ));
            }
            ([], Some(found)) => {
                let mut discovery = json!({"registry": found.registry, "service": found.service});
                for (field, value) in [("namespace", &found.namespace), ("group", &found.group)] {
                    if let Some(value) = value {
                        discovery[field] = json!(value);
                    }
                }
                json!({"discovery": discovery})
            }
            (nodes, _) if nodes.iter().all(|node| node.weight == Some(0)) => {
                return Err(Failure::Usage(
                    "every --node has weight 0, so none would get requests; leave it out for one"
                        .to_owned(),
                ));
            }
            (nodes, _) => json!({"nodes": nodes.iter().map(node_value).collect::<Vec<_>>()}),
        };
        if !self.hosts.is_empty() {
            binding["hosts"] = json!(self.hosts);
        }
        if let Some(scheme) = &self.scheme {
            binding["scheme"] = json!(scheme);
        }
        Ok(Some(binding))
    }
}

fn node_value(node: &crate::args::NodeArg) -> Value {
    let mut value = json!({"host": node.host});
    for (field, number) in [("port", node.port), ("weight", node.weight)] {
        if let Some(number) = number {
            value[field] = json!(number);
        }
    }
    if let Some(priority) = node.priority {
        value["priority"] = json!(priority);
    }
    value
}

/// A binding for people: `httpbin.org:80 weight 100`. One that this program does not understand is
/// shown as it came.
pub(crate) fn text(binding: &Value) -> String {
    let Ok(sealed) = Binding::parse(binding) else {
        return binding.to_string();
    };
    let binding = sealed.content;
    let mut text = match &binding.upstream {
        Upstream::Nodes(nodes) => nodes.iter().map(node_text).collect::<Vec<_>>().join(", "),
        Upstream::Discovery(discovery) => discovery_text(discovery),
    };
    if let Some(hosts) = &binding.hosts {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        text.push_str(" for ");
        text.push_str(&hosts_text(&hosts));
    }
    if let Some(scheme) = binding.scheme {
        text.push_str(" over ");
        text.push_str(scheme.as_str());
    }
    text
}

/// Hosts for people.
pub(crate) fn hosts_text(hosts: &[String]) -> String {
    if hosts.is_empty() {
        "any host".to_owned()
    } else {
        hosts.join(", ")
    }
}

/// The flags that make this binding; none if no flags can.
pub(crate) fn flags(binding: &Value) -> Option<String> {
    let binding = Binding::parse(binding).ok()?.content;
    let mut flags = match &binding.upstream {
        Upstream::Nodes(nodes) => {
            let nodes: Vec<_> = nodes.iter().map(node_flag).collect();
            nodes.join(" ")
        }
        Upstream::Discovery(discovery) => discovery_flag(discovery)?,
    };
    match binding.hosts.as_deref() {
        None => {}
        // There is no flag for "any host, whatever the version says".
        Some([]) => return None,
        Some(hosts) => {
            let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
            flags.push_str(&format!(" --host '{}'", hosts.join(",")));
        }
    }
    if let Some(scheme) = binding.scheme {
        flags.push_str(&format!(" --scheme {}", scheme.as_str()));
    }
    Some(flags)
}

fn node_text(node: &Node) -> String {
    let Node {
        port,
        weight,
        priority,
        ..
    } = node;
    let mut text = host_text(node);
    if let Some(port) = port {
        text.push_str(&format!(":{port}"));
    }
    text.push_str(&format!(" weight {weight}"));
    if *priority != 0 {
        text.push_str(&format!(" priority {priority}"));
    }
    text
}

fn node_flag(node: &Node) -> String {
    let mut flag = format!("--node {}", host_text(node));
    if let Some(port) = node.port {
        flag.push_str(&format!(":{port}"));
    }
    match (node.weight, node.port, node.priority) {
        (WEIGHT_DEFAULT, ..) => {}
        (weight, Some(_), 0) => flag.push_str(&format!(":{weight}")),
        (weight, ..) => flag.push_str(&format!(",weight={weight}")),
    }
    if node.priority != 0 {
        flag.push_str(&format!(",priority={}", node.priority));
    }
    flag
}

fn host_text(node: &Node) -> String {
    let host = node.host.to_string();
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host
    }
}

fn discovery_text(discovery: &Discovery) -> String {
    let Discovery {
        registry,
        namespace,
        group,
        service,
    } = discovery;
    let mut text = format!("{service}");
    for (what, value) in [("namespace", namespace), ("group", group)] {
        if let Some(value) = value {
            text.push_str(&format!(" {what} {value}"));
        }
    }
    format!("{text} from {registry}")
}

fn discovery_flag(discovery: &Discovery) -> Option<String> {
    let Discovery {
        registry,
        namespace,
        group,
        service,
    } = discovery;
    let mut flag = format!("--discovery registry={registry}");
    for (key, value) in [("namespace", namespace), ("group", group)] {
        if let Some(value) = value {
            flag.push_str(&format!(",{key}={value}"));
        }
    }
    flag.push_str(&format!(",service={service}"));
    // A comma in a registry's own names, or what a shell would take for its own.
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.:=,@/ ".contains(c);
    let commas = 1 + usize::from(namespace.is_some()) + usize::from(group.is_some());
    let whole = flag.matches(',').count() == commas && flag.chars().all(plain);
    whole.then_some(flag)
}

const WEIGHT_DEFAULT: u16 = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Arguments;
    use crate::args::Command;
    use clap::Parser as _;

    /// What `flags` make, as the API's JSON.
    fn made(flags: &str) -> Result<Option<Value>, String> {
        let line = format!("ferryway bind s --in g {flags}").replace('\'', "");
        let arguments = Arguments::try_parse_from(line.split_whitespace())
            .map_err(|error| error.to_string())?;
        let Command::Bind(bind) = arguments.command else {
            panic!("not a bind: {line}");
        };
        bind.binding.to_value().map_err(|error| error.to_string())
    }

    #[track_caller]
    fn check(flags: &str, value: &Value, shown: &str) {
        let made = made(flags)
            .expect("these flags go together")
            .expect("a binding");
        assert_eq!(&made, value, "{flags}");
        assert_eq!(text(value), shown);
        assert_eq!(
            super::flags(value).as_deref(),
            Some(flags),
            "from {value} and back"
        );
    }

    #[test]
    fn flags_make_bindings_and_bindings_make_flags() {
        check(
            "--node httpbin.org:80",
            &json!({"nodes": [{"host": "httpbin.org", "port": 80}]}),
            "httpbin.org:80 weight 100",
        );
        check(
            "--node [::1]:80:5 --node b --host 'a.example,*.b.example'",
            &json!({
                "nodes": [{"host": "::1", "port": 80, "weight": 5}, {"host": "b"}],
                "hosts": ["a.example", "*.b.example"],
            }),
            "[::1]:80 weight 5, b weight 100 for a.example, *.b.example",
        );
        check(
            "--node a:80,weight=5,priority=1 --node b,priority=-1 --node c,weight=7",
            &json!({"nodes": [
                {"host": "a", "port": 80, "weight": 5, "priority": 1},
                {"host": "b", "priority": -1},
                {"host": "c", "weight": 7},
            ]}),
            "a:80 weight 5 priority 1, b weight 100 priority -1, c weight 7",
        );
        check(
            "--discovery registry=dns,namespace=svc.example,service=_http._tcp --scheme http",
            &json!({
                "discovery": {
                    "registry": "dns", "namespace": "svc.example", "service": "_http._tcp",
                },
                "scheme": "http",
            }),
            "_http._tcp namespace svc.example from dns over http",
        );
    }

    #[test]
    fn what_no_flags_can_say_has_none() {
        for binding in [
            json!({"nodes": [{"host": "a"}], "hosts": []}),
            json!({"discovery": {"registry": "r", "service": "a,b"}}),
            json!({"discovery": {"registry": "r", "service": "$HOME"}}),
            json!({"consul": {}}),
        ] {
            assert_eq!(flags(&binding), None, "{binding}");
        }
    }

    #[test]
    fn what_is_not_understood_is_shown_as_it_is() {
        assert_eq!(text(&json!({"consul": {}})), r#"{"consul":{}}"#);
        let any = json!({"nodes": [{"host": "a", "port": 1, "priority": -1}], "hosts": []});
        assert_eq!(text(&any), "a:1 weight 100 priority -1 for any host");
    }

    #[test]
    fn no_upstream_is_no_binding() {
        assert_eq!(made(""), Ok(None));
        assert!(made("--host a").is_err_and(|error| error.contains("--node")));
        let unused = made("--node a:1:0 --node b,weight=0");
        assert!(unused.is_err_and(|error| error.contains("weight 0")));
        assert!(made("--node a --discovery registry=r,service=s").is_err());
    }
}
