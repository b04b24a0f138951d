//! MCP over Streamable HTTP.

mod closed;
mod endpoint;
mod error;
mod guard;
mod listen;
mod oauth;
mod tls;
mod token;
mod user;
mod users;
mod written;

pub(crate) use error::HttpError;
pub(crate) use listen::{Exposure, Listen};

use super::service::Service;
use super::signals::Signals;
use crate::error::ServerError;
use crate::runs::Pool;
use crate::safe_text::clean;
use crate::session::{Ground, Others, Owned, Session, Setup, Shared};
use guard::Guard;
use nono_http::{Answers, Config, Counts, Ends, Principal, Principals, Sessions};
use nono_schemas::MAX_TIMEOUT_MS;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use user::User;
use users::Users;

/// A session may be silent for as long as the longest run and this.
const BEYOND_ANY_RUN: Duration = Duration::from_secs(300);
/// How long answers may take to be sent once all runs have ended.
const ANSWER_PATIENCE: Duration = Duration::from_millis(200);

/// Serves until a signal asks for the end; then every run has ended.
///
/// # Errors
/// [`ServerError`] if the setup cannot be used or an address cannot be had.
pub(crate) async fn serve(mut setup: Setup, listen: Listen) -> Result<(), ServerError> {
    let mut config = config(&listen)?;
    let guard = Guard::default();
    let mut tls_files = None;
    if let Some((certificate, key)) = &listen.tls {
        let files = tls::Files::open(certificate, key, &guard)?;
        config.tls = Some(files.tls());
        tls_files = Some(files);
        setup.closed.extend(closed::both_ends(key).map_err(tls::unreadable(key))?);
    }
    let Users { all, oauth, closed, told } = Users::find(&setup, &listen, &guard)?;
    setup.closed.extend(closed);
    let resource = match (oauth, &listen.principals) {
        (Some(oauth), Some(path)) => Some(oauth.open(&all, path).await?),
        _ => None,
    };
    let mut signals = Signals::watch()?;
    let (listener, address) = bind(listen.address).await?;
    setup.own_endpoints.extend(endpoint::addresses(address));
    let metrics = match listen.metrics {
        Some(address) => Some(bind(address).await?),
        None => None,
    };
    if let Some((_, address)) = &metrics {
        setup.own_endpoints.extend(endpoint::addresses(*address));
    }
    let (members, pool) = open(&setup, all)?;
    let sessions: Vec<_> = members.iter().map(|member| Arc::clone(&member.session)).collect();
    guard.watch(&sessions);
    let mut principals = Principals::new(resource);
    members.into_iter().for_each(|member| principals.add(member.principal()));
    let (ends, counts) = (Ends::default(), Arc::new(Counts::default()));
    if let Some(files) = tls_files {
        tokio::spawn(ends.stop.clone().run_until_cancelled_owned(files.watch()));
    }
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    announce(&format!("serving MCP on {scheme}://{address}/mcp; {told}"));
    if let Some((listener, address)) = metrics {
        announce(&format!("serving counters on http://{address}/metrics"));
        tokio::spawn(serve_counts(listener, Arc::clone(&counts), pool, ends.clone()));
    }
    let serving = {
        let ends = ends.clone();
        async move { nono_http::serve(listener, principals, &config, counts, ends).await }
    };
    let serving = tokio::spawn(serving);
    signals.came().await;
    ends.stop.cancel();
    Session::close_all(&sessions).await;
    // Runs that were ended have answers, which their clients may still want.
    if tokio::time::timeout(ANSWER_PATIENCE, serving).await.is_err() {
        tracing::debug!("some clients were still connected when the server ended");
    }
    ends.cut.cancel();
    Ok(())
}

/// A user and its session.
struct Member {
    user: User,
    session: Arc<Session>,
}

impl Member {
    fn principal(self) -> Principal<Service> {
        let User { share, token, rules, .. } = self.user;
        Principal { handler: Service::new(self.session), share, token, rules }
    }
}

async fn serve_counts(listener: TcpListener, counts: Arc<Counts>, pool: Arc<Pool>, ends: Ends) {
    let text = move || format!("{}{}", counts.text(), live_runs(&pool));
    nono_http::serve_text(listener, "/metrics", text, ends.stop).await;
}

/// A session for each of them, and what all runs share.
fn open(setup: &Setup, all: Vec<User>) -> Result<(Vec<Member>, Arc<Pool>), ServerError> {
    // Each once: everybody's ground looks at all of them.
    let mut others = Others::default();
    for user in &all {
        for workspace in &user.workspaces {
            if !others.workspaces.contains(workspace) {
                others.workspaces.push(workspace.clone());
            }
        }
        if !others.profiles.contains(&user.profile) {
            others.profiles.push(user.profile.clone());
        }
    }
    let several = all.len() > 1;
    let with_ground = |user: User| {
        let (workspaces, profile) = (user.workspaces.clone(), user.profile.clone());
        let ground =
            Ground::open(&Setup { workspaces, profile, others: others.clone(), ..setup.clone() })?;
        Ok((user, ground))
    };
    let all = all.into_iter().map(with_ground).collect::<Result<Vec<_>, ServerError>>()?;
    let owned: Vec<_> = all
        .iter()
        .map(|(user, ground)| Owned { name: several.then_some(&*user.name), ground })
        .collect();
    let shared = Shared::open(setup, &owned)?;
    let members = all.into_iter().map(|(user, ground)| {
        let name = Some(user.name.clone());
        let session = Session::open_beside(ground, name, user.live_runs, &shared);
        Member { user, session }
    });
    Ok((members.collect(), Arc::clone(&shared.pool)))
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ServerError> {
    let listener =
        TcpListener::bind(address).await.map_err(|source| HttpError::Listen { address, source })?;
    let address = listener.local_addr().map_err(ServerError::doing("ask for the address"))?;
    Ok((listener, address))
}

fn live_runs(pool: &Pool) -> String {
    let live = pool.live_now();
    format!(
        "# HELP nono_runs_live Runs that go on.\n# TYPE nono_runs_live gauge\nnono_runs_live {live}\n"
    )
}

fn config(listen: &Listen) -> Result<Config, HttpError> {
    if !listen.address.ip().is_loopback() {
        let covered = match listen.exposure {
            Exposure::Loopback => false,
            Exposure::Public => listen.tls.is_some(),
            Exposure::BehindProxy => true,
        };
        if !covered {
            return Err(HttpError::Public(listen.address));
        }
        if listen.hosts.is_empty() {
            return Err(HttpError::Nameless);
        }
    }
    if let Some(metrics) = listen.metrics.filter(|address| !address.ip().is_loopback()) {
        return Err(HttpError::PublicMetrics(metrics));
    }
    let idle = Duration::from_millis(MAX_TIMEOUT_MS) + BEYOND_ANY_RUN;
    let mut config = Config::loopback(match listen.stateless {
        true => Sessions::None,
        false => Sessions::Kept { idle },
    });
    config.answers = if listen.json { Answers::Json } else { Answers::Stream };
    config.limits.connections = listen.connections.into();
    config.hosts.extend(listen.hosts.iter().cloned());
    config.origins.extend(listen.origins.iter().cloned());
    Ok(config)
}

/// Tells the operator where the server is and where its token is; never the token.
fn announce(line: &str) {
    let line = clean::line(line);
    let _nobody_listens = io::stderr().write_all(format!("nono-mcp: {line}\n").as_bytes());
}
