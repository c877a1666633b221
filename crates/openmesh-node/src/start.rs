//! Start-up and shut-down of a node, step by step.

use crate::config::{Config, default_policy, read_policy};
use crate::decided::Decided;
use crate::event_loop::{Ended, EventLoop, PLANS_AT_ONCE_MIN};
use crate::identity::{Folder, Identity, random_bytes, write_private};
use crate::journey::Journeys;
use crate::log_writer::LogWriter;
use crate::metering::Metering;
use crate::perform::{self, Kept, Performer};
use crate::recovery::{TakenBack, take_back};
use crate::snapshots::{Snapshots, Source};
use crate::tls::NodeTls;
use crate::upkeep::{Upkeep, Work};
use anyhow::{Context, Result};
use openmesh_adapter::{Event, MeshHandle, channel, now};
use openmesh_core::{Config as PartitionConfig, Input, Partition, Plan};
use openmesh_listeners::accept::{Acceptor, Door, Gate};
use openmesh_listeners::http::{self, HttpConfig};
use openmesh_listeners::native::{self, NodeIdentity};
use openmesh_message::{Authority, DomainId, PartitionId};
use openmesh_policy::Policy;
use openmesh_store::planted::{self, Planted};
use openmesh_store::{EmbeddedLog, LoadedSnapshot, LogConfig, Opened, failpoint};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How a running node is reached; written into its folder.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// Where agents connect.
    pub(crate) address: SocketAddr,
    /// Where HTTP is served, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) http: Option<SocketAddr>,
    /// The domain to pin.
    pub(crate) domain: DomainId,
    /// The node's process.
    pub(crate) pid: u32,
    /// Says that TLS is spoken, and how.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tls: Option<EndpointTls>,
}

/// How a running node speaks TLS.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EndpointTls {
    /// The file with the authority to trust, where the node knows it.
    pub(crate) ca: Option<PathBuf>,
}

/// What a node says when it is ready.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    /// How it is reached.
    pub(crate) endpoint: Endpoint,
    /// Where it listens.
    pub(crate) listening: SocketAddr,
    /// Whether this start made the domain.
    pub(crate) is_new: bool,
    /// Records taken back from the log.
    pub(crate) recovered: u64,
    /// What recovery found, in words; empty if nothing.
    pub(crate) findings: Vec<String>,
}

/// A partition and its log, ready to go on.
struct Recovered {
    partition: Partition,
    limits: PartitionConfig,
    log: EmbeddedLog,
    records: u64,
    snapshot_seq: u64,
    /// Whether bodies were missing on the way: only headers said what came of them, and no snapshot is made across them.
    has_gaps: bool,
    findings: Vec<String>,
}

/// Runs a node until `stop` says so.
pub(crate) async fn run(
    config: Config,
    mut stop: watch::Receiver<bool>,
    ready: impl FnOnce(&Ready),
) -> Result<()> {
    let folder = Folder::open(&config.folder)?;
    folder.refuse_unfinished_import()?;
    let identity = Identity::load_or_make(&folder)?;
    write_default_policy(&folder, config.open)?;
    let recovered = recover(&folder, &identity, &config)?;
    let metering = Metering::install()?;
    let (mesh, mut events) = channel(recovered.partition.view(), config.limits.load(), config.limits.rates);
    if planted::has(Planted::TakeInOrder) {
        events.take_in_order();
    }
    let mesh = mesh.with_tracing(config.tracing);
    let tls = config.tls.as_ref();
    let tls = tls.map(|choice| NodeTls::prepare(choice, &config.folder, &config.addresses())).transpose()?;
    let doors = Doors::bind(&config, tls.as_ref(), metering.clone())?;
    let endpoint = doors.endpoint(identity.domain(), tls.as_ref())?;
    let said = Ready {
        endpoint: endpoint.clone(),
        listening: doors.native.address()?,
        is_new: identity.is_new,
        recovered: recovered.records,
        findings: recovered.findings.clone(),
    };
    let mut event_loop = prepare(recovered, &config, &folder, &identity, mesh.clone())?;
    write_private(&folder.endpoint(), &serde_json::to_vec_pretty(&endpoint)?)?;
    let mut listening = doors.serve(&config, &identity, &mesh, &stop)?;
    if let Some(tls) = tls {
        listening.spawn(tls.keep_fresh());
    }
    let stopping = mesh.clone();
    tokio::spawn(async move {
        // A dropped sender means the same as a stop.
        let _ = stop.wait_for(|stop| *stop).await;
        let _ = stopping.tell(Event::Stop).await;
    });
    listening.spawn(metering.keep_up(folder.log()));
    ready(&said);
    tracing::info!(domain = %identity.domain(), address = %said.listening, records = said.recovered, "ready");
    // On the runtime's own threads: whom it wakes, and who wakes it, is then seldom on another one.
    let owner = tokio::spawn(async move {
        let ended = event_loop.run(&mut events).await;
        (event_loop, ended)
    });
    let (event_loop, ended) = owner.await.context("the owner of the partition has panicked")?;
    let _ = std::fs::remove_file(folder.endpoint());
    listening.abort_all();
    tracing::info!("no longer listening");
    match ended {
        Ended::Stopped => close(event_loop),
        Ended::Failed(fault) => {
            let why = fault.map_or_else(|| "its thread ended".to_owned(), |fault| fault.to_string());
            anyhow::bail!(
                "the log failed ({why}); what it did not confirm is unknown to its senders: start the node again"
            )
        }
    }
}

/// The node's listeners, each with its address.
struct Doors {
    native: Acceptor,
    http: Option<Acceptor>,
    metering: Metering,
}

impl Doors {
    fn bind(config: &Config, tls: Option<&NodeTls>, metering: Metering) -> Result<Self> {
        let gate = Arc::new(Gate::new(config.limits.connections));
        let tls = tls.map(|tls| &tls.server);
        let native = Acceptor::bind(config.listen, Door::Native, Arc::clone(&gate), tls)?;
        let http = config.http.map(|address| Acceptor::bind(address, Door::Http, gate, tls)).transpose()?;
        Ok(Self { native, http, metering })
    }

    fn endpoint(&self, domain: DomainId, tls: Option<&NodeTls>) -> Result<Endpoint> {
        let http = self.http.as_ref().map(Acceptor::address).transpose()?;
        Ok(Endpoint {
            address: reached_at(self.native.address()?),
            http: http.map(reached_at),
            domain,
            pid: std::process::id(),
            tls: tls.map(|tls| EndpointTls { ca: tls.authority.clone() }),
        })
    }

    fn serve(
        self,
        config: &Config,
        identity: &Identity,
        mesh: &MeshHandle,
        stop: &watch::Receiver<bool>,
    ) -> Result<JoinSet<()>> {
        let certificate = identity.certificate.clone();
        let node = Arc::new(NodeIdentity { key: Arc::clone(&identity.node), certificate });
        let mut listening = JoinSet::new();
        if let Some(acceptor) = self.http {
            let metering = self.metering;
            let http = HttpConfig {
                node: identity.node.id(),
                admin_token: identity.admin_token,
                custodian: identity.custodian.clone(),
                hosts: config.http_hosts.clone(),
                is_tls: config.tls.is_some(),
                metrics: Arc::new(move || metering.render()),
                native: Arc::clone(&node),
            };
            let (mesh, stop) = (mesh.clone(), stop.clone());
            listening.spawn(async move {
                if let Err(error) = http::serve(acceptor, http, mesh, stop).await {
                    tracing::error!(%error, "HTTP is not served");
                }
            });
        }
        listening.spawn(native::serve(self.native, node, mesh.clone(), stop.clone()));
        Ok(listening)
    }
}

/// How those on this machine reach a node that listens on all of its addresses.
fn reached_at(listening: SocketAddr) -> SocketAddr {
    let ip = match listening.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, listening.port())
}

fn write_default_policy(folder: &Folder, open: bool) -> Result<()> {
    if !folder.policy().exists() {
        write_private(&folder.policy(), default_policy(open).as_bytes())?;
    }
    Ok(())
}

/// Opens the log and makes the partition what it was: snapshot, then every record after it.
fn recover(folder: &Folder, identity: &Identity, config: &Config) -> Result<Recovered> {
    let home = Authority::Domain(identity.domain());
    let (policy, _) = read_policy(&folder.policy(), home)?;
    let (segment_bytes, adopt) = (config.segment_bytes, config.adopt);
    let log_config = LogConfig { segment_bytes, adopt, ..LogConfig::new(PartitionId(0)) };
    let (mut log, mut opened) = EmbeddedLog::open(&folder.log(), &log_config)?;
    let custodian = identity.custodian.clone();
    let limits = PartitionConfig {
        inbox_messages_max: config.inbox_messages_max,
        inbox_sender_messages_max: config.inbox_sender_messages_max,
        subscriptions_max: config.limits.subscriptions_max,
        agent_subscriptions_max: config.limits.agent_subscriptions_max,
        node_subscriptions_max: config.limits.node_subscriptions_max,
        agents_max: config.limits.agents_max,
        ..PartitionConfig::new(identity.domain(), identity.admin_token, random_bytes()?, custodian)
    };
    let (mut partition, snapshot_seq) = restore(limits.clone(), policy, opened.snapshot.take())?;
    let mut findings = describe(&opened);
    let TakenBack { records, lost, has_gaps } = take_back(&log.reader(), snapshot_seq + 1, &mut partition)?;
    findings.extend(lost);
    for agent in partition.unusable_keys() {
        tracing::error!(%agent, "custodian.key is not the one this agent's key was made with: restore it");
    }
    if opened.unclean || opened.head.is_none() || opened.next_seq != partition.next_seq() {
        partition.skip_to(opened.next_seq);
        let plan = partition.begin_epoch(log.epoch(), &identity.node, opened.head_chain, now());
        keep_now(&mut log, plan)?;
    }
    Ok(Recovered { partition, limits, log, records, snapshot_seq, has_gaps, findings })
}

fn restore(
    config: PartitionConfig,
    policy: Policy,
    snapshot: Option<LoadedSnapshot>,
) -> Result<(Partition, u64)> {
    match snapshot {
        Some(snapshot) => {
            let partition = Partition::restore(config, policy, &snapshot.state)?;
            Ok((partition, snapshot.position.seq))
        }
        None => Ok((Partition::new(config, policy), 0)),
    }
}

fn describe(opened: &Opened) -> Vec<String> {
    if opened.report.is_clean() {
        return Vec::new();
    }
    opened.report.to_string().lines().map(str::to_owned).collect()
}

/// Keeps a plan before the node serves anybody.
fn keep_now(log: &mut EmbeddedLog, plan: Plan) -> Result<()> {
    log.append(&Decided::from(plan).records)?;
    log.sync()?;
    Ok(())
}

/// Brings policy and configuration into force, as records, and builds the loop.
fn prepare(
    recovered: Recovered,
    config: &Config,
    folder: &Folder,
    identity: &Identity,
    mesh: MeshHandle,
) -> Result<EventLoop> {
    let Recovered { mut partition, limits, mut log, records, mut snapshot_seq, has_gaps, .. } = recovered;
    let home = Authority::Domain(identity.domain());
    let (policy, text) = read_policy(&folder.policy(), home)?;
    keep_now(&mut log, partition.handle(Input::PolicyLoaded { policy: policy.clone(), text }, now()))?;
    for pattern in &config.pin {
        keep_now(&mut log, partition.pin(pattern.clone(), now()))?;
    }
    if has_gaps {
        snapshot_seq = write_snapshot(&log, &partition)?;
    }
    mesh.publish(partition.view());
    let writer = LogWriter::start(log).context("cannot start the log's thread")?;
    let index =
        perform::index(&folder.projection(), writer.reader()).context("cannot start the index's thread")?;
    let kept = Kept { log: writer.reader(), index: Arc::new(index) };
    let source = Source { log: writer.reader(), folder: writer.snapshots(), config: limits, policy };
    let work = Work {
        source: source.clone(),
        files: writer.files(),
        sealer: writer.sealer(),
        mesh: mesh.clone(),
        runtime: tokio::runtime::Handle::current(),
        index: Arc::clone(&kept.index),
        node: Arc::clone(&identity.node),
        keeping: config.keeping,
    };
    let upkeep =
        Upkeep::start(work, partition.state().upkeep()).context("cannot start the upkeep's thread")?;
    let mut snapshots = Snapshots::new(source, config.snapshot_records.max(1), snapshot_seq);
    if let Some(head) = partition.state().head().filter(|_| records >= config.snapshot_records && !has_gaps) {
        // Also where a node never runs long enough to make one beside its work, starts stay short.
        snapshots.keep(head, partition.snapshot()?);
    }
    let load = Arc::clone(mesh.load());
    let performer = Performer::new(Arc::clone(&identity.node), mesh, kept, folder.policy());
    Ok(EventLoop {
        partition,
        writer,
        performer,
        journeys: Journeys::new(config.tracing),
        waiting: Decided::default(),
        plans_at_once: PLANS_AT_ONCE_MIN,
        held_back_since: None,
        keeping_since: None,
        shut_since: None,
        load,
        snapshots,
        upkeep,
    })
}

/// Writes a snapshot and closes the log, so that the next start reads little.
fn close(event_loop: EventLoop) -> Result<()> {
    let EventLoop { partition, writer, upkeep, snapshots, .. } = event_loop;
    // Nothing changes the log's files any more.
    drop((upkeep, snapshots));
    let Some(log) = writer.stop() else { return Ok(()) };
    failpoint::reached("close.before-snapshot");
    write_snapshot(&log, &partition)?;
    log.close()?;
    Ok(())
}

/// Writes the state as it is, all of which is synced; the last record it covers.
fn write_snapshot(log: &EmbeddedLog, partition: &Partition) -> Result<u64> {
    let Some(head) = partition.state().head() else { return Ok(0) };
    log.write_snapshot(head, &partition.snapshot()?)?;
    Ok(head.seq)
}

/// Reads how a running node is reached.
pub(crate) fn read_endpoint(folder: &Path) -> Result<Endpoint> {
    let path = folder.join("endpoint.json");
    let text = std::fs::read(&path).with_context(|| {
        format!("no node is running in {} (start one with `openmesh up`)", folder.display())
    })?;
    serde_json::from_slice(&text).with_context(|| format!("{} cannot be read", path.display()))
}
