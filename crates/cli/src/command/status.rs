//! Which group runs which version, and whether its instances do.

use std::time::Duration;

use ferryway_api::{ClientError, client::escape};
use ferryway_api::{Group, Instance, List, Matrix, MatrixCell, MatrixRow, PublishedService};
use ferryway_model::Name;
use serde::Serialize;
use tokio::time::sleep;

use crate::args::Status;
use crate::binding;
use crate::exit::{Exit, Failure};
use crate::plan::version;
use crate::progress::erasing;
use crate::screen::{Paint, visible};
use crate::session::Session;
use crate::table::{self, pad, shown_width};

pub(super) async fn run(session: &Session, status: Status) -> Result<Exit, Failure> {
    let Status { service, watch } = status;
    let first = Look::take(session, service.as_ref()).await?;
    let mut shown = first.text(service.as_ref(), session.screen.paint());
    session.screen.show(&first, |_| shown.clone())?;
    if !watch {
        return Ok(Exit::Done);
    }
    let mut is_away = false;
    loop {
        sleep(WATCH_PAUSE).await;
        let look = match Look::take(session, service.as_ref()).await {
            Ok(look) => look,
            // A control plane that starts again is no end of watching.
            Err(failure) if failure.exit() == Exit::Unreachable => {
                if !is_away {
                    session.note(&format!("{failure}; what stands above may be old"))?;
                    // Not to be written over: the note stands below it.
                    shown.clear();
                }
                is_away = true;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        is_away = false;
        let text = look.text(service.as_ref(), session.screen.paint());
        if text != shown {
            if session.screen.can_redraw() && !shown.is_empty() {
                session.screen.print(&erasing(shown.lines().count()))?;
            }
            session.screen.show(&look, |_| text.clone())?;
            shown = text;
        }
    }
}

/// How things stood when they were looked at.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Look {
    /// All services in all groups.
    All(Matrix),
    /// One service, where it runs: a list as the API's are.
    One(List<Place>),
}

impl Look {
    async fn take(session: &Session, service: Option<&Name>) -> Result<Self, Failure> {
        Ok(match service {
            None => Self::All(matrix(session).await?),
            Some(service) => Self::One(List {
                items: places(session, service).await?,
                next_cursor: None,
            }),
        })
    }

    fn text(&self, service: Option<&Name>, paint: Paint) -> String {
        match self {
            Self::All(matrix) => matrix_text(matrix, paint),
            Self::One(places) => {
                let name = service.map_or("it", Name::as_str);
                places_text(name, &places.items, paint)
            }
        }
    }
}

/// The whole matrix, page by page.
async fn matrix(session: &Session) -> Result<Matrix, Failure> {
    let mut whole: Matrix = session.client.get("/matrix?limit=1000").await?;
    for _ in 0..PAGES_MAX {
        let Some(cursor) = whole.next_cursor.take() else {
            return Ok(whole);
        };
        let path = format!("/matrix?limit=1000&cursor={}", escape(&cursor));
        let page: Matrix = session.client.get(&path).await?;
        whole.rows.extend(page.rows);
        whole.next_cursor = page.next_cursor;
    }
    Ok(whole)
}

fn matrix_text(matrix: &Matrix, paint: Paint) -> String {
    if matrix.groups.is_empty() {
        return "no gateway groups; make one with `ferryway group create NAME`\n".to_owned();
    }
    if matrix.rows.is_empty() {
        return "no services; make one with `ferryway service create -f FILE`\n".to_owned();
    }
    let mut columns = vec!["SERVICE".to_owned()];
    columns.extend(matrix.groups.iter().map(|group| group.to_uppercase()));
    let widths: Vec<_> = matrix
        .groups
        .iter()
        .map(|group| version_width(matrix, group))
        .collect();
    let line = |row: &MatrixRow| {
        let cells = matrix.groups.iter().zip(&widths).map(|(group, width)| {
            row.cells
                .get(group)
                .map_or_else(String::new, |cell| cell_text(cell, *width, paint))
        });
        std::iter::once(row.service.clone()).chain(cells).collect()
    };
    table::render(columns, matrix.rows.iter().map(line).collect())
}

fn version_width(matrix: &Matrix, group: &str) -> usize {
    let cells = matrix.rows.iter().filter_map(|row| row.cells.get(group));
    cells
        .map(|cell| shown_width(cell_version(cell)))
        .max()
        .unwrap_or_default()
}

fn cell_version(cell: &MatrixCell) -> &str {
    version(cell.version.as_deref(), Some(&cell.digest))
}

/// `1.0.1  1/1 ok`.
fn cell_text(cell: &MatrixCell, width: usize, paint: Paint) -> String {
    let mut text = format!(
        "{}  {}",
        pad(cell_version(cell), width),
        instances(cell.converged, cell.online, cell.held, paint)
    );
    if !cell.enabled {
        text.push_str(&paint.warn(" disabled"));
    }
    text
}

/// How many online instances run it, and the word for it.
pub(super) fn instances(converged: u64, online: u64, held: u64, paint: Paint) -> String {
    let word = match (converged, online, held) {
        (_, 0, _) => return paint.dim("none online"),
        (_, _, held) if held > 0 => paint.bad(&format!("{held} held")),
        (converged, online, _) if converged < online => paint.warn("behind"),
        _ => paint.good("ok"),
    };
    format!("{converged}/{online} {word}")
}

/// A service in one group, and the instances that do not run it as they should.
#[derive(Debug, Serialize)]
struct Place {
    group: String,
    #[serde(flatten)]
    published: PublishedService,
    behind: Vec<Instance>,
}

async fn places(session: &Session, service: &Name) -> Result<Vec<Place>, Failure> {
    let groups: Vec<Group> = session.client.all("/gateway-groups").await?;
    let mut places = Vec::new();
    for group in groups {
        let path = format!("/gateway-groups/{}", group.name);
        let published = session
            .client
            .get(&format!("{path}/services/{service}"))
            .await;
        let published: PublishedService = match published {
            Ok(published) => published,
            Err(ClientError::Refused(details)) if details.status == NOT_FOUND => continue,
            Err(error) => return Err(error.into()),
        };
        let mut behind = Vec::new();
        if published.convergence.converged < published.convergence.online {
            behind = session.client.all(&format!("{path}/instances")).await?;
            behind.retain(|it: &Instance| !it.converged);
        }
        places.push(Place {
            group: group.name,
            published,
            behind,
        });
    }
    Ok(places)
}

fn places_text(service: &str, places: &[Place], paint: Paint) -> String {
    if places.is_empty() {
        return format!("{service} runs in no group; see `ferryway publish --help`\n");
    }
    let columns = ["GROUP", "VERSION", "INSTANCES", "BINDING"]
        .map(str::to_owned)
        .to_vec();
    let line = |place: &Place| {
        let PublishedService {
            version: number,
            digest,
            enabled,
            binding,
            convergence: counts,
            ..
        } = &place.published;
        let mut instances = instances(counts.converged, counts.online, counts.held, paint);
        if !enabled {
            instances.push_str(&paint.warn(" disabled"));
        }
        vec![
            place.group.clone(),
            version(number.as_deref(), Some(digest)).to_owned(),
            instances,
            binding::text(binding),
        ]
    };
    let mut text = table::render(columns, places.iter().map(line).collect());
    for place in places {
        for instance in &place.behind {
            text.push_str(&behind_text(service, &place.group, instance, paint));
        }
    }
    text
}

fn behind_text(service: &str, group: &str, instance: &Instance, paint: Paint) -> String {
    let host = visible(&instance.hostname);
    let place = format!("{host} ({}) in {group}", instance.id);
    let held = instance.held.iter().find(|held| held.service == service);
    match held {
        Some(held) => format!(
            "{} {place}: {}  {}\n",
            paint.bad("held by"),
            visible(&held.message),
            paint.dim(&format!("({})", held.code))
        ),
        None => format!("{} {place}\n", paint.warn("not yet converged:")),
    }
}

/// Between two looks.
const WATCH_PAUSE: Duration = Duration::from_secs(2);
/// Pages of the matrix that are read, of a thousand services each.
const PAGES_MAX: usize = 100;
const NOT_FOUND: u16 = 404;

#[cfg(test)]
mod tests;
