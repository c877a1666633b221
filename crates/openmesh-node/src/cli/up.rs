//! `openmesh up`: starts a node and runs it until it is told to stop.

mod limiting;

use super::amount;
use super::context::Context;
use super::logging::Observing;
use super::output::say;
use crate::config::Config;
use crate::start::{self, Ready};
use crate::tls::TlsChoice;
use crate::upkeep::{Keeping, Limits};
use anyhow::Result;
use limiting::Limiting;
use openmesh_core::{INBOX_MESSAGES_MAX, INBOX_SENDER_MESSAGES_MAX};
use openmesh_listeners::tls::CertificateFiles;
use openmesh_message::TopicPattern;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Files that a node has open at most: twice what its connections need.
const OPEN_FILES: u64 = 32_768;
/// Tasks that a thread runs before it looks which connections have sent something: few, since admitting a batch takes
/// long, and what is urgent comes on other connections.
const TASKS_BETWEEN_LOOKS: u32 = 4;

/// One file of the log, unless told otherwise.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Smaller files would hold hardly anything.
const SEGMENT_BYTES_MIN: u64 = 64 * 1024;
/// Larger ones are reserved too slowly.
const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Starts a node.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh up                                   a node for this machine, in ~/.openmesh/node
  $ openmesh up --open --pin 'market/**'          anyone may register; the market's messages are kept
  $ openmesh up --keep-age 30d --keep-bytes 100GiB   let go of old records that nothing needs any more
  $ openmesh up --tls dev --listen 0.0.0.0:7447    TLS, for other machines too; says which file they are to trust
  $ openmesh up --tls-cert node.pem --tls-key node-key.pem --listen 0.0.0.0:7447
  $ openmesh up --data ./node --listen 127.0.0.1:0 -o json   for scripts: one line says when it is ready")]
pub(crate) struct Args {
    /// The node's folder; made at the first start [default: node in the home folder].
    #[arg(long, env = "OPENMESH_NODE_FOLDER", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where agents connect; other than loopback only with TLS. Port 0 takes a free one.
    #[arg(
        long,
        env = "OPENMESH_LISTEN",
        default_value = "127.0.0.1:7447",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// Where HTTP and WebSocket are served; other than loopback only with TLS [default: one port above --listen].
    #[arg(long, env = "OPENMESH_HTTP", value_name = "ADDRESS", hide_env_values = true)]
    http: Option<SocketAddr>,
    /// Serve no HTTP.
    #[arg(long, conflicts_with = "http")]
    no_http: bool,
    /// A host name that HTTP answers under, besides its own address.
    #[arg(long, value_name = "NAME")]
    http_host: Vec<String>,
    /// Speak TLS, with a certificate of a development authority in the node's folder, made at the first start.
    #[arg(long, value_name = "dev", value_enum, conflicts_with_all = ["tls_cert", "tls_key"])]
    tls: Option<TlsKind>,
    /// Speak TLS, with the certificate in this PEM file; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The private key of the certificate, a PEM file.
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Let anyone with a key register; counts at the first start, which writes policy.toml.
    #[arg(long)]
    open: bool,
    /// Keep the messages of these topics, such as 'market/**'.
    #[arg(long, value_name = "PATTERN")]
    pin: Vec<TopicPattern>,
    /// Records between two snapshots of the state; fewer make a restart read less.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000_000)]
    snapshot_records: u64,
    /// Go on in a folder that was copied, moved or put back from elsewhere, under an epoch far above what the other can
    /// have come to. Only where the other never runs again.
    #[arg(long)]
    adopt_folder: bool,
    /// Size of one file of the log.
    #[arg(long, value_name = "BYTES", default_value_t = SEGMENT_BYTES, hide = true,
        value_parser = clap::value_parser!(u64).range(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX))]
    segment_bytes: u64,
    /// Let go of records decided longer ago than this, as 30d; what is still wanted stays [default: keep all].
    #[arg(long, value_name = "SPAN", value_parser = amount::span)]
    keep_age: Option<Duration>,
    /// Let go of the oldest records while the log has more bytes than this, as 100GiB [default: keep all].
    #[arg(long, value_name = "SIZE", value_parser = amount::size)]
    keep_bytes: Option<u64>,
    /// Let go of records before the latest so many [default: keep all].
    #[arg(long, value_name = "COUNT")]
    keep_records: Option<u64>,
    /// Drop the bodies of mail that was acknowledged, has expired or was called back: nobody can read it again.
    #[arg(long)]
    compact_mail: bool,
    /// Messages that an inbox holds in all; what comes beyond is refused as inbox.full.
    #[arg(long, value_name = "COUNT", default_value_t = INBOX_MESSAGES_MAX)]
    inbox_max: u64,
    /// Messages of one sender that an inbox holds; what comes beyond is refused as inbox.quota.
    #[arg(long, value_name = "COUNT", default_value_t = INBOX_SENDER_MESSAGES_MAX)]
    inbox_sender_max: u64,
    #[command(flatten)]
    limiting: Limiting,
    #[command(flatten)]
    observing: Observing,
    /// Stop when standard input ends, as it does when the program that started the node is gone.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

/// Certificates that a node makes for itself.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum TlsKind {
    /// Signed by an authority of the node's own.
    Dev,
}

impl Args {
    const fn keeping(&self) -> Keeping {
        let limits = Limits { age: self.keep_age, bytes: self.keep_bytes, records: self.keep_records };
        Keeping { limits, compact_mail: self.compact_mail }
    }

    fn tls(&self) -> Option<TlsChoice> {
        let files = self.tls_cert.clone().zip(self.tls_key.clone());
        let files = files.map(|(certificate, key)| TlsChoice::Files(CertificateFiles { certificate, key }));
        files.or(self.tls.map(|TlsKind::Dev| TlsChoice::Development))
    }
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    raise_open_files();
    let home = context.home()?;
    let folder = args.data.clone().unwrap_or_else(|| home.node());
    let is_home = folder == home.node();
    let keeping = args.keeping();
    let config = Config {
        folder: folder.clone(),
        listen: args.listen,
        tls: args.tls(),
        http: http_address(&args),
        http_hosts: args.http_host,
        open: args.open,
        pin: args.pin,
        adopt: args.adopt_folder,
        segment_bytes: args.segment_bytes,
        snapshot_records: args.snapshot_records,
        keeping,
        inbox_messages_max: args.inbox_max,
        inbox_sender_messages_max: args.inbox_sender_max,
        limits: args.limiting.limits(),
        tracing: args.observing.tracing(),
    };
    let format = context.format();
    let say_ready = move |ready: &Ready| {
        let said = if format.is_table() {
            say(&banner(ready, &folder, is_home))
        } else {
            say(&ready_line(ready, &folder))
        };
        // A node whose starter went away serves all the same.
        drop(said);
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .event_interval(TASKS_BETWEEN_LOOKS)
        .build()?;
    let _exporting = args.observing.start(context, runtime.handle())?;
    runtime.block_on(async {
        let (stop, stopped) = watch::channel(false);
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::spawn(async move {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
                () = stdin_closes(), if args.until_stdin_closes => {}
            }
            let _ = stop.send(true);
        });
        start::run(config, stopped, say_ready).await
    })?;
    if format.is_table() {
        let _ = say("stopped; everything accepted is kept");
    }
    Ok(())
}

/// Unless told otherwise HTTP is one port above the native protocol; a free port where that is free to choose.
fn http_address(args: &Args) -> Option<SocketAddr> {
    if args.no_http {
        return None;
    }
    let port = if args.listen.port() == 0 { 0 } else { args.listen.port().saturating_add(1) };
    Some(args.http.unwrap_or_else(|| SocketAddr::new(args.listen.ip(), port)))
}

/// Each connection is an open file, and shells allow few.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(OPEN_FILES, |most| most.min(OPEN_FILES));
    if limit.current.is_some_and(|current| current < most) {
        // Where it cannot be raised, connections beyond it wait.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(most), maximum: limit.maximum });
    }
}

async fn stdin_closes() {
    let (closed, wait) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = closed.send(());
    });
    let _ = wait.await;
}

/// One line for scripts.
fn ready_line(ready: &Ready, folder: &Path) -> String {
    json!({
        "ready": true,
        "address": ready.endpoint.address,
        "http": ready.endpoint.http,
        "domain": ready.endpoint.domain,
        "tls": ready.endpoint.tls,
        "folder": folder,
        "new": ready.is_new,
        "recovered": ready.recovered,
        "findings": ready.findings,
    })
    .to_string()
}

/// What a person wants to know of a node that has just started.
fn banner(ready: &Ready, folder: &Path, is_home: bool) -> String {
    let endpoint = &ready.endpoint;
    let mut text = format!("ready {} {}\n\n", endpoint.address, endpoint.domain);
    let what = if ready.is_new { "A new domain, with its first node." } else { "The node is back." };
    let _ = writeln!(text, "  {what}");
    let _ = writeln!(text, "  domain   {}", endpoint.domain);
    let _ = writeln!(text, "  address  {}", ready.listening);
    if let Some(http) = endpoint.http {
        let scheme = if endpoint.tls.is_some() { "https" } else { "http" };
        let _ = writeln!(text, "  http     {scheme}://{http}");
    }
    if let Some(tls) = &endpoint.tls {
        let trust = tls.ca.as_ref().map_or_else(
            || "with your certificate; it is read again when its file changes".to_owned(),
            |ca| format!("development certificate; clients trust it with --ca {}", ca.display()),
        );
        let _ = writeln!(text, "  TLS      {trust}");
    }
    let _ = writeln!(text, "  folder   {}", folder.display());
    if ready.recovered > 0 {
        let _ = writeln!(text, "  log      {} records read back", ready.recovered);
    }
    if !ready.findings.is_empty() {
        let _ = writeln!(text, "\n  The log was not closed cleanly or is damaged:");
        for finding in &ready.findings {
            let _ = writeln!(text, "    {finding}");
        }
        let _ = writeln!(text, "  `openmesh log verify --data {}` tells more.", folder.display());
    }
    let (node, token) = if is_home {
        (String::new(), String::new())
    } else {
        let ca = endpoint.tls.as_ref().map(|tls| match &tls.ca {
            Some(ca) => format!(" --ca {}", ca.display()),
            None => " --ca FILE".to_owned(),
        });
        let ca = ca.unwrap_or_default();
        let node = format!(" --node {} --domain {}{ca}", endpoint.address, endpoint.domain);
        (node, format!(" --token-file {}", folder.join("admin.token").display()))
    };
    let _ = writeln!(text, "\n  Next, in another terminal:");
    let _ = writeln!(text, "    openmesh agent new alice");
    let _ = writeln!(text, "    openmesh agent register alice{token}{node}");
    let _ = write!(text, "\n  ctrl-c stops the node.");
    text
}
