//! `openmesh conversation`: runs of protocols, as one of their members sees them.

use super::context::{Context, Names};
use super::failure::Failure;
use super::output::{say, text};
use crate::cli::colour::Colours;
use crate::diagram::{Diagram, Line};
use anyhow::Result;
use openmesh_message::{ConversationId, PinnedName};
use openmesh_sdk::{LogFilter, Mesh};
use serde_json::{Value, json};
use std::io::{self, IsTerminal};

/// Records of one conversation that are drawn.
const DRAWN_RECORDS_MAX: usize = 10_000;
/// Where a record says which conversation its message is an act of.
const CONVERSATION_POINTER: &str = "/message/attributes/conversationid";

/// What can be asked of conversations.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the conversations that the agent is in.
    Ls(ListArgs),
    /// Show where a conversation stands: its members, who owes what, what may be done next.
    Show(ShowArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  $ openmesh conversation ls\n  $ openmesh conversation ls --open")]
pub(crate) struct ListArgs {
    /// Leave out those that have ended.
    #[arg(long)]
    open: bool,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  $ openmesh conversation show 0191e8c4-5a3f-7c11-9d2b-3f4a5b6c7d8e
  $ openmesh conversation show last --diagram                  who said what to whom, drawn
  $ openmesh conversation show ID --format svg > talk.svg      the same as a picture
  $ openmesh conversation show ID --format mermaid")]
pub(crate) struct ShowArgs {
    /// The conversation; `last` is that of the latest act sent or got.
    id: String,
    /// Draw it as a sequence diagram in text.
    #[arg(long, conflicts_with = "format")]
    diagram: bool,
    /// Draw it as a sequence diagram in this form.
    #[arg(long, value_enum, value_name = "FORM")]
    format: Option<Drawing>,
}

/// Forms of a sequence diagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Drawing {
    /// Lines of text.
    Text,
    /// Mermaid's language, which many documents and forges draw.
    Mermaid,
    /// A picture.
    Svg,
}

pub(crate) fn run(command: Command, context: &Context) -> Result<()> {
    match command {
        Command::Ls(args) => context.run(list(&args, context)),
        Command::Show(args) => context.run(show(&args, context)),
    }
}

async fn list(args: &ListArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let mut rows = mesh.conversations().await?;
    mesh.close().await;
    if args.open {
        rows.retain(|row| text(row, "/ended").is_empty());
    }
    rows.sort_by_key(|row| text(row, "/opened"));
    context.format().listing(
        &["conversation", "protocol", "role", "state", "ended", "opened"],
        &rows,
        |row| {
            let protocol = text(row, "/protocol");
            let protocol = protocol.split_once('/').map_or(protocol.as_str(), |(_, short)| short).to_owned();
            let cell = |key: &str| text(row, &format!("/{key}"));
            vec![cell("conversation"), protocol, cell("role"), cell("state"), cell("ended"), cell("opened")]
        },
    )
}

async fn show(args: &ShowArgs, context: &Context) -> Result<()> {
    let mesh = context.connect().await?;
    let id = resolve(&mesh, &args.id).await?;
    let shown = mesh.show_conversation(&id).await?;
    let names = Names::ask(&mesh).await;
    let drawing = args.format.or_else(|| args.diagram.then_some(Drawing::Text));
    let Some(drawing) = drawing else {
        mesh.close().await;
        return if context.format().is_table() {
            say(&describe(&shown, &names))
        } else {
            context.format().outcome("", &shown)
        };
    };
    let filter = LogFilter { conversation: Some(id.to_string()), ..LogFilter::default() };
    let records = mesh.query_log(filter).collect(DRAWN_RECORDS_MAX).await?;
    mesh.close().await;
    let diagram = Diagram::of(&records, names.by_id());
    let colours = Colours::of(context.format().is_table() && io::stdout().is_terminal());
    let drawn = match drawing {
        Drawing::Text => in_colour(&diagram, colours),
        Drawing::Mermaid => diagram.mermaid(),
        Drawing::Svg => diagram.svg(),
    };
    let value = json!({"conversation": shown, "records": records, "diagram": drawn});
    context.format().outcome(drawn.trim_end(), &value)
}

fn in_colour(diagram: &Diagram, colours: Colours) -> String {
    let line = |line: Line| if line.is_refusal { colours.red(&line.text) } else { line.text };
    diagram.text().into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The conversation of an id; `last` is that of the latest act that one sent or got.
pub(crate) async fn resolve(mesh: &Mesh, text_id: &str) -> Result<ConversationId> {
    if text_id != "last" {
        let parsed = text_id.parse();
        return parsed.map_err(|why| {
            let next = "`openmesh conversation ls` lists them";
            Failure::usage(format!("{text_id} is no conversation's id: {why}")).next(next).into()
        });
    }
    let filter =
        LogFilter { agent: Some(mesh.id()), kind: Some("message".to_owned()), ..LogFilter::default() };
    let mut pages = mesh.query_log(filter).newest_first();
    let mut last = None;
    while last.is_none()
        && let Some(page) = pages.next_page().await?
    {
        last = page.iter().find_map(|record| text(record, CONVERSATION_POINTER).parse().ok());
    }
    last.ok_or_else(|| Failure::not_found("this agent has sent or got no act of a conversation").into())
}

/// The protocol of a conversation that one is a member of, or got an act of.
pub(crate) async fn protocol_of(mesh: &Mesh, id: &ConversationId) -> Result<PinnedName> {
    let filter = LogFilter { conversation: Some(id.to_string()), ..LogFilter::default() };
    let mut pages = mesh.query_log(filter);
    while let Some(page) = pages.next_page().await? {
        let uris = page.iter().map(|record| text(record, "/message/attributes/protocol"));
        if let Some(name) = uris.filter_map(|uri| PinnedName::parse_protocol_uri(&uri).ok()).next() {
            return Ok(name);
        }
    }
    let next = "to join it, name its protocol with --protocol";
    Err(Failure::not_found(format!("this agent has sent or got no act of conversation {id}"))
        .next(next)
        .into())
}

/// A conversation in readable lines.
fn describe(shown: &Value, names: &Names) -> String {
    let mut lines = Vec::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<14}{value}"));
        }
    };
    for key in ["conversation", "protocol", "opened", "state", "ended", "role"] {
        line(key, text(shown, &format!("/{key}")));
    }
    for member in list_at(shown, "members") {
        line("member", format!("{} ({})", names.show(&text(member, "/agent")), text(member, "/role")));
    }
    for instance in list_at(shown, "instances") {
        let (machine, agent) = (text(instance, "/machine"), names.show(&text(instance, "/agent")));
        line("instance", format!("{machine}[{agent}] is {}", text(instance, "/state")));
    }
    for duty in list_at(shown, "owed") {
        let acts: Vec<_> = list_at(duty, "must").iter().map(|act| text(act, "")).collect();
        let (owes, to) = (names.show(&text(duty, "/owes")), names.show(&text(duty, "/to")));
        line("owed", format!("{owes} owes {to} {} by {}", acts.join(" or "), text(duty, "/by")));
    }
    for next in list_at(shown, "allowed_next") {
        let schema = text(next, "/schema");
        let schema = schema.split('#').next().unwrap_or_default();
        let schema = if schema.is_empty() { String::new() } else { format!(" with {schema}") };
        let to = text(next, "/to");
        let to = if to.is_empty() { String::new() } else { format!(" to {}", names.show(&to)) };
        let parents: Vec<_> = list_at(next, "parents").iter().map(|parent| text(parent, "")).collect();
        let parents = if parents.is_empty() {
            String::new()
        } else {
            format!(" naming --parents {}", parents.join(","))
        };
        line("allowed next", format!("{}{schema}{to}{parents}", text(next, "/performative")));
    }
    lines.join("\n")
}

fn list_at<'a>(row: &'a Value, key: &str) -> &'a [Value] {
    row.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
