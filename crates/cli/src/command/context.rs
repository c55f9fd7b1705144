//! Control planes that this command line remembers.

use std::path::{Path, PathBuf};

use ferryway_model::Name;
use serde::Serialize;

use crate::args::{ContextCommand, Global};
use crate::contexts::{self, Context, Contexts};
use crate::exit::{Exit, Failure};
use crate::screen::{Paint, Screen};
use crate::session::{client, given, given_path};
use crate::table::{self, Row};

pub(super) fn run(global: &Global, command: ContextCommand) -> Result<Exit, Failure> {
    let screen = Screen::new(global.output, global.color);
    let path = contexts::path(|name| std::env::var_os(name))?;
    let mut contexts = Contexts::load(&path)?;
    let said = match command {
        ContextCommand::List => {
            let lines = lines(&contexts);
            let none = "no contexts; add one with `ferryway context add NAME --server URL`";
            screen.show(&lines, |paint| table::of(&lines, none, paint))?;
            return Ok(Exit::Done);
        }
        ContextCommand::Add { name, token_file } => {
            let context = described(global, token_file)?;
            let said = format!("context {name} is {}", context.server);
            contexts.contexts.insert(name.to_string(), context);
            contexts.current.get_or_insert_with(|| name.to_string());
            said
        }
        ContextCommand::Use { name } => {
            known(&contexts, &name)?;
            contexts.current = Some(name.to_string());
            format!("the current context is {name}")
        }
        ContextCommand::Remove { name } => {
            known(&contexts, &name)?;
            contexts.contexts.remove(name.as_str());
            contexts.current = contexts.current.filter(|current| current != name.as_str());
            format!("context {name} is forgotten")
        }
    };
    contexts.save(&path)?;
    screen.line(&said)?;
    Ok(Exit::Done)
}

/// The context that the flags describe.
fn described(global: &Global, token_file: Option<PathBuf>) -> Result<Context, Failure> {
    let Some(server) = given(global.server.as_ref()) else {
        return Err(Failure::Usage(
            "say which control plane: --server http://HOST:PORT".to_owned(),
        ));
    };
    let token = match token_file {
        Some(file) => Some(read_token(&file)?),
        None => given(global.token.as_ref()),
    };
    // What cannot be used should not be remembered; and what is remembered is read from anywhere.
    let ca = given_path(global.ca.as_deref());
    let ca = ca.map(std::path::absolute).transpose();
    let ca = ca.map_err(Failure::local("cannot tell where --ca is"))?;
    let client = client(&server, token.as_deref(), ca.as_deref())?;
    Ok(Context {
        server: client.server(),
        token,
        ca,
    })
}

fn read_token(file: &Path) -> Result<String, Failure> {
    let what = format!("cannot read the token from {}", file.display());
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(file)
    };
    let text = text.map_err(Failure::local(what.as_str()))?;
    match text.trim() {
        "" => Err(Failure::Other(format!("{what}: it is empty"))),
        token => Ok(token.to_owned()),
    }
}

fn known(contexts: &Contexts, name: &Name) -> Result<(), Failure> {
    if contexts.contexts.contains_key(name.as_str()) {
        return Ok(());
    }
    let names: Vec<_> = contexts.contexts.keys().map(String::as_str).collect();
    let there = if names.is_empty() {
        "there is none".to_owned()
    } else {
        names.join(", ")
    };
    Err(Failure::Other(format!(
        "there is no context {name}; known: {there}"
    )))
}

/// A context as it is shown.
#[derive(Debug, Serialize)]
struct Line {
    name: String,
    current: bool,
    server: String,
    has_token: bool,
}

impl Row for Line {
    const COLUMNS: &'static [&'static str] = &["CURRENT", "NAME", "SERVER", "TOKEN"];

    fn cells(&self, paint: Paint) -> Vec<String> {
        vec![
            if self.current {
                paint.good("*")
            } else {
                String::new()
            },
            self.name.clone(),
            self.server.clone(),
            if self.has_token {
                "yes".to_owned()
            } else {
                "no".to_owned()
            },
        ]
    }
}

fn lines(contexts: &Contexts) -> Vec<Line> {
    let line = |(name, context): (&String, &Context)| Line {
        name: name.clone(),
        current: contexts.current.as_ref() == Some(name),
        server: context.server.clone(),
        has_token: context.token.is_some(),
    };
    contexts.contexts.iter().map(line).collect()
}
