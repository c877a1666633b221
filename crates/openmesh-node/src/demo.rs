//! `openmesh demo`: a market, end to end. A node, a buyer, three sellers and an auditor, each its own process.

mod agent;
mod cue;
mod dice;
mod figures;
mod live;
mod price;
mod rfp;
mod stage;
mod summary;

pub(crate) use agent::{AgentArgs, run_agent};

use crate::cli::failure::Failure;
use crate::cli::output::Format;
use crate::start::Endpoint;
use anyhow::{Context, Result, bail, ensure};
use cue::{Cue, Entry, News, Tally};
use figures::Figures;
use live::Live;
use rfp::{Found, Rfp};
use serde::Serialize;
use stage::Stage;
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use summary::{Held, Summary};
use tokio::signal::unix::{SignalKind, signal};

/// Where requests go.
const TOPIC: &str = "topic:market/rfp";
const BUYER: &str = "buyer";
const AUDITOR: &str = "auditor";
const SELLER_PREFIX: &str = "seller-";
const SELLERS: [&str; 3] = ["seller-1", OTHER_SELLER, MISBEHAVING_SELLER];
const OTHER_SELLER: &str = "seller-2";
const MISBEHAVING_SELLER: &str = "seller-3";
/// From a request to the end of its tender period.
const TENDER_MS: i64 = 8_000;
/// The first request is always answered by all, so nobody waits for its end; a slow machine needs the time.
const FIRST_TENDER_MS: i64 = 25_000;
/// A seller with less time than this until the end of the period does not answer: an answer on its way at the
/// end would be refused.
const OFFER_MARGIN_MS: i64 = 5_000;
const NEGOTIATIONS_MAX: u16 = 500;
/// A run that takes longer than this beyond its share for each request is stuck.
const RUN_TIMEOUT: Duration = Duration::from_secs(50);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs the market demo: a node, a buyer, three sellers and an auditor, each its own process.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh demo                              six negotiations; a seller misbehaves first
  $ openmesh demo --seed 7 --misbehave off     other requests, other prices; nobody misbehaves
  $ openmesh demo --rfps tender.json           requests from OCDS 1.1 releases
  $ openmesh demo --keep                       leave the node up to look around")]
pub(crate) struct Args {
    /// Decides requests, costs and prices; another seed, another market.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Whether one seller first tries what the mesh refuses.
    #[arg(long, value_enum, default_value_t = Switch::On, value_name = "on|off")]
    misbehave: Switch,
    /// Leave the node up at the end.
    #[arg(long)]
    keep: bool,
    /// Take the requests from these files: OCDS 1.1 releases or release packages.
    #[arg(long, num_args = 1.., value_name = "FILE")]
    rfps: Vec<PathBuf>,
    /// How many requests to make up.
    #[arg(long, default_value_t = 6, value_name = "COUNT", conflicts_with = "rfps",
          value_parser = clap::value_parser!(u16).range(1..=i64::from(NEGOTIATIONS_MAX)))]
    negotiations: u16,
    /// The node's folder, which must not exist or be empty [default: a fresh one among temporary files].
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Switch {
    On,
    Off,
}

/// A release that could not be tendered.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Skipped {
    /// Where it stands.
    file: String,
    /// Why.
    reason: String,
}

/// Runs the demo; an error if anything it promises did not hold.
pub(crate) fn run(args: Args, format: Format) -> Result<()> {
    let (requests, skipped) = requests_of(&args)?;
    let folder = make_folder(args.folder.as_deref())?;
    let mut live = Live::new(requests.len());
    for skip in &skipped {
        live.line(&format!("skipped {}: {}", skip.file, skip.reason));
    }
    let run = Run { args: &args, requests: &requests, folder: &folder };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let played = runtime.block_on(run.play(&mut live));
    live.end();
    let played =
        played.with_context(|| format!("the demo broke off; what there is is in {}", folder.display()))?;
    let figures = Figures::read(&folder)?;
    let held = Held::check(&figures, &played.tallies, requests.len(), args.misbehave == Switch::On);
    let summary =
        Summary { seed: args.seed, figures: &figures, tallies: &played.tallies, folder: &folder, skipped };
    if format.is_table() {
        summary.print(args.keep.then_some(&played.endpoint))?;
    } else {
        summary.print_json(format)?;
    }
    held.into_result()
}

/// What is played, and where.
struct Run<'a> {
    args: &'a Args,
    requests: &'a [Rfp],
    folder: &'a Path,
}

/// A run that went through.
struct Played {
    endpoint: Endpoint,
    tallies: BTreeMap<String, Tally>,
}

impl Run<'_> {
    /// Plays until all is done, an agent fails, the time is up or somebody interrupts; leaves no process behind
    /// but a node that is to be kept.
    async fn play(&self, live: &mut Live) -> Result<Played> {
        let mut stage = Stage::new(self.folder)?;
        let mut terminate = signal(SignalKind::terminate())?;
        let share = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
        let time = RUN_TIMEOUT + REQUEST_TIMEOUT * share;
        let played = tokio::select! {
            played = self.act_out(&mut stage, live) => played,
            () = tokio::time::sleep(time) => Err(anyhow::anyhow!("it did not end within {} s", time.as_secs())),
            _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
            _ = terminate.recv() => Err(anyhow::anyhow!("told to stop")),
        };
        stage.end_agents().await;
        match &played {
            Ok(_) if self.args.keep => stage.keep_node(),
            _ => stage.end_node().await,
        }
        played
    }

    async fn act_out(&self, stage: &mut Stage, live: &mut Live) -> Result<Played> {
        live.doing("starting a node");
        let endpoint = stage.start_node(self.args.keep).await?;
        live.doing("waiting for the agents");
        self.start_agents(stage, &endpoint).await?;
        let mut cast: Vec<_> = SELLERS.to_vec();
        cast.extend([BUYER, AUDITOR]);
        let mut ready = BTreeSet::new();
        while ready.len() < cast.len() {
            let (name, news) = next_news(stage).await?;
            if let News::Ready(_) = news {
                ready.insert(name);
            }
        }
        live.doing("negotiating");
        stage.tell(BUYER, &Cue::Begin(self.requests.to_vec())).await?;
        let mut ended = 0;
        while ended < self.requests.len() {
            let (name, news) = next_news(stage).await?;
            ended += usize::from(matches!(news, News::Ended { .. }));
            live.show(&name, &news);
        }
        live.doing("reading the log");
        for name in &cast {
            stage.tell(name, &Cue::Finish).await?;
        }
        let mut tallies = BTreeMap::new();
        while tallies.len() < cast.len() {
            let (name, news) = next_news(stage).await?;
            live.show(&name, &news);
            if let News::Done(tally) = news {
                tallies.insert(name, tally);
            }
        }
        Ok(Played { endpoint, tallies })
    }

    async fn start_agents(&self, stage: &mut Stage, endpoint: &Endpoint) -> Result<()> {
        let token = self.folder.join("admin.token");
        let token =
            std::fs::read_to_string(&token).with_context(|| format!("cannot read {}", token.display()))?;
        let roles = SELLERS.map(|name| ("seller", name));
        for (role, name) in roles.into_iter().chain([("buyer", BUYER), ("auditor", AUDITOR)]) {
            let entry = Entry {
                address: endpoint.address,
                domain: endpoint.domain,
                token: token.trim().to_owned(),
                key: self.folder.join("agents").join(format!("{name}.key")),
                seed: self.args.seed,
                misbehave: name == MISBEHAVING_SELLER && self.args.misbehave == Switch::On,
            };
            stage.start_agent(role, name, &Cue::Enter(entry)).await?;
        }
        Ok(())
    }
}

/// What an agent says next; an error if one has left before it was done.
async fn next_news(stage: &mut Stage) -> Result<(String, News)> {
    loop {
        let Some(spoken) = stage.listen().await else { bail!("no agent is left") };
        match spoken.news {
            Some(news @ News::Done(_)) => {
                stage.let_leave(&spoken.name);
                return Ok((spoken.name, news));
            }
            Some(news) => return Ok((spoken.name, news)),
            None if stage.may_leave(&spoken.name) => {}
            None => {
                let words = stage.last_words(&spoken.name).await;
                bail!("{} left before it was done{words}", spoken.name);
            }
        }
    }
}

fn requests_of(args: &Args) -> Result<(Vec<Rfp>, Vec<Skipped>)> {
    if args.rfps.is_empty() {
        let numbers = 1..=usize::from(args.negotiations);
        let made: Option<Vec<_>> = numbers.map(|number| Rfp::make(args.seed, number)).collect();
        return Ok((made.context("no request could be made")?, Vec::new()));
    }
    let (mut requests, mut skipped) = (Vec::new(), Vec::new());
    for path in &args.rfps {
        let found = rfp::read_file(path).map_err(|error| Failure::usage(format!("{error:#}")))?;
        for found in found {
            match found {
                Found::Rfp(rfp) => requests.push(rfp),
                Found::Skipped(reason) => skipped.push(Skipped { file: path.display().to_string(), reason }),
            }
        }
    }
    if requests.is_empty() {
        let reasons = skipped.iter().map(|skip| format!("\n  {}: {}", skip.file, skip.reason));
        let reasons: String = reasons.collect();
        let what = format!("none of the files has a request that can be tendered{reasons}");
        return Err(Failure::usage(what).into());
    }
    ensure!(requests.len() <= usize::from(NEGOTIATIONS_MAX), "more than {NEGOTIATIONS_MAX} requests");
    Ok((requests, skipped))
}

/// A fresh folder that its owner alone can read, with a place for the agents' keys and what they print.
fn make_folder(asked: Option<&Path>) -> Result<PathBuf> {
    let folder = match asked {
        Some(folder) => std::path::absolute(folder)?,
        None => {
            let name = openmesh_sdk::new_message_id()?;
            std::env::temp_dir().join(format!("openmesh-demo-{name}"))
        }
    };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let is_empty = std::fs::read_dir(&folder)?.next().is_none();
    if !is_empty {
        let what = format!("{} is not empty: the demo takes a fresh folder", folder.display());
        return Err(Failure::usage(what).into());
    }
    builder.create(folder.join("agents"))?;
    Ok(folder)
}
