//! The real etcd.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

use crate::eventually::{START_TIME_MAX, eventually};
use crate::ports;
use crate::program::{Program, Signal};

/// A running etcd of one or three members on 127.0.0.1 (Debian's `etcd-server`), on data of its own
/// that goes when it is dropped.
#[derive(Debug)]
pub struct Etcd {
    members: Vec<Member>,
    options: EtcdOptions,
    data: TempDir,
}

/// How an [`Etcd`] is started.
#[derive(Clone, Debug, Default)]
pub struct EtcdOptions {
    /// Beside the first one: 0 or 2.
    pub further_members: usize,
    /// Further flags of `etcd`.
    pub flags: Vec<String>,
    /// What clients need to speak to it, where that is TLS: CA, certificate and key.
    pub tls: Option<[PathBuf; 3]>,
}

#[derive(Debug)]
struct Member {
    name: String,
    client_port: u16,
    peer_port: u16,
    program: Program,
}

impl Etcd {
    /// Starts one of one member.
    pub fn start() -> Self {
        Self::start_with(EtcdOptions::default())
    }

    /// Starts one of three members.
    pub fn start_three() -> Self {
        Self::start_with(EtcdOptions {
            further_members: 2,
            ..EtcdOptions::default()
        })
    }

    /// Starts one and waits until all its members answer.
    ///
    /// # Panics
    ///
    /// When there is no `etcd`: `cargo xtask test` brings it.
    pub fn start_with(options: EtcdOptions) -> Self {
        let data = TempDir::new().expect("a temporary folder can be made");
        let places: Vec<(String, u16, u16)> = (0..=options.further_members)
            .map(|n| {
                let [client_port, peer_port] = ports::free();
                (format!("m{n}"), client_port, peer_port)
            })
            .collect();
        let all: Vec<String> = places
            .iter()
            .map(|(name, _, peer_port)| format!("{name}=http://127.0.0.1:{peer_port}"))
            .collect();
        let members = places.into_iter().map(|(name, client_port, peer_port)| {
            let command = command(&options, data.path(), &name, client_port, peer_port, &all);
            Member {
                program: Program::start(format!("etcd {name}"), command),
                name,
                client_port,
                peer_port,
            }
        });
        let mut etcd = Self {
            members: members.collect(),
            options,
            data,
        };
        for number in 0..etcd.members.len() {
            etcd.wait_ready(number);
        }
        etcd
    }

    /// `etcd://HOST:PORT,…` of all members.
    pub fn url(&self) -> String {
        let members: Vec<String> = (0..self.members.len()).map(|n| self.member(n)).collect();
        format!("etcd://{}", members.join(","))
    }

    /// `HOST:PORT` of a member.
    pub fn member(&self, number: usize) -> String {
        format!("127.0.0.1:{}", self.members[number].client_port)
    }

    /// The process of a member.
    pub fn program(&mut self, number: usize) -> &mut Program {
        &mut self.members[number].program
    }

    /// Stops a member in its tracks, or lets it go on.
    pub fn freeze(&mut self, number: usize, frozen: bool) {
        let signal = if frozen { Signal::STOP } else { Signal::CONT };
        self.program(number).signal(signal);
    }

    /// The id of each member, as etcd has it.
    #[track_caller]
    pub fn member_ids(&self) -> Vec<u64> {
        let id = |number: usize| {
            let status = self.ctl_at(number, &["endpoint", "status", "-w", "json"]);
            let status: Value = serde_json::from_str(&status).expect("etcdctl writes JSON");
            status[0]["Status"]["header"]["member_id"]
                .as_u64()
                .expect("a status has a member")
        };
        (0..self.members.len()).map(id).collect()
    }

    /// Starts a member again on its data, killing what still runs, and waits until it answers.
    pub fn start_again(&mut self, number: usize) {
        self.start_again_with(number, &[]);
    }

    /// As [`Self::start_again`], with further flags.
    pub fn start_again_with(&mut self, number: usize, flags: &[&str]) {
        self.program(number).kill();
        let all: Vec<String> = self
            .members
            .iter()
            .map(|member| format!("{}=http://127.0.0.1:{}", member.name, member.peer_port))
            .collect();
        let member = &mut self.members[number];
        let mut command = command(
            &self.options,
            self.data.path(),
            &member.name,
            member.client_port,
            member.peer_port,
            &all,
        );
        command.args(flags);
        member.program = Program::start(format!("etcd {}", member.name), command);
        self.wait_ready(number);
    }

    /// Removes everything that a member knows. It must have been killed.
    pub fn forget(&self, number: usize) {
        std::fs::remove_dir_all(self.data.path().join(&self.members[number].name))
            .expect("the member's data can be removed");
    }

    /// The number of the member that leads.
    #[track_caller]
    pub fn leader(&self) -> usize {
        eventually(START_TIME_MAX, "a leader of etcd", || {
            (0..self.members.len()).find(|number| {
                let status = self.try_ctl(&[*number], &["endpoint", "status", "-w", "json"]);
                let text = status.stdout;
                let Ok(status) = serde_json::from_slice::<Value>(&text) else {
                    return false;
                };
                let status = &status[0]["Status"];
                !status["leader"].is_null() && status["leader"] == status["header"]["member_id"]
            })
        })
    }

    /// Makes this member the one that leads. All must run.
    #[track_caller]
    pub fn move_leader(&self, to: usize) {
        let leader = self.leader();
        if leader != to {
            let id = format!("{:x}", self.member_ids()[to]);
            self.ctl_at(leader, &["move-leader", &id]);
        }
    }

    /// Runs `etcdctl` at all members and answers what it prints.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn ctl(&self, args: &[&str]) -> String {
        let all: Vec<usize> = (0..self.members.len()).collect();
        succeeded(args, self.try_ctl(&all, args))
    }

    /// Runs `etcdctl` at one member.
    ///
    /// # Panics
    ///
    /// When it fails.
    #[track_caller]
    pub fn ctl_at(&self, number: usize, args: &[&str]) -> String {
        succeeded(args, self.try_ctl(&[number], args))
    }

    /// The revision of the cluster.
    #[track_caller]
    pub fn revision(&self) -> u64 {
        let status = self.ctl_at(0, &["endpoint", "status", "-w", "json"]);
        let status: Value = serde_json::from_str(&status).expect("etcdctl writes JSON");
        status[0]["Status"]["header"]["revision"]
            .as_u64()
            .expect("a status has a revision")
    }

    fn try_ctl(&self, members: &[usize], args: &[&str]) -> Output {
        let members: Vec<String> = members.iter().map(|number| self.member(*number)).collect();
        let scheme = if self.options.tls.is_some() {
            "https"
        } else {
            "http"
        };
        let endpoints: Vec<String> = members
            .iter()
            .map(|it| format!("{scheme}://{it}"))
            .collect();
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3");
        command.arg("--endpoints").arg(endpoints.join(","));
        if let Some([authority, certificate, key]) = &self.options.tls {
            command.arg("--cacert").arg(authority);
            command.arg("--cert").arg(certificate);
            command.arg("--key").arg(key);
        }
        let output = command.args(args).output();
        output.unwrap_or_else(|error| {
            panic!("cannot run etcdctl ({error}): run `cargo xtask test`, which brings it")
        })
    }

    #[track_caller]
    fn wait_ready(&mut self, number: usize) {
        let what = format!("member {number} of etcd");
        eventually(START_TIME_MAX, &what, || {
            if let Some(exit) = self.members[number].program.exit() {
                panic!("{what} ended ({exit})");
            }
            // By quorum, so that it is there for others as well. With users it may refuse; that is
            // an answer too.
            let answer = self.try_ctl(&[number], &["get", "ready", "--command-timeout", "1s"]);
            let refused = String::from_utf8_lossy(&answer.stderr).contains("user name is empty");
            (answer.status.success() || refused).then_some(())
        });
    }
}

fn command(
    options: &EtcdOptions,
    data: &Path,
    name: &str,
    client_port: u16,
    peer_port: u16,
    all: &[String],
) -> Command {
    let scheme = if options.tls.is_some() {
        "https"
    } else {
        "http"
    };
    let client = format!("{scheme}://127.0.0.1:{client_port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new("etcd");
    command.arg("--name").arg(name);
    command.arg("--data-dir").arg(data.join(name));
    command.arg("--listen-client-urls").arg(&client);
    command.arg("--advertise-client-urls").arg(&client);
    command.arg("--listen-peer-urls").arg(&peer);
    command.arg("--initial-advertise-peer-urls").arg(&peer);
    command.arg("--initial-cluster").arg(all.join(","));
    command.args(["--heartbeat-interval", HEARTBEAT_MS]);
    command.args(["--election-timeout", ELECTION_MS]);
    command.args(["--logger", "zap"]);
    command.args(&options.flags);
    command
}

/// Short, so that a lost leader is replaced soon.
const HEARTBEAT_MS: &str = "50";
const ELECTION_MS: &str = "500";

#[track_caller]
fn succeeded(args: &[&str], output: Output) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    assert!(
        status.success(),
        "etcdctl {args:?}: {status}: {}",
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).expect("etcdctl writes text")
}
