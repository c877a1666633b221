//! `openmesh stream`: lines of standard input to an agent as fast as it takes them, and items as they come.

use super::agent_address;
use crate::cli::amount::size;
use crate::cli::context::{Context, Names};
use crate::cli::failure::Failure;
use crate::cli::output::{Format, remark};
use anyhow::{Context as _, Result};
use openmesh_sdk::{AgentId, Envelope, Mesh, Performative, StreamOptions, StreamReader};
use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

/// Bytes of an item where input is not cut at lines.
const PIECE_BYTES: usize = 16 * 1024;
/// Items that were read and wait for room.
const PIECES_MAX: usize = 16;
/// A time nobody waits for.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365);

/// What to do with streams.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Stream standard input, or a file, to an agent.
    Send(SendArgs),
    /// Read the next stream that is offered.
    Read(ReadArgs),
}

/// Writes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ seq 1000 | openmesh stream send bob                     each line is an item
  $ openmesh stream send bob big.iso --bytes                a file as it is, in pieces
  $ journalctl -f | openmesh stream send ops --type text/x-log")]
pub(crate) struct SendArgs {
    /// To whom: an agent's name or a did:key; it must be listening (`openmesh stream read`).
    to: String,
    /// The file to stream [default: standard input].
    file: Option<PathBuf>,
    /// Do not look for lines: send bytes as they come.
    #[arg(long)]
    bytes: bool,
    /// The media type of the items.
    #[arg(long = "type", value_name = "TYPE", default_value = "text/plain")]
    content_type: String,
}

/// Reads.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh stream read                                    the next stream, an item a line
  $ openmesh stream read --from alice --bytes > big.iso     bytes as they were sent
  $ openmesh stream read --window 64KiB -o jsonl            little on its way, one JSON object an item")]
pub(crate) struct ReadArgs {
    /// Only streams of this agent.
    #[arg(long, value_name = "AGENT")]
    from: Option<String>,
    /// Write the bytes of the items and nothing else.
    #[arg(long)]
    bytes: bool,
    /// Bytes that may be on their way: 64KiB to 4MiB.
    #[arg(long, value_name = "BYTES", default_value = "256KiB", value_parser = size)]
    window: u64,
    /// How long to wait for a stream.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<f64>,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Send(args) => context.run(send(&args, context)),
        Command::Read(args) => context.run(read(&args, context)),
    }
}

async fn send(args: &SendArgs, context: &Context) -> Result<()> {
    let mut items = pieces(open(args)?, args.bytes)?;
    let mesh = context.connect().await?;
    let draft = mesh.draft(&agent_address(&args.to), &Performative::Inform)?;
    let writer = mesh.open_stream(mesh.sign(draft.stream(&args.content_type))?).await?;
    let mut count = 0_u64;
    while let Some(item) = items.recv().await {
        writer.send(item?).await?;
        count += 1;
    }
    writer.finish().await?;
    mesh.close().await;
    context.format().outcome(&format!("sent {count} items; all were taken"), &json!({"items": count}))
}

fn open(args: &SendArgs) -> Result<Box<dyn BufRead + Send>> {
    let Some(path) = &args.file else { return Ok(Box::new(BufReader::new(std::io::stdin()))) };
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    Ok(Box::new(BufReader::with_capacity(PIECE_BYTES, file)))
}

/// The items of an input, read by a thread of its own: standard input can keep it waiting for ever.
fn pieces(mut input: Box<dyn BufRead + Send>, as_bytes: bool) -> Result<Receiver<std::io::Result<Vec<u8>>>> {
    let (read, items) = channel(PIECES_MAX);
    let read_all = move || {
        loop {
            let next = if as_bytes { next_piece(&mut input) } else { next_line(&mut input) };
            let Some(next) = next.transpose() else { return };
            let failed = next.is_err();
            if read.blocking_send(next).is_err() || failed {
                return;
            }
        }
    };
    std::thread::Builder::new().name("input".to_owned()).spawn(read_all)?;
    Ok(items)
}

fn next_line(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    line.pop_if(|last| *last == b'\n');
    Ok(Some(line))
}

fn next_piece(input: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut piece = vec![0; PIECE_BYTES];
    let count = input.read(&mut piece)?;
    piece.truncate(count);
    Ok(Some(piece).filter(|piece| !piece.is_empty()))
}

async fn read(args: &ReadArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let from = match &args.from {
        Some(name) => Some(Names::ask(&mesh).await.resolve(name)?),
        None => None,
    };
    if context.format().is_table() {
        remark("waiting for a stream (ctrl-c ends)");
    }
    let patience = args.timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let offer = timeout(patience.unwrap_or(FOREVER), next_offer(&mesh, from)).await;
    let offer = offer.map_err(|_| Failure::usage("no stream was offered in time"))??;
    let mut reader = mesh.read_stream(&offer, StreamOptions { window: args.window, from: None })?;
    print_all(&mut reader, args.bytes, context.format()).await?;
    mesh.close().await;
    Ok(())
}

/// The next message that offers a stream, of one agent or of anyone.
async fn next_offer(mesh: &Mesh, from: Option<AgentId>) -> Result<Arc<Envelope>> {
    let from = from.map(|agent| agent.to_string());
    let mut incoming = mesh.incoming()?;
    while let Some(envelope) = incoming.next_message().await {
        let is_from = from.as_deref().is_none_or(|from| envelope.attributes.get("source") == Some(from));
        if envelope.attributes.get("stream").is_some() && is_from {
            return Ok(envelope);
        }
    }
    Err(openmesh_sdk::SdkError::Closed("before a stream was offered".to_owned()).into())
}

async fn print_all(reader: &mut StreamReader, as_bytes: bool, format: Format) -> Result<()> {
    let mut number = 0_u64;
    loop {
        let item = tokio::select! {
            item = reader.next() => item?,
            _ = tokio::signal::ctrl_c() => None,
        };
        let Some(item) = item else { return Ok(()) };
        number += 1;
        if as_bytes {
            let mut out = std::io::stdout().lock();
            out.write_all(&item)?;
            out.flush()?;
            continue;
        }
        let text = String::from_utf8_lossy(&item);
        format.item(|| text.clone().into_owned(), &json!({"number": number, "item": text}))?;
    }
}
