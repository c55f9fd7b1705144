//! What the demo shows: commands as anyone would type them, and the requests that prove them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use clap::Parser as _;
use http::Response;
use tokio::time::{Instant, sleep};

use super::fetch;
use super::ports::address;
use super::stage::{SRV_NAMESPACE, SRV_SERVICE, Stage, UPSTREAM};
use crate::args::Arguments;
use crate::command;
use crate::exit::{Exit, Failure};
use crate::screen::Screen;
use crate::session::SERVER_DEFAULT;

/// Plays the whole tour.
pub(super) async fn show(stage: &mut Stage, screen: Screen) -> Result<(), Failure> {
    let guide = Guide {
        screen,
        server: format!("http://{}", address(stage.ports().api)),
    };
    guide.heading("two gateway groups, each with one gateway")?;
    guide.run("group create test --title Test").await?;
    guide
        .run("group create production --title Production")
        .await?;
    stage.start_gateways().await?;

    let definition = stage.folder().join("httpbin.yaml");
    std::fs::write(&definition, DEFINITION)
        .map_err(Failure::local("cannot write the demo's definition"))?;
    let ports = stage.ports();
    let (test, production) = (address(ports.test.http), address(ports.production.http));
    let node = format!("--node {UPSTREAM}:{}", ports.upstream);
    let sync = "sync httpbin --from test --to production";

    guide.heading("publish a service to test, and see that it works there")?;
    guide
        .run(&format!("service create -f {}", definition.display()))
        .await?;
    guide
        .run(&format!("publish httpbin --version 1.0.0 --to test {node}"))
        .await?;
    guide.prove(test, 200).await?;
    guide.prove(production, 404).await?;

    guide.heading("sync exactly that version to production, by nodes")?;
    guide.run(&format!("{sync} {node} --dry-run")).await?;
    guide.run(&format!("{sync} {node}")).await?;
    guide.prove(production, 200).await?;

    guide.heading("sync it again, and let production find its upstream by service discovery")?;
    guide
        .run("registry create production-dns --in production --kind dns")
        .await?;
    let registry = format!("registry=production-dns,namespace={SRV_NAMESPACE}");
    guide
        .run(&format!(
            "{sync} --discovery {registry},service={SRV_SERVICE}"
        ))
        .await?;
    guide.prove(production, 200).await?;

    guide.heading("everything runs until you press Ctrl-C")?;
    guide.run("status").await?;
    guide.farewell(stage)
}

/// Types, asks, and shows what came.
#[derive(Debug)]
struct Guide {
    screen: Screen,
    server: String,
}

impl Guide {
    fn heading(&self, text: &str) -> Result<(), Failure> {
        self.screen.line(&format!(
            "\n{}",
            self.screen.paint().bold(&format!("# {text}"))
        ))
    }

    fn typed(&self, line: &str) -> Result<(), Failure> {
        self.screen
            .line(&format!("$ {}", self.screen.paint().good(line)))
    }

    /// Shows a command of this program, and does it. No argument of the tour has a space in it.
    async fn run(&self, line: &str) -> Result<(), Failure> {
        self.typed(&format!("ferryway {line}"))?;
        let words = std::iter::once("ferryway").chain(line.split_whitespace());
        let mut arguments = Arguments::try_parse_from(words)
            .map_err(|error| Failure::Other(format!("cannot do that: {error}")))?;
        arguments.global.server = Some(self.server.clone());
        arguments.global.token = None;
        // Boxed: the demo is a command itself.
        match Box::pin(command::run(arguments)).await? {
            Exit::Done => Ok(()),
            exit => Err(Failure::Other(format!(
                "`ferryway {line}` ended with {}",
                exit as u8
            ))),
        }
    }

    /// Shows the request that proves it, makes it, and shows the answer. A gateway may have to look
    /// a name up first, so another answer is asked again for a while.
    async fn prove(&self, gateway: SocketAddr, expect: u16) -> Result<(), Failure> {
        let url = format!("http://{gateway}{PATH}");
        self.typed(&format!("curl {url}"))?;
        let deadline = Instant::now() + PROOF_TIME_MAX;
        loop {
            let answer = fetch::get(gateway, PATH)
                .await
                .map_err(Failure::local(format!("cannot ask {url}")))?;
            let proven = answer.status() == expect;
            if proven || Instant::now() >= deadline {
                self.screen.print(&answer_text(&answer))?;
                return if proven {
                    Ok(())
                } else {
                    Err(Failure::Other(format!(
                        "{url} should have answered {expect}"
                    )))
                };
            }
            sleep(PAUSE).await;
        }
    }

    fn farewell(&self, stage: &Stage) -> Result<(), Failure> {
        if self.server != SERVER_DEFAULT {
            let line = format!("export FERRYWAY_SERVER={}", self.server);
            self.screen
                .line("for the command line in another terminal:")?;
            self.typed(&line)?;
        }
        let logs = stage.folder().display();
        self.screen
            .line(&format!("data and logs, until then, are in {logs}"))
    }
}

/// The status, what the gateway says itself, and the body.
fn answer_text(answer: &Response<Bytes>) -> String {
    let mut text = format!("{}\n", answer.status());
    if let Some(code) = answer.headers().get("x-ferryway-error") {
        text.push_str(&format!(
            "x-ferryway-error: {}\n",
            code.to_str().unwrap_or_default()
        ));
    }
    let body = String::from_utf8_lossy(answer.body());
    text + body.trim_end() + "\n"
}

const PATH: &str = "/headers";
/// What the demo publishes.
const DEFINITION: &str = "\
name: httpbin
title: httpbin API
routes:
- name: headers
  paths: [/headers]
  methods: [GET]
- name: anything
  paths: [/anything/*]
- name: status
  paths: ['/status/{code}']
- name: delay
  paths: ['/delay/{seconds}']
";
/// How long a proof may take.
const PROOF_TIME_MAX: Duration = Duration::from_secs(10);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_one() {
        let value: serde_json::Value = serde_saphyr::from_str(DEFINITION).unwrap();
        ferryway_model::Definition::parse_service(&value, None).unwrap();
    }

    #[test]
    fn an_answer_of_the_gateway_says_its_code() {
        let answer = Response::builder()
            .status(404)
            .header("x-ferryway-error", "no_route")
            .body(Bytes::from_static(
                b"{\"error_msg\": \"404 Route Not Found\"}",
            ))
            .unwrap();
        let expect =
            "404 Not Found\nx-ferryway-error: no_route\n{\"error_msg\": \"404 Route Not Found\"}\n";
        assert_eq!(answer_text(&answer), expect);
    }
}
