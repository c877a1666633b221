//! `openmesh up`: starts a node and runs it until it is told to stop.

use super::context::Context;
use super::output::say;
use crate::config::Config;
use crate::start::{self, Ready};
use anyhow::Result;
use openmesh_core::{INBOX_MESSAGES_MAX, INBOX_SENDER_MESSAGES_MAX};
use openmesh_message::TopicPattern;
use serde_json::json;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Starts a node.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh up                                   a node for this machine, in ~/.openmesh/node
  $ openmesh up --open --pin 'market/**'          anyone may register; the market's messages are kept
  $ openmesh up --data ./node --listen 127.0.0.1:0 -o json   for scripts: one line says when it is ready")]
pub(crate) struct Args {
    /// The node's folder; made at the first start [default: node in the home folder].
    #[arg(long, env = "OPENMESH_NODE_FOLDER", value_name = "DIR", hide_env_values = true)]
    data: Option<PathBuf>,
    /// Where agents connect; loopback only. Port 0 takes a free one.
    #[arg(
        long,
        env = "OPENMESH_LISTEN",
        default_value = "127.0.0.1:7447",
        value_name = "ADDRESS",
        hide_env_values = true
    )]
    listen: SocketAddr,
    /// Where HTTP and WebSocket are served; loopback only [default: one port above --listen].
    #[arg(long, env = "OPENMESH_HTTP", value_name = "ADDRESS", hide_env_values = true)]
    http: Option<SocketAddr>,
    /// Serve no HTTP.
    #[arg(long, conflicts_with = "http")]
    no_http: bool,
    /// A host name that HTTP answers under, besides its own address.
    #[arg(long, value_name = "NAME")]
    http_host: Vec<String>,
    /// Let anyone with a key register; counts at the first start, which writes policy.toml.
    #[arg(long)]
    open: bool,
    /// Keep the messages of these topics, such as 'market/**'.
    #[arg(long, value_name = "PATTERN")]
    pin: Vec<TopicPattern>,
    /// Records between two snapshots of the state; fewer make a restart read less.
    #[arg(long, value_name = "COUNT", default_value_t = 100_000)]
    snapshot_records: u64,
    /// Messages that an inbox holds in all; what comes beyond is refused as inbox.full.
    #[arg(long, value_name = "COUNT", default_value_t = INBOX_MESSAGES_MAX)]
    inbox_max: u64,
    /// Messages of one sender that an inbox holds; what comes beyond is refused as inbox.quota.
    #[arg(long, value_name = "COUNT", default_value_t = INBOX_SENDER_MESSAGES_MAX)]
    inbox_sender_max: u64,
    /// Stop when standard input ends, as it does when the program that started the node is gone.
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
}

pub(crate) fn run(args: Args, context: &Context) -> Result<()> {
    let home = context.home()?;
    let folder = args.data.clone().unwrap_or_else(|| home.node());
    let is_home = folder == home.node();
    let config = Config {
        folder: folder.clone(),
        listen: args.listen,
        http: http_address(&args),
        http_hosts: args.http_host,
        open: args.open,
        pin: args.pin,
        snapshot_records: args.snapshot_records,
        inbox_messages_max: args.inbox_max,
        inbox_sender_messages_max: args.inbox_sender_max,
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
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
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
    let _ = writeln!(text, "  address  {}", endpoint.address);
    if let Some(http) = endpoint.http {
        let _ = writeln!(text, "  http     http://{http}");
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
        let node = format!(" --node {} --domain {}", endpoint.address, endpoint.domain);
        (node, format!(" --token-file {}", folder.join("admin.token").display()))
    };
    let _ = writeln!(text, "\n  Next, in another terminal:");
    let _ = writeln!(text, "    openmesh agent new alice");
    let _ = writeln!(text, "    openmesh agent register alice{token}{node}");
    let _ = write!(text, "\n  ctrl-c stops the node.");
    text
}
