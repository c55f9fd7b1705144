//! Machines of a test's own: network namespaces on a bridge, which can be cut off from each other.
//!
//! A test that wants them runs [`apart`]: in a process of its own, in a network of its own, so that
//! nothing of it is seen from outside, nothing is left behind however it ends, and it need not be
//! root's (where the kernel gives user namespaces to everybody).

use std::env;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};
use std::thread;

/// Set in the process that runs apart.
const INSIDE: &str = "FERRYWAY_TEST_APART";
/// What the test process and its machines have their addresses of: for documentation, RFC 5737.
const NETWORK: [u8; 3] = [192, 0, 2];
const BRIDGE: &str = "lan";
/// The interface of each machine.
const INTERFACE: &str = "eth0";
const MACHINES_MAX: u8 = 100;

/// Runs the body of the test that calls it in a process with a network of its own.
///
/// # Panics
/// When the test fails there, or `unshare` (util-linux) may not make a network.
#[track_caller]
pub fn apart(test: impl FnOnce()) {
    if env::var_os(INSIDE).is_some() {
        run("mount", &["-t", "tmpfs", "tmpfs", "/run"]);
        run("ip", &["link", "set", "lo", "up"]);
        return test();
    }
    let thread = thread::current();
    let name = thread.name().expect("a test runs in a thread of its name");
    let program = env::current_exe().expect("a test is a program");
    let is_root = rustix::process::geteuid().is_root();
    let user = (!is_root).then_some("--map-root-user");
    let ended = Command::new("unshare")
        .args(user)
        .args(["--net", "--mount", "--propagation", "private"])
        // Whatever was started there ends with the test.
        .args(["--pid", "--fork", "--kill-child", "--mount-proc", "--"])
        // The first process there, a shell, takes in the children of whoever has ended.
        .args(["bash", "-c", "\"$@\"; exit $?", "apart"])
        .arg(program)
        .args([name, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .stdin(Stdio::null())
        .status()
        .unwrap_or_else(|error| panic!("cannot run unshare, of util-linux: {error}"));
    assert!(
        ended.success(),
        "{name} ended with {ended} in its own network"
    );
}

/// A network of its own with the test process in it, at [`Lan::ADDRESS`].
#[derive(Debug)]
pub struct Lan {
    machines: u8,
}

/// A machine on a [`Lan`], with one interface. It has the files of the test process.
#[derive(Debug)]
pub struct Machine {
    namespace: String,
    address: Ipv4Addr,
}

/// What of a machine's traffic is dropped, in silence, of open connections too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// All of it.
    Both,
    /// What is sent to it.
    Incoming,
    /// What it sends.
    Outgoing,
}

impl Lan {
    /// Where machines reach the test process.
    pub const ADDRESS: Ipv4Addr = address(1);

    /// Makes one.
    ///
    /// # Panics
    /// Outside [`apart`], where it would change the network of the machine that runs the tests.
    #[track_caller]
    pub fn start() -> Self {
        assert!(env::var_os(INSIDE).is_some(), "a Lan is made apart");
        run("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        let own = format!("{}/24", Self::ADDRESS);
        run("ip", &["addr", "add", &own, "dev", BRIDGE]);
        run("ip", &["link", "set", BRIDGE, "up"]);
        Self { machines: 0 }
    }

    /// Adds a machine: the first has the address that ends with 10, the next 11, and so on.
    #[track_caller]
    pub fn machine(&mut self) -> Machine {
        assert!(self.machines < MACHINES_MAX, "a lan has so many machines");
        let machine = Machine {
            namespace: format!("m{}", self.machines),
            address: address(10 + self.machines),
        };
        self.machines += 1;
        let Machine { namespace, .. } = &machine;
        let port = format!("to-{namespace}");
        run("ip", &["netns", "add", namespace]);
        let cable = [
            "link", "add", &port, "type", "veth", "peer", "name", INTERFACE,
        ];
        run("ip", &[&cable[..], &["netns", namespace]].concat());
        run("ip", &["link", "set", &port, "master", BRIDGE, "up"]);
        let own = format!("{}/24", machine.address);
        run(
            "ip",
            &["-n", namespace, "addr", "add", &own, "dev", INTERFACE],
        );
        for interface in [INTERFACE, "lo"] {
            run("ip", &["-n", namespace, "link", "set", interface, "up"]);
        }
        machine
    }
}

impl Machine {
    /// Where it is reached.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The command, run on it.
    pub fn command(&self, command: &Command) -> Command {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.namespace]);
        there.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => there.env(name, value),
                None => there.env_remove(name),
            };
        }
        there
    }

    /// Cuts it off, at its port of the bridge: on the machine itself, who sends would be told.
    #[track_caller]
    pub fn cut(&self, cut: Cut) {
        let Self { namespace, .. } = self;
        run("nft", &[&format!("add table netdev {namespace}")]);
        let hooks = match cut {
            Cut::Both => &["ingress", "egress"][..],
            Cut::Incoming => &["egress"],
            Cut::Outgoing => &["ingress"],
        };
        for hook in hooks {
            let chain = format!(
                "add chain netdev {namespace} {hook} {{ type filter hook {hook} \
                 device to-{namespace} priority 0; policy drop; }}"
            );
            run("nft", &[&chain]);
        }
    }

    /// Ends what [`Self::cut`] began.
    #[track_caller]
    pub fn heal(&self) {
        run("nft", &[&format!("delete table netdev {}", self.namespace)]);
    }
}

const fn address(host: u8) -> Ipv4Addr {
    let [a, b, c] = NETWORK;
    Ipv4Addr::new(a, b, c, host)
}

#[track_caller]
fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success(),
        "{program} {}: {said}",
        args.join(" ")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_reach_each_other_until_they_are_cut_off() {
        apart(|| {
            let mut lan = Lan::start();
            let (one, two) = (lan.machine(), lan.machine());
            let reaches = |from: &Machine, to: Ipv4Addr| {
                let mut ping = Command::new("python3");
                ping.args(["-c", ECHO_CLIENT, &to.to_string()]);
                let asked = from.command(&ping).output().expect("python3 is there");
                asked.status.success()
            };
            let mut echo = Command::new("python3");
            echo.args(["-uc", ECHO_SERVER]);
            let server = crate::Program::start("echo", two.command(&echo));
            crate::eventually(crate::START_TIME_MAX, "the server listens", || {
                server.stdout().contains("listens").then_some(())
            });
            assert!(reaches(&one, two.address()));
            for cut in [Cut::Both, Cut::Incoming, Cut::Outgoing] {
                two.cut(cut);
                assert!(!reaches(&one, two.address()), "{cut:?}");
                two.heal();
                assert!(reaches(&one, two.address()), "{cut:?}, healed");
            }
        });
    }

    // There it panics with something else, which is a failure of the test that runs there.
    #[test]
    #[should_panic(expected = "in its own network")]
    fn a_failure_there_is_a_failure_here() {
        apart(|| panic!("a failure"));
    }

    const ECHO_SERVER: &str = "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 7)); print('listens')
while True:
    s.sendto(*s.recvfrom(9))
";
    const ECHO_CLIENT: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.3)
try:
    s.sendto(b'x', (sys.argv[1], 7)); s.recv(9)
except OSError:
    sys.exit(1)
";
}
