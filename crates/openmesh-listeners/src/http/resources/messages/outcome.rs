//! How a send ended, as JSON.

use crate::http::door::unknown;
use crate::http::operation::{Answer, json_answer};
use crate::http::problem::{Failure, to_json};
use axum::http::StatusCode;
use openmesh_message::SignedReceipt;
use openmesh_message::frame::SendOutcome;
use serde_json::{Value, json};

/// One outcome of a batch.
pub(crate) fn outcome_json(id: Option<&str>, outcome: Result<SendOutcome, Failure>) -> Value {
    match outcome {
        Ok(SendOutcome::Accepted(receipt)) => {
            json!({"status": 201, "outcome": "accepted", "id": id, "receipt": receipt_json(&receipt)})
        }
        Ok(SendOutcome::Passed) => json!({"status": 202, "outcome": "passed", "id": id}),
        Ok(SendOutcome::Rejected(problem)) => refused("rejected", id, &problem.into()),
        Ok(SendOutcome::Unknown) => refused("unknown", id, &unknown()),
        Err(failure) => refused("unknown", id, &failure),
    }
}

/// One message's outcome as a response: 201, 202, or its problem.
pub(crate) fn accepted_or_problem(id: Option<&str>, outcome: Result<SendOutcome, Failure>) -> Answer {
    match outcome? {
        SendOutcome::Rejected(problem) => Err(problem.into()),
        SendOutcome::Unknown => Err(unknown()),
        outcome => {
            let is_passed = outcome == SendOutcome::Passed;
            let status = if is_passed { StatusCode::ACCEPTED } else { StatusCode::CREATED };
            Ok(json_answer(status, &outcome_json(id, Ok(outcome))))
        }
    }
}

/// A receipt with all that its signature covers.
pub(super) fn receipt_json(signed: &SignedReceipt) -> Value {
    let (receipt, proof) = (&signed.receipt, &signed.proof);
    json!({
        "digest": receipt.digest,
        "level": receipt.level,
        "position": receipt.position.map(|position| position.to_string()),
        "logs": receipt.logs,
        "duplicate": receipt.duplicate,
        "policy_version": receipt.policy_version,
        "at": receipt.at.to_string(),
        "at_ms": receipt.at.millis(),
        "proof": {
            "node": proof.node,
            "signature": proof.signature.to_string(),
            "index": proof.index,
            "path": proof.path,
        },
    })
}

fn refused(outcome: &str, id: Option<&str>, failure: &Failure) -> Value {
    let problem = to_json(&failure.problem);
    json!({"status": failure.status().as_u16(), "outcome": outcome, "id": id, "problem": problem})
}
