//! API tokens, and join tokens.

use std::time::Duration;

use ferryway_api::body::{JoinTokenBody, TokenBody};
use ferryway_api::{JoinToken, NewJoinToken, NewToken, Token};
use ferryway_model::Name;
use ferryway_runtime::Clock;
use jiff::Timestamp;

use super::resource;
use crate::args::{NewJoinTokenArgs, NewTokenArgs, TokenCommand};
use crate::exit::{Exit, Failure};
use crate::session::Session;

pub(super) async fn run(session: &Session, command: TokenCommand) -> Result<Exit, Failure> {
    match command {
        TokenCommand::List => {
            let none = "no tokens; make one with `ferryway token create NAME --scope SCOPE`";
            resource::list::<Token>(session, ALL, none).await
        }
        TokenCommand::Create(wanted) => create(session, wanted).await,
        TokenCommand::Delete { id } => {
            let (path, what) = (format!("{ALL}/{id}"), format!("token {id}"));
            resource::delete(session, &path, &what).await
        }
        TokenCommand::CreateJoin(wanted) => create_join(session, wanted).await,
        TokenCommand::ListJoin { group } => {
            let none = "no join tokens; make one with `ferryway token create-join --group NAME`";
            resource::list::<JoinToken>(session, &of_group(&group), none).await
        }
        TokenCommand::DeleteJoin { id, group } => {
            let path = format!("{}/{id}", of_group(&group));
            let what = format!("join token {id} of {group}");
            resource::delete(session, &path, &what).await
        }
    }
}

/// For people as for scripts the secret is alone on standard output, so that it can be piped to
/// where it belongs; what else is to be said goes to standard error.
async fn create(session: &Session, wanted: NewTokenArgs) -> Result<Exit, Failure> {
    let NewTokenArgs {
        name,
        scope,
        expires_at,
        expires_in,
    } = wanted;
    let now = Clock::system().now();
    let body = TokenBody {
        name: name.to_string(),
        scope,
        expires_at: match expires_in {
            Some(time) => Some(after(now, time.duration())?),
            None => expires_at,
        },
    };
    let made: NewToken = session.client.post(ALL, &body).await?;
    let secret = made.secret.clone().unwrap_or_default();
    if session.screen.is_for_people() {
        let Token { id, name, .. } = &made.token;
        session.screen.aside(&format!(
            "token {name} is made, with the scope {scope}; delete it with `ferryway token delete \
             {id}`. This is its secret, which can't be shown again:"
        ));
    }
    session.screen.show(&made, |_| format!("{secret}\n"))?;
    Ok(Exit::Done)
}

/// As [`create`]: the token alone goes to standard output.
async fn create_join(session: &Session, wanted: NewJoinTokenArgs) -> Result<Exit, Failure> {
    let NewJoinTokenArgs {
        group,
        reusable,
        expires_in,
    } = wanted;
    let now = Clock::system().now();
    let expires_at = expires_in.map(|time| after(now, time.duration()));
    let body = JoinTokenBody {
        reusable: reusable.then_some(true),
        expires_at: expires_at.transpose()?,
    };
    let made: NewJoinToken = session.client.post(&of_group(&group), &body).await?;
    let secret = made.secret.clone().unwrap_or_default();
    if session.screen.is_for_people() {
        let JoinToken {
            id,
            reusable,
            expires_at,
            ..
        } = &made.token;
        let who = if *reusable {
            "any gateway"
        } else {
            "one gateway"
        };
        session.screen.aside(&format!(
            "{who} joins {group} with this token until {expires_at}; delete it with `ferryway token \
             delete-join {id} --group {group}`. Start the gateway with --join-token TOKEN; it can't \
             be shown again:"
        ));
    }
    session.screen.show(&made, |_| format!("{secret}\n"))?;
    Ok(Exit::Done)
}

fn of_group(group: &Name) -> String {
    format!("/gateway-groups/{group}/join-tokens")
}

fn after(now: Timestamp, time: Duration) -> Result<Timestamp, Failure> {
    now.checked_add(time)
        .map_err(|_| Failure::Usage("--expires-in is longer than times can be written".to_owned()))
}

const ALL: &str = "/tokens";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let day = Duration::from_secs(24 * 60 * 60);
        assert_eq!(
            after(now, day).map_err(|failure| failure.to_string()),
            Ok("2026-11-25T12:00:00Z".parse().unwrap())
        );
        assert!(after(now, Duration::from_secs(u64::MAX)).is_err());
    }
}
