//! Failures as people and scripts read them: what happened, what to do next, and an exit code.

use super::exit_code::Exit;
use super::output::Format;
use openmesh_sdk::{Problem, SdkError};
use openmesh_store::Fault;
use serde_json::json;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Codes of problems that mean: there is no such thing.
const NOT_FOUND_CODES: [&str; 4] =
    ["not_found", "address.unknown_agent", "schema.unknown", "protocol.unknown"];

/// A failure with an exit code of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    what: String,
    next: Option<String>,
}

impl Failure {
    /// A failure; `what` happened.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), next: None }
    }

    /// What the user can do about it.
    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Something on the command line makes no sense.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// There is no such thing.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, what)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Failure {}

/// Prints a failure on stderr and says how the program ends.
pub(crate) fn report(error: &anyhow::Error, format: Format) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let exit = exit_of(error);
    let text = match (format, problem_of(error)) {
        (Format::Table, Some(problem)) => describe(problem),
        (Format::Table, None) => {
            let next = next_of(error).map(|next| format!("  next: {next}\n")).unwrap_or_default();
            format!("error: {}\n{next}", describe_chain(error))
        }
        (_, problem) => {
            let what = describe_chain(error);
            let row =
                json!({"error": what, "exit_code": exit as u8, "problem": problem, "next": next_of(error)});
            format!("{row}\n")
        }
    };
    let _ = io::stderr().write_all(text.as_bytes());
    exit.into()
}

/// An error and its causes; a cause that the text above it tells already is left out.
pub(crate) fn describe_chain(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// A refusal in readable lines.
fn describe(problem: &Problem) -> String {
    let mut text = format!("refused: {}\n  {}\n", problem.code, problem.detail);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name}: {value}\n"));
    if let Some(pointer) = &problem.pointer {
        line("at", pointer);
    }
    if let Some(state) = &problem.state {
        line("state", state);
    }
    for next in &problem.allowed_next {
        let schema = next.schema.as_ref().map(|schema| format!(" with {schema}")).unwrap_or_default();
        let instance = next.instance.as_ref().map(|instance| format!(" on {instance}")).unwrap_or_default();
        line("allowed next", &format!("{}{schema}{instance}", next.performative));
    }
    if let Some(after_ms) = problem.retry_after_ms {
        line("try again after", &format!("{after_ms} ms"));
    }
    if let Some(next) = next_of_code(&problem.code) {
        line("next", next);
    }
    text
}

fn problem_of(error: &anyhow::Error) -> Option<&Problem> {
    match error.downcast_ref::<SdkError>() {
        Some(SdkError::Refused(problem) | SdkError::Rejected(problem) | SdkError::Goodbye(problem)) => {
            Some(problem)
        }
        _ => error.downcast_ref::<Problem>(),
    }
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit;
    }
    if let Some(problem) = problem_of(error) {
        let is_missing = NOT_FOUND_CODES.contains(&problem.code.as_str());
        return if is_missing { Exit::NotFound } else { Exit::Refused };
    }
    match error.downcast_ref::<SdkError>() {
        Some(SdkError::NotLoopback(_) | SdkError::Connect { .. } | SdkError::Handshake(_)) => {
            Exit::Unreachable
        }
        Some(SdkError::Closed(_) | SdkError::SpeaksTls(_) | SdkError::Tls { .. }) => Exit::Unreachable,
        Some(SdkError::CertificateFile { .. } | SdkError::NoAuthorities | SdkError::ServerName(_)) => {
            Exit::Usage
        }
        Some(SdkError::TimedOut { .. } | SdkError::OutcomeUnknown) => Exit::Unknown,
        Some(SdkError::Address(_) | SdkError::Topic(_) | SdkError::Name(_) | SdkError::Json(_)) => {
            Exit::Usage
        }
        _ => Exit::Failure,
    }
}

fn next_of(error: &anyhow::Error) -> Option<&str> {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.next.as_deref();
    }
    if let Some(Fault::Locked { .. }) = error.downcast_ref() {
        return Some("a node runs from that folder: stop it first, or name another with --data");
    }
    if let Some(Fault::Copied { .. }) = error.downcast_ref() {
        return Some(
            "start the node in the folder it was copied from; where that one is gone for good, \
             `openmesh up --adopt-folder` once goes on here: two nodes of one key contradict each other",
        );
    }
    next_of_code(&problem_of(error)?.code)
}

/// What to do about a refusal, where there is a command for it.
fn next_of_code(code: &str) -> Option<&'static str> {
    Some(match code {
        "policy.denied" => {
            "see `openmesh agent ls` (is this agent registered?) and `openmesh policy show` (which rule decides?)"
        }
        "token.invalid" => {
            "the admin token is the one line of admin.token in the node's folder, named with --token-file; an agent's \
             token can have expired or been revoked: `openmesh token ls`"
        }
        "agent.away" => "the agent is not connected: add --durable to have the message held in its inbox",
        "topic.ephemeral" => "keep the topic with `openmesh topic pin PATTERN`",
        "address.unknown_agent" => "`openmesh agent ls` lists who is known",
        "schema.unknown" => "publish it with `openmesh schema push`, or see `openmesh schema ls`",
        "protocol.unknown" => "publish it with `openmesh protocol push`, or see `openmesh protocol ls`",
        "lease.stale" => "pull the messages again: somebody else may have them meanwhile",
        "name.taken" => "choose another name, or see `openmesh agent ls`",
        "definition.conflict" => "published versions never change: raise the version",
        _ => return None,
    })
}

/// Whoever read the output went away, as `head` does: nothing to report.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
