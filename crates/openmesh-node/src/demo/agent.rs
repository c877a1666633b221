//! One agent of the demo, as a process of its own: enters the mesh, plays its role, works from its inbox.

mod auditor;
mod buyer;
mod cost_model;
mod misbehaviour;
mod post;
mod seller;
mod trader;

pub(crate) use misbehaviour::Misdeed;

use super::cue::{Cue, Entry, News};
use anyhow::{Context, Result, bail};
use auditor::Auditor;
use buyer::Buyer;
use openmesh_sdk::{ConnectOptions, Envelope, Leased, Mesh, identity};
use post::{Arrival, Arrivals, tell};
use seller::Seller;
use std::sync::Arc;
use std::time::Duration;
use trader::Trader;

/// Far more than a step takes: a machine busy with other things must not end the demo.
const STEP_TIMEOUT: Duration = Duration::from_secs(60);

/// Plays one role of the demo; started by it.
#[derive(Debug, clap::Args)]
pub(crate) struct AgentArgs {
    /// The role to play.
    role: RoleName,
    /// The name to register under.
    name: String,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum RoleName {
    Buyer,
    Seller,
    Auditor,
}

enum Role {
    Buyer(Buyer),
    Seller(Box<Seller>),
    Auditor(Auditor),
}

/// Runs an agent until it is told to finish, or until the demo is gone.
pub(crate) fn run_agent(args: AgentArgs) -> Result<()> {
    // One thread, so that messages submitted together leave together.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(play(args))
}

async fn play(args: AgentArgs) -> Result<()> {
    let mut arrivals = Arrivals::new();
    let Some(Arrival::Cue(Cue::Enter(entry))) = arrivals.next().await else {
        bail!("`openmesh demo` starts this; nobody else should");
    };
    let mesh = enter(&args.name, &entry).await?;
    let mut trader = Trader::new(mesh.clone(), args.name.clone()).await?;
    let mut role = match args.role {
        RoleName::Buyer => Role::Buyer(Buyer::new(entry.seed)),
        RoleName::Seller => Role::Seller(Box::new(Seller::new(&args.name, &entry))),
        RoleName::Auditor => Role::Auditor(Auditor::default()),
    };
    if matches!(role, Role::Seller(_)) {
        arrivals.subscribe(&mesh, super::TOPIC).await?;
    }
    arrivals.open_inbox(&mesh);
    tell(&News::Ready(mesh.id()))?;
    work(&mut trader, &mut role, &mut arrivals).await?;
    tell(&News::Done(trader.tally))?;
    mesh.close().await;
    Ok(())
}

async fn enter(name: &str, entry: &Entry) -> Result<Mesh> {
    let key = identity::new_key()?;
    identity::save(&key, &entry.key)?;
    let options = ConnectOptions {
        connect_timeout: STEP_TIMEOUT,
        command_timeout: STEP_TIMEOUT,
        send_timeout: STEP_TIMEOUT,
        ..ConnectOptions::new(entry.address, entry.domain, Arc::new(key))
    };
    let mesh = Mesh::connect(&options).await.context("cannot connect")?;
    mesh.register(name, Some(&entry.token)).await.context("cannot register")?;
    Ok(mesh)
}

async fn work(trader: &mut Trader, role: &mut Role, arrivals: &mut Arrivals) -> Result<()> {
    let mut finishing = false;
    loop {
        if finishing && trader.mesh.inbox().counts().await?.pending == 0 {
            return Ok(());
        }
        match arrivals.next().await {
            Some(Arrival::Cue(Cue::Begin(requests))) => {
                if let Role::Buyer(buyer) = role {
                    buyer.begin(trader, requests).await?;
                }
            }
            Some(Arrival::Cue(Cue::Finish)) => finishing = true,
            Some(Arrival::Cue(Cue::Enter(_))) => bail!("told to enter twice"),
            Some(Arrival::Published(message)) => {
                if let Role::Seller(seller) = role {
                    seller.read_call(trader, &message).await?;
                }
            }
            Some(Arrival::Mail(leased)) => read_mail(trader, role, leased).await?,
            Some(Arrival::Lost(why)) => bail!("the connection was lost: {why}"),
            None => bail!("the demo is gone"),
        }
    }
}

/// Handles what was leased, message by message, and acknowledges each when it is done with.
async fn read_mail(trader: &mut Trader, role: &mut Role, leased: Vec<Leased>) -> Result<()> {
    for message in leased {
        let envelope = &message.envelope;
        trader.tally.acts_read += u64::from(envelope.attributes.get("conversationid").is_some());
        read_one(trader, role, envelope).await?;
        trader.mesh.inbox().ack(message.token, &[message.number]).await?;
    }
    Ok(())
}

async fn read_one(trader: &mut Trader, role: &mut Role, envelope: &Envelope) -> Result<()> {
    match role {
        Role::Buyer(buyer) => buyer.read(trader, envelope).await,
        Role::Seller(seller) => seller.read(trader, envelope).await,
        Role::Auditor(auditor) => auditor.read(envelope),
    }
}
