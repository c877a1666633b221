//! The CloudEvents project's own scenarios of the HTTP protocol binding, from `OPENMESH_TEST_DATA`.

use bytes::Bytes;
use openmesh_message::cloudevents::{STRUCTURED_JSON, essence, from_headers, from_json};
use openmesh_message::{Envelope, json::parse_strict};
use std::path::PathBuf;

const FEATURE: &str = "cloudevents/features/http-protocol-binding.feature";

/// One scenario outline: the request, the attributes and data it must give, and its examples.
struct Outline {
    request: String,
    attributes: Vec<(String, String)>,
    data: String,
    examples: Vec<String>,
}

#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads foreign scenarios, the crate reads nothing")]
fn the_http_scenarios_of_cloudevents_pass() {
    let folder = std::env::var_os("OPENMESH_TEST_DATA").map(PathBuf::from);
    let text = folder.and_then(|folder| std::fs::read_to_string(folder.join(FEATURE)).ok());
    let Some(text) = text else {
        println!("not run: CloudEvents scenarios (OPENMESH_TEST_DATA has no {FEATURE})");
        return;
    };
    let outlines: Vec<_> = text.split("Scenario Outline:").skip(1).map(outline).collect();
    let ran: usize = outlines.iter().map(run).sum();
    assert_eq!((outlines.len(), ran), (2, 4), "outlines and their examples");
    println!("{ran} scenarios passed");
}

fn outline(text: &str) -> Outline {
    let quoted: Vec<_> = text.split("\"\"\"").skip(1).step_by(2).map(unindented).collect();
    let (before, examples) = text.split_once("Examples:").unwrap();
    let rows = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with('|'));
        lines
            .map(|line| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
            .collect()
    };
    let pairs = rows(before).into_iter().skip(1).map(|row| (row[0].clone(), row[1].clone()));
    Outline {
        request: quoted[0].clone(),
        attributes: pairs.collect(),
        data: quoted[1].clone(),
        examples: rows(examples).into_iter().skip(1).map(|row| row[0].clone()).collect(),
    }
}

fn unindented(text: &str) -> String {
    let lines: Vec<_> = text
        .trim_matches('\n')
        .lines()
        .map(|line| line.strip_prefix("        ").unwrap_or(line.trim_start()))
        .collect();
    lines.join("\n").trim_end().to_owned()
}

fn run(outline: &Outline) -> usize {
    for example in &outline.examples {
        let fill = |text: &str| text.replace("<contentType>", example);
        let envelope = read(&fill(&outline.request));
        for (name, value) in &outline.attributes {
            assert_eq!(envelope.attributes.get(name), Some(fill(value).as_str()), "{example}: {name}");
        }
        assert_eq!(envelope.attributes.iter().len(), outline.attributes.len(), "{example}");
        let data = parse_strict(&envelope.payload).unwrap();
        assert_eq!(data, parse_strict(outline.data.as_bytes()).unwrap(), "{example}");
    }
    outline.examples.len()
}

fn read(request: &str) -> Envelope {
    let (head, body) = request.split_once("\n\n").unwrap();
    let lines = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers: Vec<_> = lines.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
    let content_type = headers.iter().find(|(name, _)| name == "content-type").unwrap().1;
    if essence(content_type) == STRUCTURED_JSON {
        return from_json(body.as_bytes()).unwrap();
    }
    let pairs = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    from_headers(pairs, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}
