//! `docs/two-machines.md`, followed word by word on two machines: two network namespaces, each with
//! folders of its own where the page writes.

mod machine;
mod page;

use std::collections::HashMap;

use ferryway_testkit::lan::apart;
use machine::Machines;
use page::Block;

#[test]
fn the_page_does_what_it_says() {
    apart(follow);
}

fn follow() {
    let blocks = page::read();
    let mut machines = Machines::start();
    // What was printed last, and the join tokens that were.
    let mut shown = String::new();
    let mut tokens: Vec<String> = Vec::new();
    for block in blocks {
        match block {
            Block::Commands { at, text } => {
                shown = machines.run(at, &text);
                tokens.extend(
                    shown
                        .lines()
                        .filter(|line| line.starts_with("fwj1."))
                        .map(str::to_owned),
                );
            }
            Block::File { at, path, text } => {
                let places = ["TEST_TOKEN", "PRODUCTION_TOKEN"];
                let values: HashMap<_, _> = places.into_iter().zip(&tokens).collect();
                let text = values.iter().fold(text, |text, (place, token)| {
                    text.replace(
                        &format!("join-token: {place}"),
                        &format!("join-token: {token}"),
                    )
                });
                machines.write(at, &path, &text);
            }
            Block::Shown(text) => {
                let missing = text.lines().find(|line| !shown.contains(line));
                assert_eq!(missing, None, "is not in what was shown:\n{shown}");
            }
        }
    }
    assert_eq!(tokens.len(), 2, "the page makes two join tokens");
}
