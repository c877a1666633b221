//! The doctor's checks: each looks at one thing and says what to do about it.

use super::Finding;
use crate::cli::context::{Context, Home};
use crate::cli::failure::describe_chain;
use crate::start::read_endpoint;
use openmesh_core::record::is_committed;
use openmesh_listeners::tls::development::{Development, RENEW_DAYS_LEFT};
use openmesh_message::{Certificate, Timestamp};
use openmesh_sdk::{SdkError, now};
use openmesh_store::{StoredRecord, VerifyOptions, verify};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Room below which a node will soon have to refuse messages.
const ROOM_BYTES_MIN: u64 = 1 << 30;
/// Days before its end from which a certificate is worth a warning.
const CERTIFICATE_DAYS_LEFT_MIN: i64 = 30;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// A clock before this time was never set: 2025-01-01.
const CLOCK_MIN: Timestamp = Timestamp::from_millis(1_735_689_600_000);
/// Difference between a file's time and the clock that is worth a warning.
const SKEW_MS_MAX: i64 = 60_000;

pub(super) fn home(home: &Home) -> Finding {
    let path = home.path();
    match mode(path) {
        None => Finding::warn(
            "home",
            format!("{} does not exist", path.display()),
            "start a node with `openmesh up`, or make an agent with `openmesh agent new NAME`",
        ),
        Some(mode) if mode & 0o022 != 0 => Finding::fail(
            "home",
            format!("others can write to {} (mode {mode:04o})", path.display()),
            format!("chmod 700 {}", path.display()),
        ),
        Some(_) => Finding::ok("home", path.display().to_string()),
    }
}

pub(super) fn keys(home: &Home) -> Vec<Finding> {
    let agents = home.agents();
    if agents.is_empty() {
        let next = "make one with `openmesh agent new NAME`";
        return vec![Finding::warn("keys", "there is no agent's key here", next)];
    }
    let mut findings = Vec::new();
    for name in &agents {
        if let Err(error) = home.agent(Some(name)) {
            let next = "fix the file's mode, or make another key";
            findings.push(Finding::fail("keys", format!("{name}: {}", describe_chain(&error)), next));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok("keys", format!("{} (only you can read them)", agents.join(", "))));
    }
    findings
}

/// The node's secrets must be readable by their owner only.
pub(super) fn node_folder(home: &Home) -> Vec<Finding> {
    let node = home.node();
    if !node.is_dir() {
        let what = "no node was ever started from this home folder";
        return vec![Finding::warn(
            "node folder",
            what,
            "start one with `openmesh up`, or use --node ADDRESS",
        )];
    }
    let secrets = [
        "admin.token",
        "node.key",
        "domain-root.key",
        "domain-next-root.key",
        "custodian.key",
        "tls/ca-key.pem",
        "tls/server-key.pem",
    ];
    let open = secrets
        .iter()
        .map(|name| node.join(name))
        .filter(|path| mode(path).is_some_and(|mode| mode & 0o077 != 0));
    let findings: Vec<_> = open
        .map(|path| {
            let what = format!("others can read {}", path.display());
            Finding::fail("node folder", what, format!("chmod 600 {}, and consider it known", path.display()))
        })
        .collect();
    if findings.is_empty() {
        return vec![Finding::ok("node folder", format!("{} (its secrets are yours only)", node.display()))];
    }
    findings
}

pub(super) fn room(home: &Home) -> Finding {
    let existing = home.path().ancestors().find(|path| path.exists()).unwrap_or_else(|| Path::new("/"));
    let Ok(room) = rustix::fs::statvfs(existing) else {
        return Finding::warn("disk", "the room on disk cannot be read", "look with `df`");
    };
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let what = format!("{:.1} GiB free", free as f64 / (1_u64 << 30) as f64);
    if free < ROOM_BYTES_MIN {
        return Finding::warn("disk", what, "make room: a node without any refuses messages (store.full)");
    }
    Finding::ok("disk", what)
}

pub(super) fn certificate(home: &Home) -> Vec<Finding> {
    let path = home.node().join("node.certificate");
    let Ok(bytes) = fs::read(&path) else { return Vec::new() };
    let Ok(certificate) = minicbor::decode::<Certificate>(&bytes) else {
        let what = format!("{} cannot be read", path.display());
        return vec![Finding::fail("certificate", what, "take it back from a backup of the node's folder")];
    };
    let time = now();
    let days_left = certificate.not_after.since_ms(time) / DAY_MS;
    let finding = match certificate.verify(&certificate.domain(), time) {
        Err(error) => {
            Finding::fail("certificate", error.to_string(), "check this machine's clock with `date`")
        }
        Ok(()) if days_left < CERTIFICATE_DAYS_LEFT_MIN => {
            let what = format!("valid for {days_left} more days");
            Finding::warn("certificate", what, "the node needs another certificate soon")
        }
        Ok(()) => Finding::ok("certificate", format!("valid until {}", certificate.not_after)),
    };
    vec![finding, clock(time, home)]
}

/// A development certificate must last, and be signed by the authority beside it.
pub(super) fn tls(home: &Home) -> Vec<Finding> {
    const NAME: &str = "localhost";
    let development = Development::new(home.node().join("tls"));
    if !development.authority().exists() {
        return Vec::new();
    }
    let authority = development.authority().display().to_string();
    let next = "start the node again with `openmesh up --tls dev`: it makes the certificate anew";
    vec![if development.is_good_for(NAME, RENEW_DAYS_LEFT) {
        Finding::ok("tls", format!("development certificate, trusted with --ca {authority}"))
    } else if development.is_good_for(NAME, 0) {
        Finding::warn("tls", "the development certificate is about to expire", next)
    } else {
        Finding::fail(
            "tls",
            format!("the development certificate is not one of {authority}, or has expired"),
            next,
        )
    }]
}

/// No second clock is at hand: the times of the node's own files must not be ahead.
fn clock(time: Timestamp, home: &Home) -> Finding {
    let modified = fs::metadata(home.node().join("log")).and_then(|found| found.modified()).ok();
    let modified = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
    let written =
        modified.and_then(|since| i64::try_from(since.as_millis()).ok()).map(Timestamp::from_millis);
    let next = "set the clock: messages from the future or from long ago are refused";
    if time < CLOCK_MIN {
        return Finding::fail("clock", format!("it says {time}"), next);
    }
    match written.filter(|written| written.since_ms(time) > SKEW_MS_MAX) {
        Some(written) => {
            Finding::fail("clock", format!("it says {time}, but the log was written at {written}"), next)
        }
        None => Finding::ok("clock", time.to_string()),
    }
}

/// Whether a node answers, and whether it knows the agent one is.
pub(super) async fn connection(context: &Context) -> Vec<Finding> {
    let agent = match context.agent() {
        Ok(agent) => agent,
        Err(error) => {
            let next = "name an agent with --as NAME to have the connection checked too";
            return vec![Finding::warn("node", format!("not tried: {}", describe_chain(&error)), next)];
        }
    };
    let mesh = match context.connect_as(&agent.name).await {
        Ok(mesh) => mesh,
        Err(error) => return vec![not_connected(context, &error)],
    };
    let mut findings = Vec::new();
    findings.push(match mesh.ping().await {
        Ok(time) => Finding::ok(
            "node",
            format!("answers in {:.2} ms; domain {}", time.as_secs_f64() * 1e3, mesh.domain()),
        ),
        Err(error) => Finding::fail("node", error.to_string(), "look at the node's own output"),
    });
    let own = agent.id().to_string();
    let registered = mesh.agents().await.unwrap_or_default();
    let name = registered.iter().find(|row| crate::cli::output::text(row, "/agent") == own);
    findings.push(match name {
        Some(row) => {
            Finding::ok("agent", format!("{} is registered", crate::cli::output::text(row, "/name")))
        }
        None => {
            let next = format!("openmesh agent register {}", agent.name);
            Finding::warn(
                "agent",
                format!("{} is not registered: the node takes nothing from it", agent.name),
                next,
            )
        }
    });
    mesh.close().await;
    findings
}

fn not_connected(context: &Context, error: &anyhow::Error) -> Finding {
    let endpoint = context.home().ok().and_then(|home| read_endpoint(&home.node()).ok());
    let next = match endpoint {
        Some(endpoint) if !Path::new(&format!("/proc/{}", endpoint.pid)).exists() => {
            "the node was killed; start it again with `openmesh up`, what it accepted is kept"
        }
        Some(_) if error.downcast_ref().is_some_and(|error| matches!(error, SdkError::Tls { .. })) => {
            "name the authority that signed the node's certificate with --ca FILE"
        }
        _ => "start one with `openmesh up`",
    };
    Finding::fail("node", describe_chain(error), next)
}

pub(super) fn log(home: &Home) -> Vec<Finding> {
    let folder = home.node().join("log");
    if !folder.is_dir() {
        return Vec::new();
    }
    let is_kept = |record: &StoredRecord| is_committed(&record.header, &record.salt, &record.body);
    let mut options = VerifyOptions { commitment: Some(&is_kept), ..VerifyOptions::default() };
    let finding = match verify(&folder, &mut options) {
        Err(fault) => Finding::fail("log", fault.to_string(), "look with `openmesh log verify`"),
        Ok(report) if report.findings.is_empty() => {
            Finding::ok("log", format!("{} records, all verified", report.records))
        }
        Ok(report) => {
            let what = format!("{} findings in {} records", report.findings.len(), report.records);
            Finding::fail("log", what, "`openmesh log verify` lists them; keep a copy of the folder")
        }
    };
    vec![finding]
}

fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|found| found.permissions().mode() & 0o7777)
}
