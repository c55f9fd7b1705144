//! CPU time per request of nginx, haproxy and the proxy, side by side.
//!
//! Each proxy has one worker on core 0; wrk and the upstream (an nginx) are on core 1. Rounds are
//! interleaved, so that a noisy minute hits all alike. CPU time is the whole process tree's, from
//! `/proc/PID/task/*/schedstat`. Prints one markdown table per case, with medians and minima.
//!
//! ```text
//! compare [--proxy COMMAND] [--rounds N] [--seconds N] [--connections N] [--case NAME]…
//!         [--peer-headers] [--only NAME]
//! ```
//!
//! `COMMAND` is split at spaces; `{listen}`, `{upstream}` and `{routes}` are replaced in it. Without
//! it, `bare_proxy` beside this program is started. `--peer-headers` makes nginx and haproxy set the
//! forwarding headers that Ferryway always sets.

#![expect(clippy::print_stdout, reason = "its output is a report")]

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// What is sent and what comes back.
struct Case {
    name: &'static str,
    path: &'static str,
    post_bytes: usize,
    routes: usize,
}

const CASES: [Case; 4] = [
    Case {
        name: "get-1k",
        path: "/1k",
        post_bytes: 0,
        routes: 1,
    },
    Case {
        name: "get-64k",
        path: "/64k",
        post_bytes: 0,
        routes: 1,
    },
    Case {
        name: "post-10k",
        path: "/post",
        post_bytes: 10 * 1024,
        routes: 1,
    },
    Case {
        name: "routes-10000",
        path: "/1k",
        post_bytes: 0,
        routes: 10_000,
    },
];

struct Options {
    proxy: String,
    rounds: usize,
    seconds: u64,
    connections: usize,
    cases: Vec<String>,
    peer_headers: bool,
    only: Option<String>,
}

/// One proxy, running.
struct Proxy {
    name: &'static str,
    port: u16,
    child: Child,
    /// CPU µs per request, one for each round.
    cpu: Vec<f64>,
    /// Requests per second, likewise.
    rate: Vec<f64>,
}

const UPSTREAM_PORT: u16 = 19_000;
const NGINX_PORT: u16 = 19_001;
const HAPROXY_PORT: u16 = 19_002;
const FERRYWAY_PORT: u16 = 19_003;

fn main() -> Outcome<()> {
    let options = Options::read()?;
    let folder = std::env::temp_dir().join(format!("ferryway-compare-{}", std::process::id()));
    fs::create_dir_all(folder.join("files"))?;
    for (name, bytes) in [("1k", 1024), ("64k", 64 * 1024)] {
        fs::write(folder.join("files").join(name), "x".repeat(bytes))?;
    }
    let outcome = run(&options, &folder);
    let _ = fs::remove_dir_all(&folder);
    outcome
}

fn run(options: &Options, folder: &Path) -> Outcome<()> {
    let mut upstream = nginx(folder, "upstream", &upstream_conf(folder), 1)?;
    let outcome = CASES
        .iter()
        .filter(|case| options.cases.is_empty() || options.cases.iter().any(|it| it == case.name))
        .try_for_each(|case| compare(options, folder, case));
    end(&mut upstream);
    outcome
}

fn compare(options: &Options, folder: &Path, case: &Case) -> Outcome<()> {
    let mut proxies = start(options, folder, case)?;
    let mut measure = || -> Outcome<()> {
        for proxy in &mut proxies {
            load(options, folder, case, proxy.port, 1)?;
        }
        for _ in 0..options.rounds {
            for proxy in &mut proxies {
                let before = cpu_nanos(proxy.child.id());
                let (requests, rate) = load(options, folder, case, proxy.port, options.seconds)?;
                let nanos = cpu_nanos(proxy.child.id()) - before;
                proxy.cpu.push(nanos as f64 / 1_000.0 / requests as f64);
                proxy.rate.push(rate);
            }
        }
        Ok(())
    };
    let outcome = measure();
    proxies.iter_mut().for_each(|proxy| end(&mut proxy.child));
    outcome?;
    report(options, case, &proxies);
    Ok(())
}

fn start(options: &Options, folder: &Path, case: &Case) -> Outcome<Vec<Proxy>> {
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    let mut proxies = Vec::new();
    if wanted("nginx") {
        let child = nginx(folder, "nginx", &nginx_conf(options), 0)?;
        proxies.push(Proxy::new("nginx", NGINX_PORT, child));
    }
    if wanted("haproxy") {
        let conf = folder.join("haproxy.cfg");
        fs::write(&conf, haproxy_conf(options))?;
        let child = pinned(0, "haproxy")
            .arg("-db")
            .arg("-f")
            .arg(conf)
            .spawn()?;
        proxies.push(Proxy::new("haproxy", HAPROXY_PORT, child));
    }
    if wanted("ferryway") {
        let command = options
            .proxy
            .replace("{listen}", &format!("127.0.0.1:{FERRYWAY_PORT}"))
            .replace("{upstream}", &format!("127.0.0.1:{UPSTREAM_PORT}"))
            .replace("{routes}", &case.routes.to_string());
        let mut words = command.split_whitespace();
        let program = words.next().ok_or("no proxy is named")?;
        let child = pinned(0, program).args(words).spawn()?;
        proxies.push(Proxy::new("ferryway", FERRYWAY_PORT, child));
    }
    proxies
        .iter()
        .try_for_each(|proxy| answers(proxy.port, case))?;
    Ok(proxies)
}

/// Runs wrk for some seconds; answers with the number of requests and the rate.
fn load(
    options: &Options,
    folder: &Path,
    case: &Case,
    port: u16,
    seconds: u64,
) -> Outcome<(u64, f64)> {
    let mut wrk = pinned(1, "wrk");
    wrk.arg("-t1")
        .arg(format!("-c{}", options.connections))
        .arg(format!("-d{seconds}s"));
    if case.post_bytes > 0 {
        let script = folder.join("post.lua");
        fs::write(
            &script,
            format!(
                "wrk.method='POST'\nwrk.body=string.rep('x',{})\n",
                case.post_bytes
            ),
        )?;
        wrk.arg("-s").arg(script);
    }
    let output = wrk
        .arg(format!("http://127.0.0.1:{port}{}", case.path))
        .stdout(Stdio::piped())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return Err(format!("errors under load:\n{text}").into());
    }
    let number = |before: &str, after: &str| -> Option<f64> {
        let line = text
            .lines()
            .find(|line| line.contains(after) && line.contains(before))?;
        let line = line
            .trim()
            .strip_prefix(before)
            .unwrap_or_else(|| line.trim());
        line.split(after).next()?.trim().parse().ok()
    };
    let requests = number("", " requests in").ok_or("wrk counted no requests")?;
    let rate = number("Requests/sec:", "\n").unwrap_or_default();
    let rate = if rate > 0.0 {
        rate
    } else {
        requests / seconds as f64
    };
    Ok((requests as u64, rate))
}

/// CPU time of a process and all below it, in nanoseconds.
fn cpu_nanos(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return 0;
    };
    let mut nanos = 0;
    for task in tasks.flatten() {
        let stat = fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let first = stat
            .split(' ')
            .next()
            .and_then(|number| number.parse::<u64>().ok());
        nanos += first.unwrap_or_default();
        let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        nanos += children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .map(cpu_nanos)
            .sum::<u64>();
    }
    nanos
}

fn report(options: &Options, case: &Case, proxies: &[Proxy]) {
    let median = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    };
    let least = |values: &[f64]| values.iter().copied().fold(f64::INFINITY, f64::min);
    let peers = proxies.iter().filter(|proxy| proxy.name != "ferryway");
    let best = peers
        .map(|proxy| median(&proxy.cpu))
        .fold(f64::INFINITY, f64::min);
    println!(
        "\n**{}**: {} connections, {} rounds of {} s\n",
        case.name, options.connections, options.rounds, options.seconds
    );
    println!("| | CPU µs per request, median | minimum | against the better peer | requests/s |");
    println!("|---|---|---|---|---|");
    for proxy in proxies {
        let cpu = median(&proxy.cpu);
        println!(
            "| {} | {cpu:.2} | {:.2} | {:.2} | {:.0} |",
            proxy.name,
            least(&proxy.cpu),
            cpu / best,
            median(&proxy.rate)
        );
    }
    let _ = std::io::stdout().flush();
}

impl Options {
    fn read() -> Outcome<Self> {
        let beside = std::env::current_exe()?.with_file_name("bare_proxy");
        let mut options = Self {
            proxy: format!("{} {{listen}} {{upstream}} {{routes}} 1", beside.display()),
            rounds: 5,
            seconds: 3,
            connections: 64,
            cases: Vec::new(),
            peer_headers: false,
            only: None,
        };
        let mut args = std::env::args().skip(1);
        while let Some(flag) = args.next() {
            let mut value = || args.next().ok_or_else(|| format!("{flag} needs a value"));
            match flag.as_str() {
                "--proxy" => options.proxy = value()?,
                "--rounds" => options.rounds = value()?.parse()?,
                "--seconds" => options.seconds = value()?.parse()?,
                "--connections" => options.connections = value()?.parse()?,
                "--case" => options.cases.push(value()?),
                "--only" => options.only = Some(value()?),
                "--peer-headers" => options.peer_headers = true,
                other => return Err(format!("unknown flag {other}").into()),
            }
        }
        Ok(options)
    }
}

impl Proxy {
    fn new(name: &'static str, port: u16, child: Child) -> Self {
        Self {
            name,
            port,
            child,
            cpu: Vec::new(),
            rate: Vec::new(),
        }
    }
}

fn pinned(core: usize, program: &str) -> Command {
    let mut command = Command::new("taskset");
    command
        .arg("-c")
        .arg(core.to_string())
        .arg(program)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn nginx(folder: &Path, name: &str, conf: &str, core: usize) -> Outcome<Child> {
    let path: PathBuf = folder.join(format!("{name}.conf"));
    // nginx removes its pid file when it ends, whatever that is: so it has one of its own.
    let pid = folder.join(format!("{name}.pid"));
    fs::write(&path, format!("pid {};\n{conf}", pid.display()))?;
    let errors = folder.join(format!("{name}.log"));
    Ok(pinned(core, "nginx")
        .arg("-e")
        .arg(errors)
        .arg("-c")
        .arg(path)
        .spawn()?)
}

fn end(child: &mut Child) {
    // nginx ends its worker on a TERM, but not on a KILL.
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let _ = child.wait();
}

/// Waits until a proxy answers as it should.
fn answers(port: u16, case: &Case) -> Outcome<()> {
    let request = format!(
        "GET {} HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n",
        case.path
    );
    for _ in 0..100 {
        let mut answer = String::new();
        let asked = TcpStream::connect(("127.0.0.1", port)).and_then(|mut socket| {
            socket.write_all(request.as_bytes())?;
            socket.read_to_string(&mut answer)
        });
        if asked.is_ok() && answer.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        sleep(Duration::from_millis(50));
    }
    Err(format!("nothing good answers on port {port}").into())
}

fn conf(server: &str) -> String {
    format!(
        "daemon off; worker_processes 1;\n\
         events {{ worker_connections 8192; }}\n\
         http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300s;\n{server}\n}}\n"
    )
}

fn upstream_conf(folder: &Path) -> String {
    let files = folder.join("files");
    let small = "x".repeat(1024);
    conf(&format!(
        "sendfile on; open_file_cache max=16; client_body_buffer_size 64k;\n\
             server {{ listen 127.0.0.1:{UPSTREAM_PORT} backlog=4096;\n\
             location /1k {{ return 200 '{small}'; }}\n\
             location /64k {{ root {}; }}\n\
             location /post {{ client_max_body_size 1m; return 200 'ok'; }} }}",
        files.display()
    ))
}

fn nginx_conf(options: &Options) -> String {
    let headers = match options.peer_headers {
        true => {
            "proxy_set_header X-Real-IP $remote_addr; proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n\
             proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host;\n\
             proxy_set_header X-Forwarded-Port $server_port; proxy_set_header Via '1.1 nginx';"
        }
        false => "",
    };
    conf(&format!(
        "upstream u {{ server 127.0.0.1:{UPSTREAM_PORT}; keepalive 256; keepalive_requests 1000000000; }}\n\
             server {{ listen 127.0.0.1:{NGINX_PORT} backlog=4096;\n\
             location / {{ proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection '';\n\
             client_body_buffer_size 64k; {headers} }} }}"
    ))
}

fn haproxy_conf(options: &Options) -> String {
    let headers = match options.peer_headers {
        true => {
            "  http-request set-header X-Real-IP %[src]\n  option forwardfor\n  http-request set-header X-Forwarded-Proto http\n  \
             http-request set-header X-Forwarded-Host %[req.hdr(host)]\n  http-request set-header X-Forwarded-Port %[dst_port]\n  \
             http-request set-header Via '1.1 haproxy'\n"
        }
        false => "",
    };
    format!(
        "global\n  nbthread 1\n  maxconn 8192\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 60s\n  \
         timeout server 60s\n  option http-keep-alive\n  http-reuse always\nfrontend f\n  \
         bind 127.0.0.1:{HAPROXY_PORT}\n{headers}  default_backend b\nbackend b\n  server s 127.0.0.1:{UPSTREAM_PORT} pool-max-conn 1000\n"
    )
}
