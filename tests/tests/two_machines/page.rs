//! The page, as steps.

use std::fs;
use std::path::Path;

/// On which machine something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Second,
    Both,
}

/// One fenced block of the page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// Commands of a shell that stays open.
    Commands { at: Place, text: String },
    /// A file with this content.
    File {
        at: Place,
        path: String,
        text: String,
    },
    /// Lines that the commands before have printed, among others.
    Shown(String),
}

/// All blocks of the page, in order.
pub(super) fn read() -> Vec<Block> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/two-machines.md");
    let text = fs::read_to_string(&page).expect("the page is there");
    let blocks = blocks(&text);
    assert!(blocks.len() > 20, "{} blocks", blocks.len());
    blocks
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push(block(info, body.join("\n") + "\n"));
    }
    blocks
}

fn block(info: &str, text: String) -> Block {
    let words: Vec<_> = info.split_whitespace().collect();
    let place = |word| match word {
        "first" => Place::First,
        "second" => Place::Second,
        "both" => Place::Both,
        other => panic!("{other} is no machine of the page"),
    };
    match words[..] {
        ["sh", at] => Block::Commands {
            at: place(at),
            text,
        },
        ["yaml", at, path] => Block::File {
            at: place(at),
            path: path.to_owned(),
            text,
        },
        ["text"] => Block::Shown(text),
        _ => panic!("a block of the page is marked {info:?}, which nobody follows"),
    }
}

#[test]
fn blocks_are_found_with_their_machines() {
    let text =
        "a\n```sh both\nls\n\nls -l\n```\n```yaml first x.yaml\na: 1\n```\n```text\nhi\n```\n";
    let expected = [
        Block::Commands {
            at: Place::Both,
            text: "ls\n\nls -l\n".to_owned(),
        },
        Block::File {
            at: Place::First,
            path: "x.yaml".to_owned(),
            text: "a: 1\n".to_owned(),
        },
        Block::Shown("hi\n".to_owned()),
    ];
    assert_eq!(blocks(text), expected);
}
